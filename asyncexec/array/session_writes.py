"""Arrays that are stored into a session with versions: what stages write there, and those that merge the forks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asyncexec.array.expansion import topological
from asyncexec.array.fusion import FusionGroup
from asyncexec.array.nodes import Copy, Node
from asyncexec.array.outputs import OutputOf
from asyncexec.plan import Read, Stage
from asyncexec.plan.box import Shape
from asyncexec.plan.relations import block_reduce
from asyncexec.storage.chunks.arrays import StoredArray, planned_array
from asyncexec.storage.chunks.block_io import TaskOutput
from asyncexec.storage.places.locations import Location
from asyncexec.storage.versions.forks import merge_forks
from asyncexec.storage.versions.writes import SessionTarget

MERGED_AT_ONCE = 256
"""How many forks a task merges; of so many or fewer, the driver does."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SessionPlace:
    """The way an array is stored in a session.

    Attributes
    ----------
    chunks, shards : tuple of int or None
        Of a new array; by default a chunk is a shard, and that the source's chunk.
    attributes : mapping
        Of a new array.
    within : StoredArray or None
        The array that is there, and of which a part is written.
    begin : tuple of int
        The first element of that part along each axis.
    planned : StoredArray or None
        The new array, where it is not as the other attributes say.
    """

    chunks: Shape | None = None
    shards: Shape | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    within: StoredArray | None = None
    begin: Shape = ()
    planned: StoredArray | None = None

    def array(self, node: Node, location: Location, compressor: Any) -> StoredArray:
        """Return what is written of ``node``, as an array."""
        if self.planned is not None:
            return self.planned
        if self.within is not None:
            chunks, shards, compressor = self.within.chunks, self.within.shards, None
        else:
            chunks, shards = self.chunks or self.shards or node.chunks, self.shards
        return planned_array(
            location,
            shape=node.shape,
            dtype=node.dtype,
            chunks=chunks,
            shards=shards,
            compressor=compressor,
            dense=True,
        )

    def target(self, output: TaskOutput) -> SessionTarget:
        """Return what is written by an output of a stage."""
        return SessionTarget(
            output=output, within=self.within, begin=self.begin, attributes=self.attributes
        )


def apart(roots: Sequence[Node], places: Sequence[SessionPlace | None]) -> list[Node]:
    """Return ``roots`` so that no stage reads what another writes into a session, where only the end shows it."""
    read = {below for node in topological(roots) for below in node.inputs}
    return [
        Copy(inputs=(root,), chunks=root.chunks, block=root.chunks)
        if place is not None and (root in read or isinstance(root, OutputOf))
        else root
        for root, place in zip(roots, places, strict=True)
    ]


def is_mixed(group: FusionGroup, in_session: Mapping[Node, SessionPlace]) -> bool:
    """Return whether a stage would write into a session, and elsewhere too."""
    return len({root in in_session for root in group.roots}) > 1


def merging_stages(stage: Stage) -> list[Stage]:
    """Return the stages that merge the forks of ``stage``, the last of which has few enough for the driver."""
    found: list[Stage] = []
    while stage.tasks > MERGED_AT_ONCE:
        relation = block_reduce(stage.shape, _widths(stage.shape))
        stage = Stage(
            name=f"{'merge' if not found else f'merge-{len(found) + 1}'}-{stage.name.removeprefix('merge-')}",
            kernel=merge_forks,
            shape=relation.consumer,
            inputs=(Read(stage.name, relation, many=True),),
            operation="merge",
        )
        found.append(stage)
    return found


def _widths(shape: Shape) -> dict[int, int]:
    widths: dict[int, int] = {}
    left = MERGED_AT_ONCE
    for axis in reversed(range(len(shape))):
        widths[axis] = min(shape[axis], left)
        left = max(left // widths[axis], 1)
    return widths


def receipts_of(stages: Sequence[Stage]) -> dict[str, int]:
    """Return the stages that no other reads, with the number of their tasks."""
    read = {each.stage for stage in stages for each in stage.reads}
    return {s.name: math.prod(s.shape) for s in stages if s.name not in read}
