"""Chunk lengths of products of two arrays: of the result, and of what is summed over.

A task reads a block of either array and multiplies them. Blocks of the result are those of the arrays, but at least
:data:`FEWEST` elements long on either side, or more, where memory allows it: each element that is read is used once for
each element of the other side. What is summed over is read whole where it fits, and otherwise in groups whose partial
results are added in further stages.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asyncexec.array.nodes import Node

FEWEST, GOOD = 512, 1500
"""The rows or columns of a block of the result that are worth reading more chunks for.

Below the first, reading takes longer than multiplying. Up to the second it still pays, where there are blocks enough.
"""

_BLOCKS_ENOUGH = 32
"""So many blocks of the result keep the workers busy."""

PARTIAL_SHARE = 16
"""How much larger the blocks that are read may be than the partial result that they make, in bytes."""

_SHARE_MADE, _SHARE_READ = 16, 5
"""The parts of a task's memory that the block it makes, and the blocks it reads, may take.

Blocks that are read may be copied, to be in the order that BLAS takes, and their chunks pass by while they are read.
"""

type Lengths = dict[Any, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductAxes:
    """The labelled axes of a product of two arrays.

    Attributes
    ----------
    left, right, out : sequence
        The labels of the arrays and of the result. What both arrays have and the result lacks is summed over.
    lengths, own : dict
        The length of each label's axis, and the chunk length that it has in the larger of the arrays with it.
    itemsize : int
        Of the result, in bytes.
    """

    left: Sequence[Any]
    right: Sequence[Any]
    out: Sequence[Any]
    lengths: Mapping[Any, int]
    own: Mapping[Any, int]
    itemsize: int

    @property
    def summed(self) -> list[Any]:
        """The labels that are summed over."""
        return [label for label in self.left if label not in self.out]

    def read_bytes(self, chunks: Mapping[Any, int]) -> int:
        """Return the size of the two blocks that a task reads."""
        sides = (self.left, self.right)
        return sum(math.prod(chunks[label] for label in side) for side in sides) * self.itemsize

    def blocks(self, chunks: Mapping[Any, int]) -> int:
        """Return how many blocks the result has."""
        return math.prod(-(-self.lengths[label] // chunks[label]) for label in self.out)

    def copied_bytes(self, chunks: Mapping[Any, int]) -> int:
        """Return the size of those of the two blocks whose axes are not in the order that matrix products take."""
        both = [label for label in self.out if label in self.left and label in self.right]
        total = 0
        for side, other in ((self.left, self.right), (self.right, self.left)):
            alone = [label for label in self.out if label not in other]
            inner = self.summed
            if list(side) not in ([*both, *alone, *inner], [*both, *inner, *alone]):
                total += math.prod(chunks[label] for label in side) * self.itemsize
        return total

    def largest_bytes(self, chunks: Mapping[Any, int]) -> int:
        """Return the size of the larger of the two blocks that a task reads."""
        sides = (self.left, self.right)
        return max(math.prod(chunks[label] for label in side) for side in sides) * self.itemsize

    def made_bytes(self, chunks: Mapping[Any, int]) -> int:
        """Return the size of the block that a task makes."""
        return math.prod(chunks[label] for label in self.out) * self.itemsize


def axes_of(
    left: Node, right: Node, labels: tuple[Sequence[Any], Sequence[Any], Sequence[Any]]
) -> ProductAxes:
    """Return the axes of the product of two nodes of one element type, from the labels of both and of the result."""
    lengths: Lengths = {}
    own: Lengths = {}
    sides = [(left, labels[0]), (right, labels[1])]
    for node, side in sorted(sides, key=lambda pair: -math.prod(pair[0].shape)):
        for label, n, chunk in zip(side, node.shape, node.chunks, strict=True):
            if label not in lengths or lengths[label] == 1 != n:
                lengths[label], own[label] = n, max(1, min(chunk, n))
    return ProductAxes(
        left=labels[0],
        right=labels[1],
        out=labels[2],
        lengths=lengths,
        own=own,
        itemsize=left.dtype.itemsize,
    )


def product_chunks(axes: ProductAxes, *, limit: int, free_bytes: int) -> Lengths:
    """Return the chunk length along each label.

    Parameters
    ----------
    axes : ProductAxes
    limit : int
        The size of blocks of the result to aim at, in bytes.
    free_bytes : int
        The bytes of data that a task may hold.
    """
    chunks = dict(axes.own)
    most = max(1, min(max(limit, axes.largest_bytes(chunks)), free_bytes // _SHARE_MADE))
    _shrink(chunks, axes.out, axes.made_bytes, most)
    if axes.summed:
        _lengthen_sides(axes, chunks, min(limit, most))
    readable = max(1, free_bytes // _SHARE_READ)
    _shrink(chunks, axes.summed, axes.read_bytes, readable)
    _shrink(chunks, axes.out, axes.read_bytes, readable)
    _lengthen_sums(axes, chunks, readable)
    return chunks


def _shrink(
    chunks: Lengths, labels: Sequence[Any], size: Callable[[Lengths], int], most: int
) -> None:
    """Halve the longest of ``labels`` until ``size`` of a block is at most ``most``, or none can be halved."""
    while size(chunks) > most:
        longest = max(labels, key=chunks.__getitem__, default=None)
        if longest is None or chunks[longest] <= 1:
            return
        chunks[longest] = -(-chunks[longest] // 2)


def _lengthen_sides(axes: ProductAxes, chunks: Lengths, most: int) -> None:
    """Put whole chunks together on both sides of the result, the shorter first, until each has enough elements."""
    shared = set(axes.left) & set(axes.right)
    sides = [
        [label for label in reversed(axes.out) if label in own and label not in shared]
        for own in (axes.left, axes.right)
    ]
    while True:
        growing = [
            (math.prod(chunks[label] for label in side), label)
            for side in sides
            for label in side
            if chunks[label] < axes.lengths[label]
        ]
        fewest = GOOD if axes.blocks(chunks) >= 2 * _BLOCKS_ENOUGH else FEWEST
        growing = [each for each in growing if each[0] < fewest]
        if not growing or 2 * axes.made_bytes(chunks) > most:
            return
        label = min(growing, key=lambda each: each[0])[1]
        chunks[label] = min(2 * chunks[label], axes.lengths[label])


def _lengthen_sums(axes: ProductAxes, chunks: Lengths, most: int) -> None:
    """Put whole chunks of what is summed over together, as many as memory and the size of partial results allow."""
    for label in reversed(axes.summed):
        count = -(-axes.lengths[label] // chunks[label])
        wanted = min(most, PARTIAL_SHARE * axes.made_bytes(chunks))
        whole = axes.read_bytes({**chunks, label: axes.lengths[label]})
        if whole <= wanted:
            chunks[label] = axes.lengths[label]
            continue
        together = min(count, wanted // max(1, axes.read_bytes(chunks)))
        if together > 1:
            # Groups of about the same size.
            groups = -(-count // together)
            chunks[label] = min(-(-count // groups) * chunks[label], axes.lengths[label])


__all__ = ["ProductAxes", "axes_of", "product_chunks"]
