"""Selection by large masks: counts per chunk are evaluated, each chunk is compacted, and a view drops the padding.

Where a mask covers several axes, these become one axis in C order first, so that elements come in NumPy's order.
What is selected of each chunk is a chunk of the result, in its own length. Where some chunks have nothing, every chunk
is compacted into a block as long as the most that any chunk has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from asyncexec.array import build, chunks as chunking
from asyncexec.array.axis_groups import empty_node, joined
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.chunks import POSITION_BYTES
from asyncexec.array.index_kernels import Compact, NumbersOfTrue, count_true
from asyncexec.array.index_keys import Evaluate, Numbers, WideMask
from asyncexec.array.nodes import Node
from asyncexec.array.operands import own_source
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.lengths import count_blocks, each_length, fitting_length, lengths_of
from asyncexec.plan.runs import Runs

_LEAST = 16
"""What is selected of chunks is put together to longer ones where it is less than this part of them."""

_LISTS = 4
"""Lists of positions in a task may take this many times the size of a chunk: there is room for ten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedMask:
    """A mask along one axis, with how many elements of each of its chunks are true."""

    node: Node
    counts: Numbers

    @property
    def total(self) -> int:
        """The number of true elements."""
        return int(self.counts.sum())

    @property
    def most(self) -> int:
        """The most that are true in a chunk; at least 1."""
        return max(1, int(self.counts.max(initial=0)))


def counted(mask: WideMask, chunk: int, evaluate: Evaluate, *, limit: int) -> CountedMask:
    """Return ``mask`` over one axis, in chunks of ``chunk``, with the counts of its chunks.

    They are evaluated where the mask is not in memory.
    """
    given = mask.elements
    if isinstance(given, np.ndarray):
        begins = np.cumsum([0, *each_length(given.size, chunk)])[:-1]
        found = np.add.reduceat(given.ravel(), begins, dtype=np.int64) if given.size else begins
        return CountedMask(node=own_source(given.ravel(), chunk), counts=found)
    node = joined(given, 0, len(given.shape), limit=limit, operation="getitem")
    flat = build.with_chunks(node, (chunk,))
    (blocks,) = chunking.grid(flat.shape, flat.chunks)
    if not blocks:
        return CountedMask(node=flat, counts=np.zeros(0, np.int64))
    each = Blocks(
        operation="count_true",
        call=count_true,
        keywords={},
        inputs=(flat,),
        axes=((0,),),
        shape=(blocks,),
        chunks=(1,),
        dtype=np.dtype(np.int64),
    )
    return CountedMask(node=flat, counts=np.asarray(evaluate(each)))


def natural_length(counts: Numbers, chunk: int, limit: int) -> int:
    """Return the chunk lengths of what is selected of chunks of ``chunk``: its parts, unless these are short."""
    some = counts[counts > 0]
    if len(some) > chunking.MOST_LISTED or some.sum() * _LEAST < len(some) * int(chunk):
        return _length(int(chunk), limit)
    return lengths_of(some.tolist())


def selected_by_mask(
    node: Node, mask: WideMask, place: int, evaluate: Evaluate, *, limit: int
) -> Node:
    """Return what ``mask`` selects of ``node``, along one axis, before which ``place`` other axes come."""
    axis, covered = mask.axis, mask.elements.shape
    count = len(covered)
    if covered != node.shape[axis : axis + count]:
        shape = (*node.shape[:axis], *node.shape[axis + count :])
        return empty_node("getitem", (*shape[:place], 0, *shape[place:]), node.dtype)
    flat = joined(node, axis, count, limit=limit, operation="getitem")
    if not math.prod(flat.shape):
        known = counted(mask, 1, evaluate, limit=limit).total if flat.shape[axis] else 0
        found = empty_node(
            "getitem", (*flat.shape[:axis], known, *flat.shape[axis + 1 :]), node.dtype
        )
    else:
        known_mask = counted(mask, flat.chunks[axis], evaluate, limit=limit)
        found = _compacted(flat, known_mask, axis, limit)
    if axis == place:
        return found
    axes = [a for a in range(len(found.shape)) if a != axis]
    axes.insert(place, axis)
    return build.permute(found, axes, "getitem")


def _compacted(node: Node, mask: CountedMask, axis: int, limit: int) -> Node:
    blocks, most = len(mask.counts), mask.most
    shape, chunks = list(node.shape), list(node.chunks)
    natural = natural_length(mask.counts, node.chunks[axis], limit)
    direct = count_blocks(mask.total, natural) == blocks == np.count_nonzero(mask.counts)
    shape[axis], chunks[axis] = (mask.total, natural) if direct else (blocks * most, most)
    own = tuple(range(len(shape)))
    padded = Blocks(
        operation="getitem",
        call=Compact(axis, None if direct else most),
        keywords={},
        inputs=(node, mask.node),
        axes=(own, (axis,)),
        shape=tuple(shape),
        chunks=tuple(chunks),
        dtype=node.dtype,
        # The mask becomes a list of positions.
        extra_bytes=16 * node.chunks[axis],
    )
    return padded if direct else _in_front(padded, mask, axis, natural)


def numbers_of_true(mask: CountedMask, *, limit: int) -> Node:
    """Return the numbers of the true elements of ``mask``, in order."""
    most, chunk = mask.most, mask.node.chunks[0]
    padded = Blocks(
        operation="nonzero",
        call=NumbersOfTrue(chunk, most),
        keywords={},
        inputs=(mask.node,),
        axes=((0,),),
        shape=(len(mask.counts) * most,),
        chunks=(most,),
        dtype=np.dtype(np.int64),
        wants_block_id=True,
        extra_bytes=16 * chunk,
    )
    return _in_front(padded, mask, 0, natural_length(mask.counts, chunk, limit))


def _length(chunk: int, limit: int) -> int:
    """Return the length of the chunks of a selection: ``chunk``, or what a list of positions allows."""
    return min(chunk, max(1, _LISTS * limit // POSITION_BYTES))


def _in_front(padded: Node, mask: CountedMask, axis: int, chunk: int) -> Node:
    """Return what stands in front of each block of ``padded``, in chunks of ``chunk``."""
    runs = Runs(np.arange(len(mask.counts)) * mask.most, mask.counts)
    views = [
        AxisAccess.taken(axis, runs) if a == axis else AxisAccess.view(a, n)
        for a, n in enumerate(padded.shape)
    ]
    shape = (*padded.shape[:axis], mask.total, *padded.shape[axis + 1 :])
    chunk = fitting_length(mask.total, chunk)
    chunks = (*padded.chunks[:axis], chunk, *padded.chunks[axis + 1 :])
    return build.view(padded.operation, padded, views, shape, chunks)
