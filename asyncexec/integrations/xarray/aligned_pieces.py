"""The parts in which an array is written, so that no two tasks write into one chunk, or shard, of the target."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

from asyncexec.errors import OptionError
from asyncexec.plan.box import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of an array, and where it goes.

    Attributes
    ----------
    part : tuple of slice
        The part of the source.
    begin : tuple of int
        Where it begins in the target.
    chunks : tuple of int
        The chunks in which it is written.
    """

    part: tuple[slice, ...]
    begin: Shape
    chunks: Shape


def pieces_of(shape: Shape, chunks: Shape, target: Any, region: Any) -> list[Piece]:
    """Return the parts in which a source of ``shape`` in ``chunks`` is written into ``region`` of ``target``.

    Where the region begins within a chunk of the target, what belongs to that chunk is a part by itself.

    Raises
    ------
    OptionError
        If the region has another shape.
    """
    begin = _begin(shape, target, region)
    units = _units(target, len(shape))
    along = [
        _along(n, chunk, first, unit)
        for n, chunk, first, unit in zip(shape, chunks, begin, units, strict=True)
    ]
    return [
        Piece(
            part=tuple(slice(start, stop) for start, stop, _ in each),
            begin=tuple(b + start for b, (start, _, _) in zip(begin, each, strict=True)),
            chunks=tuple(chunk for _, _, chunk in each),
        )
        for each in product(*along)
    ]


def _begin(shape: Shape, target: Any, region: Any) -> Shape:
    whole: Shape = tuple(getattr(target, "shape", shape))
    key = region if isinstance(region, tuple) else (slice(None),) * len(whole)
    if len(key) != len(whole) or not all(isinstance(part, slice) for part in key):
        raise OptionError(
            f"a region takes one slice for each axis of the target, and is {region!r}"
        )
    ranges = [range(*part.indices(n)) for part, n in zip(key, whole, strict=True)]
    # A target without a length yet (an unlimited dimension of a netCDF file) grows with what is written.
    fits = all(
        r.step == 1 and (len(r) == n or (part.stop is None and not hasattr(target, "store")))
        for r, n, part in zip(ranges, shape, key, strict=True)
    )
    if not fits:
        raise OptionError(
            f"an array of shape {shape} cannot be written into the region {region!r} of a target of shape {whole}"
        )
    return tuple(r.start for r in ranges)


def _units(target: Any, ndim: int) -> Shape:
    """Return the lengths of what is written at once in ``target``: chunks, or shards."""
    unit = getattr(target, "shards", None) or getattr(target, "chunks", None)
    return tuple(unit) if isinstance(unit, tuple) and hasattr(target, "store") else (1,) * ndim


def _along(n: int, chunk: int, begin: int, unit: int) -> list[tuple[int, int, int]]:
    """Return start, stop and chunk length of the parts along one axis."""
    head = min(-begin % unit, n)
    whole = max(unit, chunk // unit * unit)
    parts = [(0, head, max(head, 1))] if head else []
    return [*parts, (head, n, whole)] if head < n or not parts else parts
