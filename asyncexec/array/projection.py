"""The projected memory of a task of a stage.

projected = reserved
          + for each input: what is read of it, and its encoded copy while it is decoded, if chunks are encoded
          + what the kernel holds between its steps
          + the output block, and its encoded copy while it is written, if chunks are encoded

It is an upper bound: a task reads, computes and writes one after the other, and never holds all of that at once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import attrgetter
from typing import NamedTuple

from asyncexec.array.chunks import POSITION_BYTES
from asyncexec.array.fusion import FusionGroup, block_of
from asyncexec.array.kernel_builder import kernel_builder
from asyncexec.array.nodes import Node, View
from asyncexec.array.outputs import OutputOf
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Shape
from asyncexec.plan.lengths import Lengths
from asyncexec.plan.memory import Memory
from asyncexec.plan.runs import Runs

ZARR_CHUNKS_AT_ONCE = 10
"""The number of chunks that Zarr reads at a time (its ``async.concurrency``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageLayout:
    """The layout in storage of an array that is read.

    Attributes
    ----------
    chunks : tuple of int
        What is decoded at once, in elements.
    copies : int
        How many copies of what is read there are while Zarr reads it; 0 where chunks are decoded one by one, straight
        into place.
    resident_bytes : int
        What every worker holds of it, whatever it reads.
    encoded : bool
        Whether chunks are compressed, or of another byte order, so that what is stored passes while it is decoded.
    in_turn : bool
        Whether it is on this machine or in memory: a task whose inputs all are reads one after another.
    """

    chunks: Shape
    copies: int = 0
    resident_bytes: int | None = None
    encoded: bool = True
    in_turn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskMemoryLimit:
    """The memory that a task may hold, and the storage layout of its inputs.

    ``encodes`` says whether chunks of what is written are encoded. With ``moves``, inputs and results are copied to
    another device and back, which may be this machine's memory.
    """

    allowed_bytes: int
    reserved_bytes: int
    layout: Callable[[Node], StorageLayout]
    encodes: Callable[[Node], bool]
    moves: bool = False

    def memory(self, group: FusionGroup) -> Memory:
        """Return what a task of ``group`` is projected to need."""
        reads = [self._read(node, access) for node, access in group.reads]
        written, encoded, edge = self._written(group)
        accesses = [None if self._resident(node) else access for node, access in group.reads]
        needs = _reading_bytes(reads, accesses)
        # With borders of chunks elsewhere, a task also reads from the next chunk, and the next part.
        at_borders = [r._replace(passing=r.passing + r.shifted) for r in reads]
        edge += _reading_bytes(at_borders, accesses, further=1) - needs
        needs += (
            kernel_builder(group).temporary_bytes() + written + encoded + _positions_bytes(group)
        )
        if self.moves:
            needs += written + sum(r.held for r in reads)
        return Memory(
            projected_bytes=self.reserved_bytes + needs,
            reserved_bytes=self.reserved_bytes,
            allowed_bytes=self.allowed_bytes,
            chunk_bytes=max([written, *(r.held for r in reads)]),
            edge_bytes=edge,
        )

    def _written(self, group: FusionGroup) -> tuple[int, int, int]:
        """Return the size of a task's results, that of copies made of one while it is written, and of one at the edge.

        The last is what is copied only where chunks do not divide the array, and not counted.
        """
        made = group.after or group
        found = [self._written_of(made, root) for root in group.roots]
        results, copies, edges = zip(*found, strict=True)
        return sum(results), max(copies), max(edges)

    def _written_of(self, group: FusionGroup, root: Node) -> tuple[int, int, int]:
        written, itemsize = block_of(root), root.dtype.itemsize
        block = math.prod(map(min, written, root.shape)) * itemsize
        unit = math.prod(map(min, root.chunks, root.shape)) * itemsize
        pairs = zip(root.shape, root.chunks, strict=True)
        ragged = any(n > c and (isinstance(c, Lengths) or n % c) for n, c in pairs)
        copied = ragged or written != root.chunks or not _contiguous(group, root)
        return block, unit * (self.encodes(root) + copied), unit * (not copied)

    def fits(self, group: FusionGroup) -> bool:
        """Return True if a task of ``group`` stays within what is allowed."""
        return self.memory(group).fits

    def _resident(self, node: Node) -> bool:
        return self.layout(node).resident_bytes is not None

    def _read(self, node: Node, access: AccessMap) -> _Reading:
        layout = self.layout(node)
        itemsize = node.dtype.itemsize
        region = math.prod(access.most) * itemsize
        scattered = [axis.most for axis in access.axes if axis.scattered]
        # Scattered elements are copied out of their chunks, by lists of positions.
        picked = region + POSITION_BYTES * sum(scattered) if scattered else 0
        if layout.resident_bytes is not None:
            return _Reading(layout.resident_bytes + (region if scattered else 0), picked, 0, layout)
        one = math.prod(map(min, layout.chunks, node.shape)) * itemsize if node.shape else itemsize
        several = not all(map(_within_one, access.axes, layout.chunks, node.shape))
        # Zarr decodes several chunks at a time, and of scattered ones holds more than it takes of them.
        at_once = min(max(scattered, default=1), ZARR_CHUNKS_AT_ONCE) if layout.copies else 1
        at_once *= layout.encoded
        passing = one * (at_once + several) + layout.copies * region + picked
        shifted = not several and any(
            axis.positions is None and axis.offset for axis in access.axes
        )
        return _Reading(max(region, one), passing, one * shifted, layout)


class _Reading(NamedTuple):
    """The bytes that an input takes: what is held, what passes while it is read, and what more would with other chunks.

    The last is for borders of chunks that are now where tasks begin to read, and with others would not be.
    """

    held: int
    passing: int
    shifted: int
    layout: StorageLayout


def _reading_bytes(
    reads: Sequence[_Reading], accesses: Sequence[AccessMap | None], *, further: int = 0
) -> int:
    """Return the most bytes that one task holds of its inputs while it reads them."""
    if all(map(attrgetter("layout.in_turn"), reads)):
        passing = max([r.passing for r in reads], default=0)
        return passing + _most_at_once([r.held for r in reads], accesses, further=further)
    return _most_at_once([r.held + r.passing for r in reads], accesses, further=further)


def _most_at_once(
    needs: Sequence[int], accesses: Sequence[AccessMap | None], *, further: int = 0
) -> int:
    """Return the most bytes that one task reads, where each access (None: every task's) needs that many.

    Of the parts of a concatenation, each task reads few. With ``further``, tasks as many places behind a part read it.
    """
    guards = [() if access is None else access.guards for access in accesses]
    if not any(guards):
        return sum(needs)
    axes = Counter(axis for each in guards for axis in {axis for axis, _, _ in each})
    along = max(axes, key=axes.__getitem__, default=0)
    always, changes = 0, dict[int, int]()
    for size, each in zip(needs, guards, strict=True):
        ranges = [(start, stop) for axis, start, stop in each if axis == along]
        if not ranges:
            always += size
            continue
        start, stop = max(r[0] for r in ranges), min(r[1] for r in ranges) + further
        if start + further < stop:
            changes[start] = changes.get(start, 0) + size
            changes[stop] = changes.get(stop, 0) - size
    return always + max(accumulate(changes[place] for place in sorted(changes)), default=0)


def _positions_bytes(group: FusionGroup) -> int:
    """Return the size of the lists of positions that every worker holds, once pickled and once as they are."""
    found = {
        axis.positions
        for accesses in group.accesses.values()
        for access in accesses
        for axis in access.axes
        if axis.positions is not None
    }
    return sum(2 * positions.nbytes for positions in found)


def _within_one(access: AxisAccess, chunk: int, extent: int) -> bool:
    if access.positions is not None:
        return _takes_whole_chunks(access, chunk)
    return extent <= chunk or access.most <= 1 or access.blocks(chunk, extent) is not None


def _takes_whole_chunks(access: AxisAccess, chunk: int) -> bool:
    """Return True if a list of positions is of whole chunks, of which a task takes one."""
    listed = access.positions
    if (
        not isinstance(listed, Runs)
        or isinstance(chunk, Lengths)
        or isinstance(access.block, Lengths)
    ):
        return False
    aligned = access.most == chunk and not any(
        n % chunk for n in (access.block, access.lo, access.offset)
    )
    whole = not (listed.starts % chunk).any() and not (listed.counts % chunk).any()
    return aligned and whole and listed.stride == access.step == 1


def _contiguous(group: FusionGroup, root: Node) -> bool:
    """Return True if a task's result lies in memory in order, so that it is encoded without a copy."""
    if any(isinstance(node, View) for node in group.members):
        # NumPy's results keep the order of what they are made of.
        return False
    if not root.aliases or isinstance(root, OutputOf):
        return True
    # A copy of what was read: put together from chunks, or a whole one; a piece of a chunk is a view of it.
    return all(
        most >= min(chunk, n)
        for node, access in group.reads
        for most, chunk, n in zip(access.most, node.chunks, node.shape, strict=True)
    )
