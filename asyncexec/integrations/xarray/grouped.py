"""Reductions of groups along an axis, which read each chunk once, whatever the number of groups."""

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
from asyncexec.plan.box import Index

type Reduced = Literal["count", "max", "mean", "min", "std", "sum", "var"]
type Codes = np.ndarray[Any, np.dtype[np.int64]]
type Block = np.ndarray[Any, Any]

GROUPED = ("count", "max", "mean", "min", "std", "sum", "var")


def grouped_reduction(
    x: Array, codes: Codes, groups: int, axis: int, func: str, *, skipna: bool, ddof: float = 0
) -> Array:
    """Return the reduction ``func`` of each group of ``x`` along ``axis``, which has ``groups`` elements then.

    ``codes`` has the group of each element along the axis. Each task reduces the groups of one chunk, and these partial
    results are reduced by a tree; deviations take the means first, and read ``x`` twice.

    Raises
    ------
    OptionError
        If there is no such reduction.
    """
    if func not in GROUPED:
        raise OptionError(f"func={func!r} of groups: use one of {', '.join(GROUPED)}")

    def of_groups(kind: str, array: Array) -> Array:
        return _partial(array, codes, groups, axis, kind, skipna=skipna)

    if func in ("sum", "count"):
        return of_groups(func, x)
    if func in ("min", "max"):
        found = of_groups(func, x)
        if not skipna or x.dtype.kind not in "fc":
            return found
        return xp.where(of_groups("count", x) > 0, found, np.asarray(np.nan, x.dtype))
    result = x.dtype if x.dtype.kind in "fc" else np.dtype(np.float64)
    wide = x.astype(np.result_type(result, np.float64), copy=False)
    count = of_groups("count" if skipna else "size", wide)
    mean = of_groups("sum", wide) / count
    if func == "mean":
        return mean.astype(result, copy=False)
    deviations = wide - xp.take(mean, codes, axis=axis)
    squares = xp.real(deviations * xp.conj(deviations)) if x.dtype.kind == "c" else deviations**2
    free = count - ddof
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
        ``"sum"``, ``"count"``, ``"size"``, ``"min"`` or ``"max"``.
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
        last = np.moveaxis(block, self.axis, -1)
        found = np.full((*last.shape[:-1], self.groups), self._neutral(), self.dtype)
        for group in np.unique(codes):
            found[..., group] = self._reduced(last[..., codes == group])
        return np.expand_dims(found, self.axis)

    def _reduced(self, values: Block) -> Any:
        if self.kind == "size":
            return values.shape[-1]
        if self.kind == "count":
            return (~np.isnan(values)).sum(-1) if values.dtype.kind in "fc" else values.shape[-1]
        if self.kind == "sum":
            return (np.nansum if self.skipna else np.sum)(values, axis=-1, dtype=self.dtype)
        ufunc = {
            ("min", False): np.minimum,
            ("max", False): np.maximum,
            ("min", True): np.fmin,
            ("max", True): np.fmax,
        }[self.kind, self.skipna]
        return ufunc.reduce(values, axis=-1, initial=self._neutral())

    def _neutral(self) -> Any:
        if self.kind not in ("min", "max"):
            return 0
        if self.dtype.kind in "fc":
            return np.inf if self.kind == "min" else -np.inf
        if self.dtype.kind == "b":
            return self.kind == "min"
        limits = np.iinfo(self.dtype)
        return limits.max if self.kind == "min" else limits.min


def _partial(x: Array, codes: Codes, groups: int, axis: int, kind: str, *, skipna: bool) -> Array:
    """Return one reduction of each group: first in each chunk, then of the chunks."""
    dtype = _dtype_of(x.dtype, kind)
    counts = grid(x.shape, x.chunks)
    call = GroupsOfBlock(
        codes=codes,
        groups=groups,
        axis=axis,
        chunk=x.chunks[axis],
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
        shape=(*(counts[a] if a == axis else n for a, n in enumerate(x.shape)), groups),
        chunks=(*(1 if a == axis else c for a, c in enumerate(x.chunks)), max(groups, 1)),
        dtype=dtype,
        wants_block_id=True,
        # The elements of a group are copied out of the block.
        extra_bytes=3 * chunk_bytes(x.shape, x.chunks, x.itemsize) + codes.nbytes,
    )
    merge: Callable[..., Array] = {"min": xp.min, "max": xp.max}.get(kind, xp.sum)
    return xp.moveaxis(merge(Array(node, x.own_spec), axis=axis), -1, axis)


def _dtype_of(dtype: np.dtype[Any], kind: str) -> np.dtype[Any]:
    if kind in ("count", "size"):
        return np.dtype(np.int64)
    return np.sum(np.empty(0, dtype)).dtype if kind == "sum" else dtype
