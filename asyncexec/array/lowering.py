"""From expressions to a plan: the optimizer's groups as stages, with what they read, write and need."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from asyncexec.array.expansion import expand, storable
from asyncexec.array.fusion import FusionGroup, block_of, fuse
from asyncexec.array.kernel_builder import BuiltKernel, kernel_builder
from asyncexec.array.nodes import ArraySource, Copy, Creation, Node, Rechunk, View
from asyncexec.array.optimizer import reductions
from asyncexec.array.optimizer.choice import SHARED_READS
from asyncexec.array.optimizer.rewriting import rewrite
from asyncexec.array.outputs import OutputOf
from asyncexec.array.overlap_notes import overlap_notes
from asyncexec.array.projection import StorageLayout, TaskMemoryLimit
from asyncexec.array.session_writes import (
    SessionPlace,
    apart,
    is_mixed,
    merging_stages,
    receipts_of,
)
from asyncexec.array.sharing import share_reads
from asyncexec.array.source_identity import SourceIdentity
from asyncexec.array.spec import Spec
from asyncexec.array.streamed_reductions import MOST_PIECES, StreamedReduction
from asyncexec.array.streaming import finished_on_the_way, taken_in_pieces
from asyncexec.plan import ChunkedOutput, Plan, Read, Stage
from asyncexec.plan.access_map import AccessMap, ReadRegion
from asyncexec.plan.box import Shape
from asyncexec.plan.written import relation_to
from asyncexec.storage.chunks.arrays import StoredArray, planned_array
from asyncexec.storage.chunks.block_io import BlockIO, InMemory, TaskInput, TaskOutput
from asyncexec.storage.places.locations import RUN_SCOPED, Location
from asyncexec.storage.versions.commits import Commit
from asyncexec.storage.versions.writes import SessionTarget, SessionWrites
from asyncexec.storage.workspace.array_workspace import ArrayWorkspace
from asyncexec.storage.workspace.stage_inputs import TRAVELS_BYTES

MOST_RECHUNK_BYTES = 256 * 1024 * 1024
"""The largest block of a rechunking task, however much memory there is: more tasks keep more workers busy."""

_RECHUNK_COPIES = 6
"""How many blocks a rechunking task holds at most: the block, two chunks on either side, and some air."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedArray:
    """An array that a plan is to make: kept for the caller, or stored at ``place``.

    There, ``array`` or ``session`` says how; without either, as the node is.
    """

    node: Node
    place: Location | None = None
    session: SessionPlace | None = None
    array: StoredArray | None = None


