"""The calls of functions of whole blocks, as workers make them: with constants, numbers of blocks, and padding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asyncexec.array.kernels import read_only
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Index, Shape
from asyncexec.plan.lengths import block_start, count_blocks
from asyncexec.plan.masked import unmasked

type EachLength = tuple[int, ...] | None
"""The length of each block along an axis, where some have no elements; None where all have those of chunks."""


@dataclass(frozen=True, slots=True)
class UserCall:
    """A user's function with its keywords, and constants at their places among the blocks."""

    function: Callable[..., Any]
    keywords: Mapping[str, Any]
    wants_block_id: bool
    constants: tuple[tuple[int, Any], ...] = ()
    wants_block_info: bool = False

    def __call__(self, *blocks: Any, **more: Any) -> Any:
        arguments = list(blocks)
        for place, constant in self.constants:
            arguments.insert(place, constant)
        return self.function(*arguments, **more)


def is_of_user(call: Any) -> bool:
    """Return whether a function of blocks calls one of a user, whose time is not known."""
    while not isinstance(call, UserCall):
        inner = next(
            (getattr(call, n) for n in ("call", "function", "func") if hasattr(call, n)), 0
        )
        if not callable(inner):
            home = getattr(call, "__module__", None) or type(call).__module__
            # One of NumPy is a user's too: what is ours is put into a callable of our own.
            return home.partition(".")[0] != "asyncexec"
        call = inner
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockGrid:
    """The blocks of one array, as a function of the result's block number.

    Attributes
    ----------
    shape, chunks : tuple of int
    axes : tuple of (int or None)
        The axis of the result whose block number each axis follows; None where the function gets the whole axis.
    dtype : dtype
    lengths : tuple
        Of each axis the lengths of its blocks, where some have no elements.
    """

    shape: Shape
    chunks: Shape
    axes: tuple[int | None, ...]
    dtype: np.dtype[Any]
    lengths: tuple[EachLength, ...]

    def at(self, block_id: Index) -> dict[str, Any]:
        """Return what ``block_info`` has of the block that goes with the result's block ``block_id``."""
        numbers, places, counts = [], [], []
        for axis, n, chunk, lengths in zip(
            self.axes, self.shape, self.chunks, self.lengths, strict=True
        ):
            follows = axis is not None and (lengths is not None or n > chunk)
            number = block_id[axis] if follows and axis is not None else 0
            numbers.append(number)
            if not follows:
                places.append((0, n))
                counts.append(1)
            elif lengths is None:
                first, end = block_start(chunk, number), block_start(chunk, number + 1)
                places.append((min(first, n), min(end, n)))
                counts.append(count_blocks(n, chunk))
            else:
                begin = sum(lengths[:number])
                places.append((begin, begin + lengths[number]))
                counts.append(len(lengths))
        return {
            "shape": self.shape,
            "num-chunks": tuple(counts),
            "array-location": places,
            "chunk-location": tuple(numbers),
            "chunk-shape": tuple(stop - start for start, stop in places),
            "dtype": self.dtype,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockCaller:
    """Calls a function with what it wants to know of its block, and pads what it returns to the longest of them.

    Attributes
    ----------
    call : UserCall
    name : str
        Of the function, in messages.
    grids : mapping of (int or None) to BlockGrid
        Of each array by its place among the arguments, and of the result (None); empty where nobody asks.
    lengths : tuple
        Of each axis of the result the lengths of its blocks, where some have no elements.
    """

    call: UserCall
    name: str
    grids: Mapping[int | None, BlockGrid]
    lengths: tuple[EachLength, ...]

    def __call__(self, *blocks: Any, block_id: Index, **keywords: Any) -> Any:
        if self.call.wants_block_id:
            keywords["block_id"] = block_id
        if self.call.wants_block_info:
            keywords["block_info"] = {k: grid.at(block_id) for k, grid in self.grids.items()}
        returned = self.call(*blocks, **keywords)
        if all(each is None for each in self.lengths):
            return returned
        result = np.asarray(unmasked(returned, f"what {self.name} returned for chunk {block_id}"))
        return self._padded(result, block_id)

    def _padded(self, result: Any, block_id: Index) -> Any:
        fits = result.ndim == len(self.lengths) and all(
            each is None or n == each[number]
            for n, each, number in zip(result.shape, self.lengths, block_id, strict=True)
        )
        if not fits:
            promised = tuple(
                "any" if each is None else each[number]
                for each, number in zip(self.lengths, block_id, strict=True)
            )
            raise ValueError(
                f"{self.name} returned a block of shape {result.shape} for chunk {block_id}, for which chunks= "
                f"promised the lengths {promised}"
            )
        lengths = zip(result.shape, self.lengths, strict=True)
        padded = tuple(n if each is None else max(1, *each) for n, each in lengths)
        if padded == result.shape:
            return result
        filled = np.zeros(padded, result.dtype)
        filled[tuple(slice(n) for n in result.shape)] = result
        return filled


@dataclass(frozen=True, slots=True, kw_only=True)
class CallForOutputs:
    """The step that calls a function of whole blocks for several results, and checks what it returns.

    Attributes
    ----------
    access : AccessMap
        The part of the axes that are followed block by block; each result has these first.
    core_shapes : tuple of tuple of int
        The lengths of the other axes of each result.
    dtypes : tuple of dtype
        What each result must have.
    """

    name: str
    function: Callable[..., tuple[Any, ...]]
    access: AccessMap
    core_shapes: tuple[Shape, ...]
    dtypes: tuple[np.dtype[Any], ...]

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        results = self.function(*map(read_only, values))
        counts = self.access.counts(index)
        triples = zip(results, self.core_shapes, self.dtypes, strict=True)
        return tuple([self._checked(r, (*counts, *rest), d) for r, rest, d in triples])

    def _checked(self, result: Any, expected: Shape, dtype: np.dtype[Any]) -> Any:
        return core_result(result, expected, dtype, self.name)


def core_result(result: Any, expected: Shape, dtype: np.dtype[Any], name: str) -> Any:
    """Return ``result`` with elements of ``dtype``.

    Raises
    ------
    ValueError
        If its shape is not the ``expected`` one.
    TypeError
        If its elements would lose their kind.
    """
    block = np.asarray(unmasked(result, f"what {name} returned"))
    if block.shape != expected:
        raise ValueError(
            f"{name} returned a block of shape {block.shape} where the signature and the chunks make {expected}"
        )
    if not np.can_cast(block.dtype, dtype, "same_kind"):
        raise TypeError(f"{name} returned {block.dtype}, and output_dtypes promised {dtype}")
    return block.astype(dtype, copy=False)
