"""The way in which a new array is stored: its chunks, shards, codecs, fill value, attributes and names of axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asyncexec.array import chunks as chunking
from asyncexec.array.inherited import Inherited, inherited
from asyncexec.array.nodes import Node
from asyncexec.errors import OptionError
from asyncexec.plan.box import Shape
from asyncexec.plan.given_numbers import as_whole_number
from asyncexec.plan.lengths import Lengths
from asyncexec.storage.chunks.array_traits import ArrayTraits, attributes_json, codecs_json
from asyncexec.storage.chunks.arrays import StoredArray, planned_array
from asyncexec.storage.places.locations import Location
from asyncexec.storage.places.stamps import FIELD

OF_SPEC = "default"
"""The value of ``compressors`` with which those of the spec are taken."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TargetOptions:
    """The way in which a new array is stored.

    Attributes
    ----------
    chunks, shards : lengths
        As users give them; None for the array's own chunks, and for no shards.
    compressors : codecs
        ``"default"`` for those of the spec.
    filters : codecs
    fill_value : scalar or None
    attributes : mapping or None
    dimension_names : sequence of str or None
    zarr_format : 2, 3 or None
        None for that of the groups around it.
    """

    chunks: Any = None
    shards: Any = None
    compressors: Any = OF_SPEC
    filters: Any = None
    fill_value: Any = None
    attributes: Mapping[str, Any] | None = None
    dimension_names: Sequence[str | None] | None = None
    zarr_format: int | None = None

    @property
    def is_default(self) -> bool:
        """True where nothing is asked for."""
        return self.given == ()

    @property
    def given(self) -> tuple[str, ...]:
        """The names of the options that are given."""
        values = {
            "chunks": self.chunks,
            "shards": self.shards,
            "filters": self.filters,
            "fill_value": self.fill_value,
            "attributes": self.attributes,
            "dimension_names": self.dimension_names,
            "zarr_format": self.zarr_format,
        }
        found = tuple(name for name, value in values.items() if value is not None)
        return found if self._compressors_of_spec else (*found, "compressors")

    @property
    def _compressors_of_spec(self) -> bool:
        return isinstance(self.compressors, str) and self.compressors == OF_SPEC

    def units(self, node: Node) -> tuple[Shape, Shape | None]:
        """Return the chunks and shards that ``node`` is stored in.

        Raises
        ------
        OptionError
            If they do not fit its shape, or each other.
        """
        itemsize = node.dtype.itemsize
        chunks = node.chunks
        if self.chunks is not None:
            chunks = _lengths(self.chunks, node.shape, itemsize, node.chunks)
        if self.shards is None:
            return chunks, None
        shards = _lengths(self.shards, node.shape, itemsize, chunks)
        if self.chunks is None:
            chunks = tuple(map(_dividing, chunks, shards))
        return chunks, shards

    def array(self, node: Node, place: Location, spec_compressor: Any) -> StoredArray:
        """Return the array that ``node`` is stored as; what is not asked for, it has from its sources.

        Raises
        ------
        OptionError
            If an option cannot be.
        """
        chunks, shards = self.units(node)
        source = inherited(node)
        fill = source.fill_value if self.fill_value is None else self.fill_value
        return planned_array(
            place,
            shape=node.shape,
            dtype=node.dtype,
            chunks=chunks,
            shards=shards,
            fill_value=fill,
            compressor=spec_compressor if self._compressors_of_spec else self.compressors,
            traits=self._traits(node, source, fill_given=fill is not None),
            dense=True,
        )

    def _traits(self, node: Node, source: Inherited, *, fill_given: bool) -> ArrayTraits:
        if self.zarr_format not in (None, 2, 3):
            raise OptionError(f"zarr_format={self.zarr_format!r} cannot be: give 2 or 3")
        if FIELD in (self.attributes or {}):
            raise OptionError(
                f"the attribute {FIELD!r} is this package's own, and says which run an array is of: take another name"
            )
        own = self.attributes is not None
        named = self.dimension_names is not None
        names = _names(self.dimension_names, node.shape) if named else source.names or ()
        return ArrayTraits(
            attributes=attributes_json(self.attributes) if own else source.attributes,
            dimension_names=names,
            resized_axes=() if named else _resized(source, node.shape),
            filters=codecs_json(self.filters, "filter"),
            zarr_format=self.zarr_format,
            fill_given=fill_given,
        )


def _resized(source: Inherited, shape: Shape) -> tuple[int, ...]:
    pairs = enumerate(zip(source.axes, shape, strict=False))
    return tuple(axis for axis, (name, n) in pairs if name is not None and name[1] != n)


def _names(names: Any, shape: Shape) -> tuple[str | None, ...]:
    if names is None:
        return ()
    found = tuple(names) if not isinstance(names, str) else (names,)
    if len(found) != len(shape) or not all(isinstance(name, str | None) for name in found):
        raise OptionError(
            f"dimension_names={names!r} must have a name (or None) for each of {len(shape)} axes (shape {shape})"
        )
    return found


def _lengths(given: Any, shape: Shape, itemsize: int, previous: Shape) -> Shape:
    """Return one length for each axis; numbers may go beyond the array's end, which may be appended to later."""
    several = isinstance(given, Sequence) and not isinstance(given, str)
    if several and len(given) == len(shape):
        numbers = [as_whole_number(n) for n in given]
        if all(n is not None and n > 0 for n in numbers):
            return tuple(n for n in numbers if n is not None)
    return chunking.normalize_chunks(given, shape, itemsize, previous=previous)


def _dividing(chunk: int, shard: int) -> int:
    """Return the chunk length in a shard: the longest up to ``chunk`` that divides it, unless that is far shorter."""
    shard = math.gcd(*shard.each) if isinstance(shard, Lengths) else shard
    longest = min(int(chunk), shard)
    least = max(1, longest // 4)
    return next((n for n in range(longest, least - 1, -1) if shard % n == 0), shard)


def one_for_each(value: Any, count: int, name: str) -> list[Any]:
    """Return an option for each of ``count`` arrays: the entries of a list, or the same for all.

    Raises
    ------
    OptionError
        If a list has another length.
    """
    if not isinstance(value, list):
        return [value] * count
    if len(value) != count:
        raise OptionError(
            f"{name} is a list of {len(value)}, and {count} arrays are stored: give a list with one entry for each "
            f"array, or one value for all (several codecs, names or lengths of one array are a tuple)"
        )
    return list(value)