def lower(
    results: Sequence[RequestedArray],
    spec: Spec,
    *,
    overwrite: bool = False,
    unpack: bool = True,
    commit: Commit | None = None,
) -> Plan:
    """Return one plan that makes all ``results``; what they share is computed once.

    The value of a run is the tuple of those without a place (the one itself, with ``unpack``); where all are in a
    session, the snapshot of the ``commit``.

    Raises
    ------
    PlanError
        If it cannot run, such as for lack of memory.
    """
    most = min(spec.free_bytes // _RECHUNK_COPIES, MOST_RECHUNK_BYTES)
    rewritten = rewrite([result.node for result in results], spec.rules)
    expanded = expand(rewritten, most_bytes=max(most, 1), tasks=spec.reduction_tasks)
    roots = apart(_distinct(expanded), [result.session for result in results])
    places = {root: result.place for root, result in zip(roots, results, strict=True)}
    encodes = spec.encodes_intermediates
    limit = TaskMemoryLimit(
        allowed_bytes=spec.allowed_bytes,
        reserved_bytes=spec.reserved_bytes,
        layout=partial(_layout, encodes=encodes, in_turn=spec.work_is_near),
        encodes=lambda root: encodes or places.get(root) is not None,
        moves=spec.module is not None,
    )
    in_session = {
        root: result.session
        for root, result in zip(roots, results, strict=True)
        if result.session is not None
    }

    def fits(group: FusionGroup) -> bool:
        return limit.fits(group) and not is_mixed(group, in_session)

    groups = fuse(roots, limit.fits, spec.rules)
    if SHARED_READS in spec.rules:
        groups = share_reads(groups, roots, fits, tasks=spec.reduction_tasks)
    if reductions.NAME in spec.rules:
        groups = taken_in_pieces(groups, roots, fits)
        groups = finished_on_the_way(groups, roots, fits, spec.rules)
    planned = {
        root: result.array
        for root, result in zip(roots, results, strict=True)
        if result.array is not None
    }
    writer = _Lowering(
        spec=spec, limit=limit, places=places, in_session=in_session, planned=planned
    )
    for number, found in enumerate(groups, start=1):
        writer.add(found, number)
    kept = [r for r, result in zip(roots, results, strict=True) if result.place is None]
    workspace = ArrayWorkspace(
        blocks=writer.blocks,
        results=tuple(writer.arrays[root] for root in kept),
        unpack=unpack,
        overwrite=overwrite,
        writes=writer.session_writes(overwrite=overwrite, commit=commit),
        work_dir=spec.work_dir,
        storage_options=spec.storage_options,
        memory_dir=spec.memory_dir,
        compressor=spec.work_compressor,
    )
    return Plan(tuple(writer.stages), _plan_name(roots), workspace=workspace)


def _distinct(nodes: Sequence[Node]) -> list[Node]:
    """Return ``nodes`` so that each is stored by a stage of its own, also those that are asked for twice."""
    found: list[Node] = []
    for node in map(storable, nodes):
        again = node in found
        found.append(Copy(inputs=(node,), chunks=node.chunks, block=node.chunks) if again else node)
    return found


def _plan_name(roots: Sequence[Node]) -> str:
    return "+".join(dict.fromkeys(map(_main_operation, roots))) or "nothing"


def _main_operation(node: Node) -> str:
    """Return the operation that names a node: views and copies only where there is nothing else."""
    found = node
    while isinstance(found, View | Rechunk | Copy) and found.inputs[0].operation:
        if isinstance(found, Copy) and found.operation == "rechunk":
            return found.operation
        found = found.inputs[0]
    return node.operation if isinstance(found, ArraySource | Creation) else found.operation


def _layout(node: Node, *, encodes: bool, in_turn: bool) -> StorageLayout:
    """Return the layout of an input.

    ``encodes`` says whether chunks of intermediates are encoded, ``in_turn`` whether they are on this machine.
    """
    array = node.array if isinstance(node, ArraySource) else None
    if isinstance(array, InMemory) and array.data.nbytes <= TRAVELS_BYTES:
        # Pickled and unpickled.
        return StorageLayout(chunks=node.chunks, resident_bytes=2 * array.data.nbytes, in_turn=True)
    if array is None or isinstance(array, InMemory):
        return StorageLayout(chunks=node.chunks, encoded=encodes, in_turn=in_turn)
    if not isinstance(array, StoredArray):
        return StorageLayout(chunks=node.chunks)
    encoding, near = array.encoding, array.location.local_path is not None
    if encoding is None or not near:
        return StorageLayout(chunks=node.chunks, copies=1, in_turn=near)
    as_it_is = not encoding.compressor and np.dtype(encoding.dtype) == array.numpy_dtype
    return StorageLayout(chunks=node.chunks, encoded=not as_it_is, in_turn=True)


@dataclass(slots=True, kw_only=True)
class _Lowering:
    """Makes stages of groups, producers first."""

    spec: Spec
    limit: TaskMemoryLimit
    places: dict[Node, Location | None]
    in_session: dict[Node, SessionPlace]
    planned: dict[Node, StoredArray]
    stages: list[Stage] = field(default_factory=list)
    blocks: dict[str, BlockIO] = field(default_factory=dict)
    names: dict[Node, str] = field(default_factory=dict)
    arrays: dict[Node, StoredArray] = field(default_factory=dict)
    outputs: dict[Node, ChunkedOutput] = field(default_factory=dict)
    grids: dict[Node, Shape] = field(default_factory=dict)
    found: dict[Any, str] = field(default_factory=dict)
    written: dict[str, tuple[SessionTarget, ...]] = field(default_factory=dict)

    def add(self, found: FusionGroup, number: int) -> None:
        """Make the stage of ``found``."""
        operation = _operation(found)
        name = f"{'+'.join(dict.fromkeys(map(_main_operation, found.roots)))}-{number}"
        builder = kernel_builder(found)
        for position, root in enumerate(found.roots):
            array = self._array(root, name, position if len(found.roots) > 1 else None)
            self.names[root], self.grids[root], self.arrays[root] = name, found.shape, array
            self.outputs[root] = _output(root, array, found.written[root])
        outputs = tuple(
            TaskOutput(array=self.arrays[root], block=block_of(root), access=found.written[root])
            for root in found.roots
        )
        in_session = [self.in_session[root] for root in found.roots if root in self.in_session]
        if in_session:
            self.written[name] = tuple(
                place.target(output) for place, output in zip(in_session, outputs, strict=True)
            )
        self.blocks[name] = BlockIO(
            sources=tuple(
                TaskInput(array=self._stored(node), select=ReadRegion(access))
                for node, access in builder.reads
            ),
            targets=() if in_session else outputs,
            label=f"{operation} ({name})",
            most_requests=self.spec.requests,
            pieces=found.pieces,
        )
        reads = [
            self._read(node, access, found) for node, access in builder.reads if node in self.names
        ]
        memory = self.limit.memory(found)
        built = builder.kernel(self.spec.module)
        stage = Stage(
            name=name,
            kernel=built.kernel,
            shape=found.shape,
            # Several outputs of a stage may be read alike.
            inputs=tuple(dict.fromkeys(reads)),
            # What is written into a session is a value: the fork that a task has written into.
            outputs=() if in_session else tuple([self.outputs[root] for root in found.roots]),
            operation=operation,
            notes=(
                *_notes(found, operation, self.spec),
                *self._module_notes(built),
                *overlap_notes(self.blocks[name], memory, self.spec),
            ),
            memory=memory,
            identity=SourceIdentity(
                tuple([(n.array, d) for n, d in builder.reads if isinstance(n, ArraySource)]),
                self.found,
                tuple([self.planned[r].description for r in found.roots if r in self.planned]),
            ),
        )
        self.stages.append(stage)
        if in_session:
            self.stages += merging_stages(stage)

    def session_writes(self, *, overwrite: bool, commit: Commit | None) -> SessionWrites | None:
        """Return what is written into a session; None if nothing is."""
        if not self.written:
            return None
        stages = [s for s in self.stages if s.holds_values]
        return SessionWrites(
            targets=self.written, receipts=receipts_of(stages), commit=commit, overwrite=overwrite
        )

    def _module_notes(self, built: BuiltKernel) -> tuple[str, ...]:
        """Return what is computed in which array module, in a sentence for users."""
        module = self.spec.module
        if module is None:
            return ()
        elsewhere = f", and {', '.join(built.in_numpy)} in NumPy" if built.in_numpy else ""
        return (f"computes in {module.name}{elsewhere}",)

    def _array(self, root: Node, name: str, position: int | None) -> StoredArray:
        place = self.places.get(root)
        if place is not None and root in self.in_session:
            return self.in_session[root].array(root, place, self.spec.compressor)
        if root in self.planned:
            return self.planned[root]
        suffix = "" if position is None else f"-{position}"
        if isinstance(root, OutputOf) and root.output.name:
            suffix += f"-{root.output.name}"
        return planned_array(
            place or RUN_SCOPED + _file_name(name) + suffix,
            shape=root.shape,
            dtype=root.dtype,
            chunks=root.chunks,
            # Of an intermediate, its place decides when the run begins.
            compressor=None if place is None else self.spec.compressor,
            dense=True,
        )

    def _stored(self, node: Node) -> Any:
        return node.array if isinstance(node, ArraySource) else self.arrays[node]

    def _read(self, node: Node, access: AccessMap, found: FusionGroup) -> Read:
        needed = access if found.pieces is None else found.pieces.of_tasks(access)
        relation = relation_to(self.outputs[node], needed, self.grids[node], found.shape)
        return Read(self.names[node], relation)


def _output(root: Node, array: StoredArray, access: AccessMap | None) -> ChunkedOutput:
    return ChunkedOutput(
        # Of one array, several parts may be written.
        location=f"{array.location}{array.part.region if array.part is not None else ''}",
        shape=array.shape,
        block=block_of(root),
        unit=array.unit,
        dtype=array.dtype,
        name=root.output.name if isinstance(root, OutputOf) else "",
        access=access,
    )


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name)


