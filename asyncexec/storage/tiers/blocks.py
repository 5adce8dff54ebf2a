"""The blocks of an array in a tier: reading a region of several, and how they lie in memory."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncexec.errors import CorruptChunkError
from asyncexec.plan.lengths import block_at, block_start
from asyncexec.storage.chunks.chunk_slices import assign, chunk_slices, shape_of, within_one_chunk
from asyncexec.storage.places.errors import together

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncexec.plan.access import Region
    from asyncexec.plan.box import Index, Shape


def read_blocks(
    region: Region, block: Shape, dtype: np.dtype[Any], get: Callable[[Index], np.ndarray]
) -> np.ndarray:
    """Return the elements in ``region`` of an array of blocks, read-only; within one block without copying it.

    ``get(index)`` returns a block.

    Raises
    ------
    CorruptChunkError
        If ``get`` does; of all the blocks at once, so that they can be made again together.
    """
    pieces = [chunk_slices(along, size) for along, size in zip(region, block, strict=True)]
    found: np.ndarray
    if (one := within_one_chunk(pieces)) is not None:
        chunk, inner = one
        found = get(chunk)[inner]
    else:
        found = np.empty(shape_of(region), dtype)
        damaged: list[CorruptChunkError] = []
        for combination in product(*pieces):
            chunk, inner, outer = zip(*combination, strict=True)
            try:
                assign(found, outer, get(chunk), inner)
            # Gathered, so that all that is lost can be made again at once.
            except CorruptChunkError as error:
                damaged.append(error)
        if damaged:
            raise together(damaged)
    found.flags.writeable = False
    return found


def blocks_in(region: Region, block: Shape) -> list[Index]:
    """Return the numbers of the blocks that ``region`` touches.

    >>> from asyncexec.storage.tiers.blocks import blocks_in
    >>> blocks_in((slice(3, 5), slice(0, 2)), (4, 4))
    [(0, 0), (1, 0)]
    """
    along = zip(region, block, strict=True)
    return list(product(*[[part.chunk for part in chunk_slices(a, size)] for a, size in along]))


async def assembled(
    region: Region, block: Shape, dtype: np.dtype[Any], blocks: dict[Index, np.ndarray]
) -> np.ndarray:
    """Do what :func:`read_blocks` does with blocks that are there, without blocking the event loop."""
    if len(blocks) == 1:  # Nothing is copied.
        return read_blocks(region, block, dtype, blocks.__getitem__)
    import asyncio  # noqa: PLC0415 - dear, and most workers await nothing

    return await asyncio.to_thread(read_blocks, region, block, dtype, blocks.__getitem__)


def block_region(index: Index, block: Shape, shape: Shape) -> tuple[slice, ...]:
    """Return the region of the block at ``index``, cut to the array's shape."""
    along = zip(index, block, shape, strict=True)
    return tuple([slice(block_start(b, i), min(block_start(b, i + 1), n)) for i, b, n in along])


def block_number(region: tuple[slice, ...], block: Shape) -> Index:
    """Return the number of the block that begins where ``region`` does."""
    return tuple([block_at(b, along.start) for along, b in zip(region, block, strict=True)])


def units_of(index: Index, block: Shape, unit: Shape) -> Index:
    """Return the first chunk (or shard) of the block at ``index``, by which an error names it."""
    along = zip(index, block, unit, strict=True)
    return tuple([block_at(of, block_start(size, i)) for i, size, of in along])


def repeats(block: np.ndarray) -> bool:
    """Return whether ``block`` is a view that repeats a single element, of which memory takes that element alone."""
    return block.size > 1 and not any(block.strides)


def held_bytes(block: np.ndarray) -> int:
    """Return the bytes that ``block`` takes in memory."""
    return block.itemsize if block.size > 1 and not any(block.strides) else block.nbytes


def axes_in_memory(block: np.ndarray) -> bytes:
    r"""Return the axes in the order in which they lie in memory, a byte each; none for C order, or where there is none.

    To bring a large block into C order takes memory for another one, and a while: groups, say, lie before the axes
    along which they were made.

    >>> from asyncexec.storage.tiers.blocks import axes_in_memory
    >>> block = np.zeros((2, 3, 4))
    >>> axes_in_memory(block), axes_in_memory(block.transpose(1, 2, 0)), axes_in_memory(block[:, ::2])
    (b'', b'\x02\x00\x01', b'')
    """
    if block.flags.c_contiguous or repeats(block):
        return b""
    axes = sorted(range(block.ndim), key=block.strides.__getitem__, reverse=True)
    return bytes(axes) if block.transpose(axes).flags.c_contiguous else b""


def elements_in_order(block: np.ndarray, axes: bytes) -> np.ndarray:
    """Return the elements of a block one after another, in the order of ``axes``."""
    return np.ascontiguousarray(block.transpose(tuple(axes)) if axes else block).reshape(-1)


def block_in_order(elements: np.ndarray, axes: bytes, shape: Shape) -> np.ndarray | None:
    """Return the block of ``shape`` with these elements in the order of ``axes``, or None where that is no order."""
    if sorted(axes) != list(range(len(shape))):
        return None
    return elements.reshape([shape[axis] for axis in axes]).transpose(np.argsort(list(axes)))
