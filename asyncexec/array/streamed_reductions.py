"""The pass of a reduction whose tasks take several pieces one after another, and the choice of how many.

A plan does not know the workers that it will have, so there are tasks for a stated number of them, and results do not
depend on how many there are. A task takes no more than ``MOST_PIECES``: what is added one after another stays as exact
as NumPy's own sums, which add as many in a row, and a task that fails or is slow costs little.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from asyncexec.array.chunks import grid
from asyncexec.array.kernels import BlockFunction
from asyncexec.array.nodes import DType, Node
from asyncexec.array.outputs import ArrayOutput
from asyncexec.array.reducers import Reducer
from asyncexec.array.streaming_kernels import MergePieces
from asyncexec.plan.access_map import AccessMap, of_blocks
from asyncexec.plan.box import Shape
from asyncexec.plan.pieces import Pieces

REDUCTION_TASKS = 64
"""The tasks that the first pass of a reduction has at least, where it has as many chunks."""

MOST_PIECES = 64
"""The most chunks that a task of a reduction takes one after another."""


LARGE_BYTES = 1_000_000
"""Partial results from this size on are merged one after another, not copied side by side and merged at once."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class StreamedReduction:
    """Partial results of neighbouring pieces, merged one after another by a task.

    Attributes
    ----------
    inputs : tuple of Node
        The arrays of partial results, in chunks of length 1 along ``axes``.
    lengths : tuple of int
        How many pieces a task takes along each of ``axes``.
    units, extents : tuple of int
        How many elements of the array that is reduced a piece stands for along each of them, and how many there are.
    last : Reducer or None
        What makes the result, where it is finished here.
    computes : bool
        Whether a task computes the partial results of its pieces, where nobody else reads them; else they are stored
        before, as fewer tasks would compute them.
    merging_bytes : int
        What a task needs for partial results.
    """

    operation: str
    reducer: Reducer
    inputs: tuple[Node, ...]
    axes: tuple[int, ...]
    lengths: tuple[int, ...]
    units: tuple[int, ...]
    extents: tuple[int, ...]
    last: Reducer | None
    computes: bool
    shape: Shape = field(init=False)
    chunks: Shape = field(init=False)
    dtype: DType = field(init=False)
    outputs: tuple[ArrayOutput, ...] = field(init=False)
    pieces: Pieces = field(init=False)
    merging_bytes: int = field(init=False)
    inline: bool = field(default=False, init=False)
    aliases: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        of = self.inputs[0]
        lengths = [1] * len(of.shape)
        for axis, length in zip(self.axes, self.lengths, strict=True):
            lengths[axis] = length
        pieces = Pieces(grid(of.shape, of.chunks), tuple(lengths))
        shape = tuple(
            tasks if axis in self.axes else of.shape[axis]
            for axis, tasks in enumerate(pieces.shape)
        )
        partials = self.reducer.partial_dtypes
        made = partials if self.last is None else (self.last.result_dtype,)
        each = math.prod(map(min, of.chunks, of.shape)) * sum(d.itemsize for d in partials)
        set_once = partial(object.__setattr__, self)
        set_once("shape", shape)
        set_once("chunks", of.chunks)
        set_once("dtype", made[0])
        set_once("pieces", pieces)
        # One partial result is held, and one is that of a piece.
        set_once("merging_bytes", (2 + self.reducer.adding_copies) * each)
        outputs = (ArrayOutput(shape=shape, chunks=of.chunks, dtype=dtype) for dtype in made)
        set_once("outputs", tuple(outputs))

    def accesses(self, out: AccessMap) -> tuple[AccessMap | None, ...]:
        # Nobody computes it on the way: its own tasks take pieces, whatever they make of them.
        of = self.inputs[0]
        return (of_blocks(of.shape, of.chunks),) * len(self.inputs)

    def accepts(self, out: AccessMap, grid: Shape) -> bool:
        return False

    def function(self, out: AccessMap) -> BlockFunction:
        raise AssertionError("pieces are merged one after another")

    def merge(self) -> MergePieces:
        """Return what a task does with the partial results of its pieces."""
        of = self.inputs[0]
        return MergePieces(
            reducer=self.reducer,
            axes=self.axes,
            units=self.units,
            extents=self.extents,
            last=self.last,
            access=of_blocks(of.shape, of.chunks),
        )

    def working_bytes(self, out: AccessMap) -> int:
        return self.merging_bytes


def piece_lengths(counts: Sequence[int], kept: int, tasks: int) -> tuple[int, ...]:
    """Return how many chunks a task of a reduction takes along each reduced axis.

    >>> from asyncexec.array.streamed_reductions import piece_lengths
    >>> piece_lengths((200,), 1, 64), piece_lengths((40,), 1, 64), piece_lengths((6, 40), 100, 64)
    ((3,), (1,), (1, 40))

    Parameters
    ----------
    counts : sequence of int
        The number of chunks along each of them.
    kept : int
        The number of chunks along all other axes together.
    tasks : int
        The tasks that there are to be at least, where there are as many chunks.
    """
    wanted = -(-tasks // max(kept, 1))
    most = min(math.prod(counts) // wanted, MOST_PIECES)
    lengths = [1] * len(counts)
    # Neighbours in storage first.
    for place in reversed(range(len(counts))):
        longest = max(1, min(counts[place], most))
        most //= longest
        # As even as can be.
        lengths[place] = -(-counts[place] // max(1, -(-counts[place] // longest))) or 1
    return tuple(lengths)