def _notes(found: FusionGroup, operation: str, spec: Spec) -> tuple[str, ...]:
    """Return what the optimizer has done, in sentences for users."""
    notes: list[str] = []
    if "+" in operation:
        notes.append(
            f"computes {operation.replace('+', ', ')} in one pass, and stores the last alone"
        )
    if len(found.roots) > 1:
        notes.append(f"makes {len(found.roots)} arrays of what it reads once")
    if found.pieces is not None and not found.streamed[0].computes:
        notes.append(f"merges up to {found.pieces.most} partial results a task, one after another")
    elif found.pieces is not None:
        tasks = math.prod(found.shape)
        notes.append(
            f"takes up to {found.pieces.most} chunks a task, one after another, which makes {tasks} tasks (at least "
            f"reduction_tasks={spec.reduction_tasks}, and at most {MOST_PIECES} chunks each)"
        )
    if found.apart:
        notes.append(f"is stored, as {found.apart}")
    return tuple(notes)


def _operation(found: FusionGroup) -> str:
    """Return what is computed in a group, innermost first, such as ``"multiply+sum"``."""
    names = [
        node.operation
        for node in reversed(found.computed)
        # What merges pieces is one operation with what makes them.
        if not isinstance(node, Copy | OutputOf | StreamedReduction)
    ]
    counted = Counter(name for each in names for name in each.split("+"))
    shown = [name if count == 1 else f"{name} x{count}" for name, count in counted.items()]
    return "+".join(shown) or found.roots[0].operation
