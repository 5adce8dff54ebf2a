"""Reductions of groups along an axis, which read an array once, whatever the number of groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

import asyncexec.array as xp
from asyncexec.array.array import Array
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.chunks import chunk_bytes, grid
from asyncexec.errors import OptionError
from asyncexec.integrations.xarray.chunk_tuples import settled_chunks
from asyncexec.plan.box import Index

type Reduced = Literal["count", "max", "mean", "min", "std", "sum", "var"]
type Codes = np.ndarray[Any, np.dtype[np.int64]]
type Block = np.ndarray[Any, Any]

_ELEMENTS_OF_A_GROUP = 4
"""How many elements of a group a chunk has at least, on average."""

GROUPED = ("count", "max", "mean", "min", "std", "sum", "var")


def grouped_reduction(
    x: Array, codes: Codes, groups: int, axis: int, func: str, *, skipna: bool, ddof: float = 0
) -> Array:
    """Return the reduction ``func`` of each group of ``x`` along ``axis``, which has ``groups`` elements then.

    ``codes`` has the group of each element along the axis. Each task reduces the groups of one chunk, and these partial
    results are reduced by a tree; deviations take the means first, and read ``x`` twice. Where a chunk has few elements
    of each group, ``x`` is rechunked before.

    Raises
    ------
    OptionError
        If there is no such reduction.
    """
    if func not in GROUPED:
        raise OptionError(f"func={func!r} of groups: use one of {', '.join(GROUPED)}")

    x = _in_longer_chunks(x, axis, groups)

    def of_groups(kind: str, array: Array, dtype: np.dtype[Any] | None = None) -> Array:
        return _partial(array, codes, groups, axis, kind, skipna=skipna, dtype=dtype)

    if func in ("sum", "count"):
        return of_groups(func, x)
    if func in ("min", "max"):
        return of_groups(func, x)
    result = x.dtype if x.dtype.kind in "fc" else np.dtype(np.float64)
    both = of_groups("sum and count", x, np.result_type(result, np.float64))
    total, count = (
        both[(slice(None),) * axis + (part,)] for part in (slice(groups), slice(groups, None))
    )
    mean = total / count
    if func == "mean":
        return mean.astype(result, copy=False)
    deviations = x - xp.take(mean, codes, axis=axis)
    squares = xp.real(deviations * xp.conj(deviations)) if x.dtype.kind == "c" else deviations**2
    free = xp.real(count) - ddof
    variance = of_groups("sum", squares) / xp.where(free > 0, free, np.nan)
    found = variance if func == "var" else xp.sqrt(variance)
    return found.astype(np.empty(0, result).real.dtype, copy=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupsOfBlock:
    """Reduces the groups of a block along ``axis``; they are the last axis of the result, which has one for ``axis``.

    Attributes
    ----------
    codes : array of int
        The group of each element along the whole axis.
    groups : int
    axis : int
    chunk : int
        The chunk length along the axis.
    kind : str
        ``"sum"``, ``"count"``, ``"min"``, ``"max"``, or ``"sum and count"``, the counts behind the sums.
    skipna : bool
        Whether NaN is left out.
    dtype : dtype
        Of the result.
    """

    codes: Codes
    groups: int
    axis: int
    chunk: int
    kind: str
    skipna: bool
    dtype: np.dtype[Any]

    def __call__(self, block: Block, *, block_id: Index) -> Block:
        begin = block_id[self.axis] * self.chunk
        codes = self.codes[begin : begin + block.shape[self.axis]]
        parts = [self._of(kind, block, codes) for kind in self.kind.split(" and ")]
        found = np.concatenate(parts, axis=self.axis) if len(parts) > 1 else parts[0]
        return np.expand_dims(np.moveaxis(found, self.axis, -1), self.axis)

    def _of(self, kind: str, block: Block, codes: Codes) -> Block:
        """Return one reduction of each group along the axis."""
        order = np.argsort(codes, kind="stable")
        present, starts = np.unique(codes[order], return_index=True)
        shape = [self.groups if a == self.axis else n for a, n in enumerate(block.shape)]
        found = np.full(shape, self._neutral(), self.dtype)
        if present.size:
            ufunc, values, dtype = self._prepared(kind, block)
            in_order = np.take(values, order, axis=self.axis)
            reduced = ufunc.reduceat(in_order, starts, axis=self.axis, dtype=dtype)
            found[(slice(None),) * self.axis + (present,)] = reduced
        return found

    def _prepared(self, kind: str, block: Block) -> tuple[np.ufunc, Block, np.dtype[Any] | None]:
        """Return the ufunc that reduces a group, of what, and the type in which it adds."""
        has_nan = block.dtype.kind in "fc"
        if kind == "count":
            counted = ~np.isnan(block) if self.skipna and has_nan else np.ones(block.shape, np.int8)
            return np.add, counted, np.dtype(np.int64)
        if kind == "sum":
            kept = np.where(np.isnan(block), 0, block) if self.skipna and has_nan else block
            return np.add, kept, np.result_type(self.dtype, np.float64) if has_nan else self.dtype
        smallest, largest = (np.fmin, np.fmax) if self.skipna else (np.minimum, np.maximum)
        return (smallest if kind == "min" else largest), block, None

    def _neutral(self) -> Any:
        if self.kind not in ("min", "max"):
            return 0
        if self.dtype.kind in "fc" and self.skipna:
            return np.nan  # It is left out, as everything missing is.
        if self.dtype.kind in "fc":
            return np.inf if self.kind == "min" else -np.inf
        if self.dtype.kind == "b":
            return self.kind == "min"
        limits = np.iinfo(self.dtype)
        return limits.max if self.kind == "min" else limits.min


def _in_longer_chunks(x: Array, axis: int, groups: int) -> Array:
    """Return ``x`` in chunks of some elements for each group, so that partial results are not larger than they."""
    length = min(x.shape[axis], _ELEMENTS_OF_A_GROUP * groups)
    if length <= x.node.chunks[axis]:
        return x
    size = chunk_bytes(x.shape, x.node.chunks, x.itemsize)
    wanted = tuple(length if a == axis else "auto" for a in range(x.ndim))
    chunks = settled_chunks(wanted, x.shape, x.itemsize, limit=size)
    return x.rechunk(
        tuple(map(min, chunks, (*x.node.chunks[:axis], length, *x.node.chunks[axis + 1 :])))
    )


def _partial(
    x: Array,
    codes: Codes,
    groups: int,
    axis: int,
    kind: str,
    *,
    skipna: bool,
    dtype: np.dtype[Any] | None,
) -> Array:
    """Return one reduction of each group: first in each chunk, then of the chunks."""
    dtype = _dtype_of(x.dtype, kind) if dtype is None else dtype
    counts = grid(x.shape, x.node.chunks)
    several = groups * len(kind.split(" and "))
    call = GroupsOfBlock(
        codes=codes,
        groups=groups,
        axis=axis,
        chunk=x.node.chunks[axis],
        kind=kind,
        skipna=skipna,
        dtype=dtype,
    )
    node = Blocks(
        operation=f"groups({kind})",
        call=call,
        keywords={},
        inputs=(x.node,),
        axes=(tuple(range(x.ndim)),),
        shape=(*(counts[a] if a == axis else n for a, n in enumerate(x.shape)), several),
        chunks=(*(1 if a == axis else c for a, c in enumerate(x.node.chunks)), max(several, 1)),
        dtype=dtype,
        wants_block_id=True,
        # Elements are put in order and widened, and the result is made in another order of axes.
        extra_bytes=3 * chunk_bytes(x.shape, x.node.chunks, x.itemsize) + codes.nbytes,
    )
    skips = skipna and dtype.kind in "fc"
    smallest, largest = (xp.nanmin, xp.nanmax) if skips else (xp.min, xp.max)
    merge: Callable[..., Array] = {"min": smallest, "max": largest}.get(kind, xp.sum)
    return xp.moveaxis(merge(Array(node, x.own_spec), axis=axis), -1, axis)


def _dtype_of(dtype: np.dtype[Any], kind: str) -> np.dtype[Any]:
    if kind == "count":
        return np.dtype(np.int64)
    return np.sum(np.empty(0, dtype)).dtype if kind == "sum" else dtype
