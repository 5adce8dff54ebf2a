"""References to Zarr arrays: small, frozen and picklable."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from asyncexec.errors import OptionError
from asyncexec.plan.lengths import (
    Lengths,
    as_data,
    blocks_within,
    count_blocks,
    is_divided,
    whole_lengths,
)
from asyncexec.storage.chunks.array_traits import (
    NO_TRAITS,
    ArrayTraits,
    codecs_json,
    compressor_json,
)
from asyncexec.storage.chunks.chunk_keys import DEFAULT_KEYS, ChunkKeys
from asyncexec.storage.chunks.element_types import (
    ELEMENT_KINDS,
    dtype_name,
    fill_scalar,
    named_dtype,
    native_dtype,
)
from asyncexec.storage.places.locations import Location, PlaceLike, locate

if TYPE_CHECKING:
    from asyncexec.plan.box import Shape

IN_FORMAT_2 = ("zstd", "gzip", "blosc")
"""The compressors that arrays in groups of format 2 may have."""

type CompressorLike = Literal["auto"] | Mapping[str, Any] | Any | None


@dataclass(frozen=True, slots=True)
class Encoding:
    """The encoding of a chunk's data, where it is simple enough to be done without Zarr.

    Attributes
    ----------
    dtype : str
        The element type as stored, byte order included (``"<f8"``).
    compressor : str
        JSON of the compressing codec, in Zarr 3's terms; ``""`` for none.
    checksum : bool
        Whether a CRC-32C of the chunk as it is stored comes behind it (Zarr 3's codec ``crc32c``).
    """

    dtype: str = "|u1"
    compressor: str = ""
    checksum: bool = False


@dataclass(frozen=True, kw_only=True)
class StoredArray:
    """A reference to a Zarr array that exists, or is still to be created.

    It holds no handle and no data, so it can be pickled into a few hundred bytes; each process opens the array once,
    when it first needs it, and asks the store for nothing then.

    Attributes
    ----------
    location : Location
    shape : tuple of int
    dtype : str
        NumPy's name for the element type.
    chunks : tuple of int
        In elements.
    shards : tuple of int or None
        In elements; shards are written as a whole, where chunks are stored in shards.
    fill_value : scalar
        The value of elements in chunks that were never written (of times and durations, their integer representation).
    compressor : str
        JSON of the compressor in Zarr 3's terms; ``""`` for none.
    encoding : Encoding or None
        The encoding of chunks, where they can be read and written directly; None where only Zarr can.
    dense : bool
        Whether every chunk is written before it is read: a missing chunk is then an error instead of fill values.
    checksum : bool
        Whether each chunk has a CRC-32C behind it, so that every damage is noticed when it is read.
    zarr_format : int
        Of an array that is to be created: 2 in a group of that format.
    generation : str
        The run that writes to it, if it is the target of one: attempts of an earlier run find nowhere to write to.
    in_place : bool
        Whether that run writes over what was there before, as long as it holds the place.
    keys : ChunkKeys
        The names of its chunks.
    metadata : str
        Of an array that was opened: its metadata document, as far as it says how chunks are stored. Another document
        is another array, whatever its place. Of one that is to be created it is empty: the fields above say it all.
    """

    location: Location
    shape: Shape
    dtype: str
    chunks: Shape
    shards: Shape | None = None
    fill_value: Any = 0
    compressor: str = ""
    encoding: Encoding | None = None
    dense: bool = False
    checksum: bool = False
    zarr_format: int = 3
    generation: str = ""
    in_place: bool = False
    keys: ChunkKeys = DEFAULT_KEYS
    traits: ArrayTraits = NO_TRAITS
    part: PartOfTarget | None = None
    metadata: str = field(default="", repr=False)

    @property
    def unit(self) -> Shape:
        """The unit of writing, in elements: the shard where there are shards, else the chunk."""
        return self.shards or self.chunks

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @cached_property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The element type."""
        return named_dtype(self.dtype)

    @property
    def fill_element(self) -> np.ndarray:
        """The fill value as an array without axes, of the element type."""
        stored = np.asarray(
            self.fill_value, "i8" if self.numpy_dtype.kind in "mM" else self.numpy_dtype
        )
        return stored.view(self.numpy_dtype) if self.numpy_dtype.kind in "mM" else stored

    @property
    def is_irregular(self) -> bool:
        """True where chunks (or shards) differ in length along some axis."""
        return any(isinstance(unit, Lengths) for unit in self.unit)

    @property
    def nbytes(self) -> int:
        """The size of the whole array in bytes, uncompressed."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.numpy_dtype.itemsize

    @property
    def blocks(self) -> Shape:
        """The number of units (chunks, or shards) along each axis."""
        return tuple(count_blocks(n, unit) for n, unit in zip(self.shape, self.unit, strict=True))

    @property
    def description(self) -> str:
        """The array's description, apart from its place, as text: for a plan's fingerprint."""
        return json.dumps(
            [
                self.shape,
                self.dtype,
                as_data(self.chunks),
                as_data(self.shards),
                repr(self.fill_value),
                self.compressor,
                self.metadata,
                # So that plans without any have the fingerprints that they had.
                *([] if self.traits == NO_TRAITS else [repr(self.traits)]),
                *([] if self.part is None else [self.part.description]),
            ]
        )

    def in_format(self, zarr_format: int) -> StoredArray:
        """Return a reference to the same array, to be created in format 2 or 3.

        Raises
        ------
        OptionError
            If format 2 cannot have it: it has shards, or another compressor.
        """
        if zarr_format == self.zarr_format:
            return self
        if self.shards is not None:
            raise OptionError(
                f"{self.location} is to be of Zarr's format 2 (or in a group of it), which has no shards: store it "
                f"without, or elsewhere"
            )
        name = json.loads(self.compressor)["name"] if self.compressor else "zstd"
        if name not in IN_FORMAT_2 or self.traits.compressors:
            raise OptionError(
                f"{self.location} is to be of Zarr's format 2 (or in a group of it), for which the compressor {name!r} "
                f"is not known: take one of {', '.join(IN_FORMAT_2)}, or store elsewhere"
            )
        return replace(self, zarr_format=zarr_format, keys=ChunkKeys("v2", "."))

    def compressed(self, compressor: str) -> StoredArray:
        """Return a reference to the same array, to be created with another compressor (JSON in Zarr 3's terms)."""
        if compressor == self.compressor:
            return self
        encoding = self.encoding
        if encoding is not None:
            simple = not compressor or json.loads(compressor)["name"] in IN_FORMAT_2
            encoding = replace(encoding, compressor=compressor) if simple else None
        return replace(self, compressor=compressor, encoding=encoding)

    def at(self, location: Location) -> StoredArray:
        """Return a reference to the same array at another place."""
        return replace(self, location=location)

    def __repr__(self) -> str:
        shards = f", shards={self.shards}" if self.shards else ""
        return f"StoredArray({str(self.location)!r}, {self.dtype}{list(self.shape)}, chunks={self.chunks}{shards})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StoredArray):
            return NotImplemented
        return self is other or self._key == other._key

    def __hash__(self) -> int:
        # Cached, as the opened array is looked up for every chunk that is read or written.
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(self._key)

    @cached_property
    def _key(self) -> tuple[Any, ...]:
        # A fill value by its text, as NaN is not equal to itself in another process.
        return tuple(
            repr(self.fill_value) if each.name == "fill_value" else getattr(self, each.name)
            for each in fields(self)
        )

    def __getstate__(self) -> dict[str, Any]:
        # Without cached properties and defaults, which would make what is sent to workers larger.
        return {
            name: value
            for name, value in self.__dict__.items()
            if name in self.__dataclass_fields__ and value is not getattr(type(self), name, self)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PartOfTarget:
    """The place of a part in its array.

    Attributes
    ----------
    before : StoredArray
        The array as it was opened.
    array : StoredArray
        The same as it is when the part is written: longer, where something is appended.
    begin : tuple of int
        The element of the array at which the part begins: the first of a chunk or shard along each axis.
    start, stop : tuple of int
        The elements of the array that are written.
    """

    before: StoredArray
    array: StoredArray
    begin: Shape
    start: Shape
    stop: Shape

    @property
    def appends(self) -> bool:
        """True where the array becomes longer."""
        return self.array.shape != self.before.shape

    @property
    def region(self) -> str:
        """The elements that are written, as a key of the array."""
        return f"[{', '.join(f'{a}:{b}' for a, b in zip(self.start, self.stop, strict=True))}]"

    @property
    def cover(self) -> tuple[range, ...]:
        """The chunks (or shards) that the part touches, along each axis."""
        along = zip(self.start, self.stop, self.array.unit, strict=True)
        return tuple(blocks_within(unit, start, stop) for start, stop, unit in along)

    def meets(self, other: PartOfTarget) -> bool:
        """Return whether some chunk (or shard) of the array is in both parts."""
        pairs = list(zip(self.cover, other.cover, strict=True))
        return all(max(a.start, b.start) < min(a.stop, b.stop) for a, b in pairs)

    @property
    def description(self) -> list[Any]:
        """The array, and the elements that are written, for a plan's fingerprint."""
        return [self.before.description, self.array.shape, self.begin, self.start, self.stop]


def planned_array(
    place: PlaceLike,
    *,
    shape: Sequence[int],
    dtype: Any,
    chunks: Sequence[int],
    shards: Sequence[int] | None = None,
    fill_value: Any = None,
    compressor: CompressorLike = "auto",
    traits: ArrayTraits = NO_TRAITS,
    storage_options: Mapping[str, Any] | None = None,
    path: str = "",
    dense: bool = True,
    checksum: bool | None = None,
) -> StoredArray:
    """Return a reference to an array that :func:`~asyncexec.storage.create_array` will create; nothing is written.

    Parameters
    ----------
    place : path, URL, zarr Store or Location
        ``run://name`` is a place in the run's own directory, bound when the run begins.
    shape, chunks, shards : sequence of int
        In elements; chunks must divide shards.
    dtype
        Anything NumPy takes for an element type of numbers, times, text, bytes, or records of these.
    fill_value : scalar, optional
        Zero by default.
    compressor : "auto", None, a mapping as Zarr 3 writes it, a Zarr codec, or a tuple of several
    traits : ArrayTraits
        What its metadata say besides.
    storage_options : mapping, optional
    path : str
        The path in ``place``.
    dense : bool
        See :class:`StoredArray`.
    checksum : bool, optional
        Whether chunks have a CRC-32C; by default those of places in the run's own directory.

    Raises
    ------
    OptionError
        If shape, chunks, shards, dtype or compressor are not valid.
    """
    location = locate(place, storage_options, path=path)
    element = _element(dtype, location)
    shape, chunks = tuple(int(n) for n in shape), whole_lengths(chunks)
    shards = whole_lengths(shards) if shards is not None else None
    _check_grid(location, shape, chunks, shards)
    if isinstance(compressor, list | tuple) and len(compressor) != 1:
        codec, traits = "", replace(traits, compressors=codecs_json(compressor, "compressor"))
    else:
        one = compressor[0] if isinstance(compressor, list | tuple) else compressor
        codec = compressor_json(one)
    simple = (
        shards is None
        and element.kind in "biufc"
        and not traits.has_codecs
        and (not codec or json.loads(codec)["name"] in IN_FORMAT_2)
    )
    checksum = location.run_scoped if checksum is None else checksum
    return StoredArray(
        location=location,
        shape=shape,
        dtype=dtype_name(element),
        chunks=chunks,
        shards=shards,
        fill_value=fill_scalar(fill_value, element),
        compressor=codec,
        traits=traits,
        encoding=Encoding(dtype=element.newbyteorder("<").str, compressor=codec, checksum=checksum)
        if simple
        else None,
        dense=dense,
        checksum=checksum,
    )


def _element(dtype: Any, location: Location) -> np.dtype[Any]:
    element = np.dtype(dtype)
    if element.kind not in ELEMENT_KINDS or element.itemsize == 0:
        raise OptionError(
            f"{location}: elements of type {element} cannot be stored: use numbers, times or text, or records of these"
        )
    return native_dtype(element)


def _check_grid(location: Location, shape: Shape, chunks: Shape, shards: Shape | None) -> None:
    if len(shape) != len(chunks) or min(shape, default=0) < 0 or min(chunks, default=1) < 1:
        raise OptionError(
            f"{location}: chunks {chunks} do not fit shape {shape}: give a length of at least 1 for every axis"
        )
    for n, unit in zip(shape, shards or chunks, strict=False):
        if isinstance(unit, Lengths) and unit.total != n:
            raise OptionError(f"{location}: chunks {unit!r} do not make up an axis of {n} elements")
    if shards is None:
        return
    lengths = zip(shape, shards, chunks, strict=False)
    if len(shards) != len(chunks) or any(is_divided(*each) for each in lengths):
        raise OptionError(
            f"{location}: shards {shards} must be multiples of chunks {chunks}, axis by axis"
        )
