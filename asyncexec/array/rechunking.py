"""From any chunks to any chunks in bounded memory: which intermediate chunks to go through.

The algorithm is the one of the *rechunker* project (Abernathey et al., https://rechunker.readthedocs.io/en/latest/algorithm.html),
which writes each element a bounded number of times and never holds more than a given number of bytes in a task:

1. Source chunks are put together to *read blocks* as large as memory allows, and target chunks to *write blocks*.
2. If one block serves both, a single pass copies it. Otherwise a first pass reads read blocks and writes chunks of the
   elementwise minimum of the two, and a second pass reads those in write blocks.
3. If those intermediate chunks would be many and tiny, blocks in geometric progression between read and write blocks
   make more passes of fewer, larger chunks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from asyncexec.array.chunks import clipped, grid, is_regular
from asyncexec.plan.box import Shape
from asyncexec.plan.lengths import Lengths, count_blocks

MOST_AMPLIFICATION = 2.0
"""How often a source chunk may be read, on average, rather than go through an intermediate array."""

MOST_PASSES = 5
FEWEST_INTERMEDIATE_BYTES = 1_000_000
"""Intermediate chunks below this size are avoided by more passes."""


@dataclass(frozen=True, slots=True)
class RechunkStep:
    """One pass: each task reads and writes ``block``, which lies in storage in ``chunks``."""

    block: Shape
    chunks: Shape


def plan_rechunk(
    shape: Shape, itemsize: int, source: Shape, target: Shape, *, most_bytes: int
) -> tuple[RechunkStep, ...]:
    """Return the passes from chunks ``source`` to chunks ``target``; the last one's chunks are ``target``.

    Parameters
    ----------
    shape : tuple of int
    itemsize : int
        Bytes per element.
    source, target : tuple of int
        Chunk lengths.
    most_bytes : int
        The largest block a task may hold. A single source or target chunk is taken even where it is larger.
    """
    if not is_regular((*source, *target)):
        return _between_listed(shape, itemsize, source, target, most_bytes)
    read = consolidated(shape, itemsize, source, most_bytes, toward=target)
    write = consolidated(shape, itemsize, target, most_bytes, toward=source)
    if amplification(shape, source, write) <= MOST_AMPLIFICATION:
        return (RechunkStep(write, target),)
    best = _through(shape, [read, write], target)
    for passes in range(3, MOST_PASSES + 1):
        if _smallest_chunk(best[:-1], itemsize) >= FEWEST_INTERMEDIATE_BYTES:
            break
        candidate = _through(shape, geometric(read, write, passes), target)
        if _pieces(shape, candidate) >= _pieces(shape, best):
            break
        best = candidate
    return best


def _between_listed(
    shape: Shape, itemsize: int, source: Shape, target: Shape, most_bytes: int
) -> tuple[RechunkStep, ...]:
    """Return the passes where chunks differ in length: those between the longest, of which the last writes ``target``.

    Along an axis whose target chunks are listed, a task writes one of them.
    """
    regular = [tuple(int(c) for c in chunks) for chunks in (source, target)]
    *before, last = plan_rechunk(shape, itemsize, *regular, most_bytes=most_bytes)
    along = zip(target, last.block, strict=True)
    return (
        *before,
        RechunkStep(tuple(t if isinstance(t, Lengths) else b for t, b in along), target),
    )


def consolidated(
    shape: Shape, itemsize: int, chunks: Shape, most_bytes: int, *, toward: Shape
) -> Shape:
    """Return a multiple of ``chunks`` of at most ``most_bytes``, grown along the axes where ``toward`` is longer.

    It grows no further than to cover ``toward``; the last axes grow first.
    """
    block = list(clipped(chunks, shape))
    for axis in reversed(range(len(shape))):
        n, chunk = shape[axis], block[axis]
        if toward[axis] <= chunk:
            continue
        room = most_bytes // max(math.prod(block) * itemsize, 1)
        wanted = min(-(-toward[axis] // chunk), max(room, 1)) * chunk
        block[axis] = max(1, min(wanted, n))
    return tuple(block)


def amplification(shape: Shape, source: Shape, block: Shape) -> float:
    """Return how many times a source chunk is read, on average, when it is read in blocks of ``block``."""
    times = 1.0
    for n, chunk, length in zip(shape, source, block, strict=True):
        if isinstance(chunk, Lengths) or isinstance(length, Lengths):
            chunks = count_blocks(n, chunk)
            times *= len(set(_borders(n, chunk)) | set(_borders(n, length))) / chunks + 1 / chunks
            continue
        if n <= chunk:
            times *= max(1, -(-n // length))
            continue
        if length >= n or length % chunk == 0:
            continue
        # Borders between blocks that are not borders of chunks cut a chunk in two.
        blocks, chunks = -(-n // length), -(-n // chunk)
        shared = math.lcm(length, chunk) // length
        aligned = (blocks - 1) // shared
        times *= 1 + (blocks - 1 - aligned) / chunks
    return times


def _borders(extent: int, length: int) -> Sequence[int]:
    return length.ends[:-1] if isinstance(length, Lengths) else range(length, extent, length)


def geometric(read: Shape, write: Shape, passes: int) -> list[Shape]:
    """Return ``passes`` blocks from ``read`` to ``write`` in geometric progression, axis by axis."""
    blocks: list[Shape] = []
    for k in range(passes):
        share = k / (passes - 1)
        pairs = zip(read, write, strict=True)
        blocks.append(tuple(max(1, int(r ** (1 - share) * w**share)) for r, w in pairs))
    return [read, *blocks[1:-1], write]


def _through(shape: Shape, blocks: Sequence[Shape], target: Shape) -> tuple[RechunkStep, ...]:
    """Return passes over ``blocks``; each but the last writes chunks that suit it and the next."""
    passes: list[RechunkStep] = []
    for block, following in pairwise(blocks):
        chunks = tuple(map(min, block, following))
        # A block that is longer than the next one's is cut to whole multiples, so that no chunk has two writers.
        whole = tuple(
            b if b >= n else b // c * c for b, c, n in zip(block, chunks, shape, strict=True)
        )
        passes.append(RechunkStep(whole, chunks))
    return (*passes, RechunkStep(blocks[-1], target))


def _smallest_chunk(passes: Sequence[RechunkStep], itemsize: int) -> int:
    return min((math.prod(p.chunks) * itemsize for p in passes), default=0)


def _pieces(shape: Shape, passes: Sequence[RechunkStep]) -> int:
    """Return how many chunks are written in all."""
    return sum(math.prod(grid(shape, p.chunks)) for p in passes)
