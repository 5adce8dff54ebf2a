"""Parts of arrays that are there already: the regions that are written, and what is appended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from asyncexec.array import build
from asyncexec.array.integers import integer
from asyncexec.array.nodes import Node
from asyncexec.array.placing import Placed
from asyncexec.errors import OptionError, WriteConflictError
from asyncexec.plan.box import Shape
from asyncexec.plan.lengths import (
    Lengths,
    block_at,
    block_start,
    border_after,
    border_before,
    each_length,
    part_lengths,
)
from asyncexec.storage.chunks.arrays import PartOfTarget, StoredArray
from asyncexec.storage.chunks.listed_grids import resized
from asyncexec.storage.places.locations import Location

type RegionLike = Sequence[slice] | Mapping[str | int, slice] | slice
type Align = Literal["strict", "read-write"]
type Bounds = list[tuple[int, int]]

ALIGNMENTS = ("strict", "read-write")


def region_of(
    node: Node, place: Location, region: RegionLike, align: Align
) -> tuple[Node, StoredArray]:
    """Return ``node`` as it is written to ``region`` of the array at ``place``, and that part of it.

    Raises
    ------
    OptionError
        If the region is none of the array, or the node has another shape, or elements that cannot be converted.
    WriteConflictError
        If it cuts through chunks (or shards), and ``align`` does not allow that.
    ArrayNotFoundError
        If there is no array.
    """
    array, names = _opened(place)
    bounds = _bounds(array, names, region)
    shape = tuple(stop - start for start, stop in bounds)
    _check_shape(node, array, shape, f"region {_text(bounds)}")
    _check_aligned(array, bounds, array.shape, align)
    return _placed(node, array, array, bounds)


def appended(
    node: Node, place: Location, axis: int | str, align: Align
) -> tuple[Node, StoredArray]:
    """Return ``node`` as it is written behind the end of ``axis`` of the array at ``place``, and that part of it.

    Raises
    ------
    OptionError
        If there is no such axis, or the others have another length, or elements cannot be converted.
    WriteConflictError
        If the array ends within a chunk (or shard), and ``align`` does not allow to fill it.
    ArrayNotFoundError
        If there is no array.
    """
    array, names = _opened(place)
    at = _axis(axis, array, names, "append_dim")
    if len(node.shape) != array.ndim:
        _check_shape(node, array, array.shape, f"append_dim={axis!r}")
    begin, more = array.shape[at], node.shape[at]
    grown = tuple(n + more if a == at else n for a, n in enumerate(array.shape))
    bounds = [(begin, n) if a == at else (0, n) for a, n in enumerate(grown)]
    _check_shape(node, array, tuple(b - a for a, b in bounds), f"append_dim={axis!r}")
    longer = resized(array, grown, {at: each_length(more, node.chunks[at])})
    unit = longer.unit[at]
    first = border_before(unit, begin)
    if more and begin != first and align != "read-write":
        whole = block_start(unit, block_at(unit, begin) + 1) - first
        raise WriteConflictError(
            f"{place} ends at {begin} along axis {at}, within a chunk (or shard) of {whole} elements, which has room "
            f"for {whole - (begin - first)} more: pass align='read-write', with which one task reads that chunk, fills "
            f"it in and writes it"
        )
    return _placed(node, array, longer, bounds)


def check_align(align: Any) -> None:
    """Raise an OptionError unless ``align`` is one of the known ways."""
    if align not in ALIGNMENTS:
        raise OptionError(f"align={align!r} cannot be: give 'strict' or 'read-write'")


def _opened(place: Location) -> tuple[StoredArray, tuple[str | None, ...]]:
    from asyncexec.storage.places.opening import open_described  # noqa: PLC0415 - brings Zarr, which is dear

    array, about = open_described(place)
    return array, about.dimension_names


def _placed(
    node: Node, before: StoredArray, array: StoredArray, bounds: Bounds
) -> tuple[Node, StoredArray]:
    unit = array.unit
    begin = tuple(border_before(u, start) for (start, _), u in zip(bounds, unit, strict=True))
    lead = tuple(start - b for (start, _), b in zip(bounds, begin, strict=True))
    shape = tuple(n + more if n else 0 for n, more in zip(node.shape, lead, strict=True))
    converted = _converted(node, before)
    # Whole chunks (or shards) of the target, as many of them as a chunk of the node has.
    ends = tuple(b + n for b, n in zip(begin, shape, strict=True))
    own = tuple(map(part_lengths, unit, begin, ends))
    block = tuple(
        u if isinstance(u, Lengths) else max(c // u, 1) * u
        for c, u in zip(node.chunks, own, strict=True)
    )
    merges = any(_cuts(*each) for each in zip(bounds, unit, array.shape, strict=True))
    part = PartOfTarget(
        before=before,
        array=array,
        begin=begin,
        start=tuple(start for start, _ in bounds),
        stop=tuple(stop for _, stop in bounds),
    )
    placed = Placed(
        inputs=(build.with_chunks(converted, block),),
        lead=lead,
        shape=shape,
        chunks=block,
        dtype=converted.dtype,
        merges=merges,
    )
    # The part alone: what it says of chunks is that of the whole array, which encodes them.
    written = replace(
        array,
        shape=shape,
        chunks=array.chunks if array.shards else own,
        part=part,
        encoding=None,
        dense=True,
    )
    return placed, written


def _cuts(bounds: tuple[int, int], unit: int, extent: int) -> bool:
    """Return whether bounds cut through a chunk (or shard)."""
    start, stop = bounds
    return border_before(unit, start) != start or border_after(extent, unit, stop) != stop


def _converted(node: Node, array: StoredArray) -> Node:
    if not np.can_cast(node.dtype, array.numpy_dtype, "same_kind"):
        raise OptionError(
            f"elements of type {node.dtype} cannot be stored in {array.location}, which has {array.dtype}: convert "
            f"them first, such as by astype(x, {array.dtype!r})"
        )
    return build.cast(node, array.numpy_dtype)


def _check_shape(node: Node, array: StoredArray, shape: Shape, what: str) -> None:
    if node.shape != shape:
        raise OptionError(
            f"an array of shape {node.shape} does not fit {what} of {array.location}, which has shape {array.shape}"
            f"{'' if len(shape) != len(node.shape) else f': it takes shape {shape}'}"
        )


def _check_aligned(array: StoredArray, bounds: Bounds, shape: Shape, align: Align) -> None:
    if align == "read-write":
        return
    triples = list(zip(bounds, array.unit, shape, strict=True))
    cut = [axis for axis, each in enumerate(triples) if each[0][0] < each[0][1] and _cuts(*each)]
    if not cut:
        return
    outer = [(border_before(u, a), border_after(n, u, b)) for (a, b), u, n in triples]
    inner = [
        (border_after(n, u, a), n if b == n else border_before(u, b)) for (a, b), u, n in triples
    ]
    fits = all(a < b for a, b in inner)
    nearest = f"the nearest around it is {_text(outer)}"
    nearest += f", and the nearest within it {_text(inner)}" if fits else ""
    raise WriteConflictError(
        f"region {_text(bounds)} of {array.location} cuts through chunks (or shards) of {array.unit} along "
        f"{'axis' if len(cut) == 1 else 'axes'} {', '.join(map(str, cut))}: {nearest}. Write one of these, or pass "
        f"align='read-write', with which one task for each chunk that is cut reads it, fills it in and writes it"
    )


def _text(bounds: Bounds) -> str:
    return f"[{', '.join(f'{start}:{stop}' for start, stop in bounds)}]"


def _bounds(array: StoredArray, names: tuple[str | None, ...], region: RegionLike) -> Bounds:
    slices = _slices(array, names, region)
    bounds: Bounds = []
    for axis, (along, n) in enumerate(zip(slices, array.shape, strict=True)):
        if not isinstance(along, slice) or along.step not in (None, 1):
            raise OptionError(
                f"region={region!r}: {along!r} along axis {axis} of {array.location} cannot be written: give a slice "
                f"without step for each axis"
            )
        start = 0 if along.start is None else integer(along.start, "the start of a region")
        stop = n if along.stop is None else integer(along.stop, "the end of a region")
        start, stop = (start + n if start < 0 else start), (stop + n if stop < 0 else stop)
        if not 0 <= start <= stop <= n:
            raise OptionError(
                f"region={region!r}: {start}:{stop} along axis {axis} is not within {array.location}, which has {n} "
                f"elements there{': append to it with append_dim' if stop > n else ''}"
            )
        bounds.append((start, stop))
    return bounds


def _slices(array: StoredArray, names: tuple[str | None, ...], region: RegionLike) -> list[Any]:
    if isinstance(region, slice):
        region = (region,)
    if isinstance(region, Mapping):
        found: list[Any] = [slice(None)] * array.ndim
        for name, along in region.items():
            found[_axis(name, array, names, "region")] = along
        return found
    slices = list(region)
    if len(slices) != array.ndim:
        raise OptionError(
            f"region={region!r} has {len(slices)} slices, and {array.location} has {array.ndim} axes (shape "
            f"{array.shape}): give one for each axis, or a mapping of names to slices"
        )
    return slices


def _axis(axis: Any, array: StoredArray, names: tuple[str | None, ...], what: str) -> int:
    """Return the number of an axis of ``array`` that is given as a number or by its name."""
    if isinstance(axis, str):
        if axis in names:
            return names.index(axis)
        known = (
            f"its axes are called {', '.join(map(str, names))}" if any(names) else "it names none"
        )
        raise OptionError(
            f"{what}: {array.location} has no axis {axis!r}: {known}. Give one of them, or the axis' number"
        )
    number = integer(axis, what)
    if not -array.ndim <= number < array.ndim:
        raise OptionError(
            f"{what}={axis!r}: {array.location} has {array.ndim} axes (shape {array.shape}), and not this one"
        )
    return number % array.ndim
