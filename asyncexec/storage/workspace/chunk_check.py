"""The check of one array's chunks: which are stored, by their names, and whether each can be decoded."""

from __future__ import annotations

import json
import math
from array import array as packed
from dataclasses import dataclass, field
from itertools import accumulate, chain, product
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.core.sync import sync

from asyncexec.errors import AsyncexecError, CorruptArrayError, StorageError
from asyncexec.plan.box import ravel, unravel
from asyncexec.storage.chunks.access import opened
from asyncexec.storage.chunks.chunk_files import PARTIAL
from asyncexec.storage.chunks.chunk_keys import chunk_keys_of
from asyncexec.storage.places.array_documents import irregular_allowed
from asyncexec.storage.places.errors import safe_message, storage_error
from asyncexec.storage.places.holds import TARGET_LEASE
from asyncexec.storage.places.metadata import array_document, documents
from asyncexec.storage.places.opening import open_array
from asyncexec.storage.places.orphans import CHUNK
from asyncexec.storage.places.stamps import STAGED
from asyncexec.storage.places.stores import open_place
from asyncexec.storage.workspace.staging import is_chunk_of, read_staged
from asyncexec.storage.workspace.verification_report import ChunksFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from asyncexec.plan.box import Index, Shape
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.places.locations import Location

PIECE_BYTES = 64 * 2**20
"""The part of a shard that is read at once; a chunk is always read as a whole."""

_NONE = np.empty(0, np.int64)

METADATA = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")


@dataclass(slots=True)
class ListedChunks:
    """The names that are listed below one array: numbers of its chunks, and others."""

    # Eight bytes for each, as arrays have millions of chunks.
    stored: packed[int] = field(default_factory=lambda: packed("q"))
    nbytes: int = 0
    partial: ChunksFound = field(default_factory=ChunksFound)
    stray: ChunksFound = field(default_factory=ChunksFound)
    staged: ChunksFound = field(default_factory=ChunksFound)


class ChunkCheck:
    """The chunks of one array, as far as they are listed, and the reading of one.

    Parameters
    ----------
    location : Location

    Raises
    ------
    AsyncexecError
        If there is no array that can be opened.
    """

    def __init__(self, location: Location) -> None:
        self.location = location
        self.tally = ListedChunks()
        self._staged: Mapping[str, bytes] | None = None
        self._ref = _reference(location)
        self._array = _opened(location)
        self._keys = chunk_keys_of(dict(self._array.metadata.to_dict()))
        self.shape: Shape = tuple(self._array.shape)
        self._bounds = _irregular_bounds(self._array)
        if self._bounds:
            self.unit: Shape = tuple(int(np.diff(along).max(initial=1)) for along in self._bounds)
            self.grid: Shape = tuple(len(along) - 1 for along in self._bounds)
        else:
            self.unit = tuple(self._array.shards or self._array.chunks)
            self.grid = tuple(-(-n // u) for n, u in zip(self.shape, self.unit, strict=True))
        self.chunks = math.prod(self.grid)
        self._item_bytes = max(1, int(np.dtype(self._array.dtype).itemsize))

    @property
    def piece_bytes(self) -> int:
        """About how much memory one read takes."""
        return math.prod(self._piece) * self._item_bytes

    @property
    def _piece(self) -> Shape:
        """The elements along each axis that are read at once."""
        whole = math.prod(self.unit) * self._item_bytes
        # A shard of gigabytes is not to be held as a whole.
        return self.unit if whole <= PIECE_BYTES or self._bounds else tuple(self._array.chunks)

    def note(self, name: str, nbytes: int) -> None:
        """Count the file or object ``name`` of the array."""
        if name in METADATA or name == TARGET_LEASE:
            return
        number = self.number(name)
        if number is not None:
            self.tally.stored.append(number)
            self.tally.nbytes += nbytes
        elif name.startswith(PARTIAL) or name.endswith(".partial"):
            self.tally.partial = self.tally.partial.with_one(name)
        elif name == STAGED or self._is_staged(name):
            self.tally.staged = self.tally.staged.with_one(name)
        else:
            self.tally.stray = self.tally.stray.with_one(name)

    def number(self, name: str) -> int | None:
        """Return the number in the grid of the chunk that is stored as ``name``; None of a name that is no chunk's."""
        index = self._keys.index(name, self.grid)
        return None if index is None else ravel(index, self.grid)

    def _is_staged(self, name: str) -> bool:
        """Return whether ``name`` is a chunk of an array that is to replace this one, and lies among its chunks."""
        if not CHUNK.fullmatch(name):
            return False
        # Read when the first such name comes: most arrays have none.
        if self._staged is None:
            self._staged = read_staged(self.location)
        return is_chunk_of(self._staged, name)

    def key(self, number: int) -> str:
        """Return the name of a chunk by its number in the grid."""
        return self._keys.key(unravel(number, self.grid))

    def not_stored(self) -> tuple[int, Iterator[str]]:
        """Return how many chunks of the grid were not listed, and an iterator over their names."""
        # Sorted and each once, as the gaps between them are what is not stored.
        stored = (
            np.unique(np.frombuffer(self.tally.stored, np.int64)) if self.tally.stored else _NONE
        )
        count = self.chunks - len(stored)
        if not count:
            return 0, iter(())
        return count, (self.key(flat) for flat in _gaps(stored, self.chunks))

    def is_stored(self, number: int) -> bool:
        """Ask the store for a chunk, where it does not list what it has.

        Raises
        ------
        StorageError
            If the store fails.
        """
        try:
            return bool(sync((self._array.store_path / self.key(number)).exists()))
        except Exception as error:  # noqa: BLE001 - as the store puts it
            raise storage_error(error, self.location, "cannot be read") from None

    def problem(self, number: int) -> str:
        """Read a chunk, and return what is wrong with it; empty if nothing is.

        Raises
        ------
        StorageError
            If the store fails.
        """
        for region in self._regions(unravel(number, self.grid)):
            try:
                self._read(region)
            except CorruptArrayError as error:
                return _said(error)
        return ""

    def _read(self, region: tuple[slice, ...]) -> None:
        # By the code that tasks read with, so that what they would refuse is found.
        if self._ref is not None:
            opened(self._ref).read(region)
            return
        try:
            self._array[region]
        except AsyncexecError:
            raise
        except OSError as error:
            raise storage_error(error, self.location, "cannot be read") from None
        except Exception as error:  # noqa: BLE001 - whatever a codec makes of damaged bytes
            raise CorruptArrayError(
                f"it cannot be decoded ({type(error).__name__}: {safe_message(error, self.location)})"
            ) from None

    def _regions(self, index: Index) -> Iterator[tuple[slice, ...]]:
        """Yield the parts of a chunk (or shard) that are read one after another."""
        if self._bounds:
            pairs = zip(index, self._bounds, strict=True)
            yield tuple(slice(bounds[i], bounds[i + 1]) for i, bounds in pairs)
            return
        along = [
            [
                slice(at, min(at + piece, (i + 1) * unit, n))
                for at in range(i * unit, min((i + 1) * unit, n), piece)
            ]
            for i, unit, piece, n in zip(index, self.unit, self._piece, self.shape, strict=True)
        ]
        yield from product(*along)


def _opened(location: Location) -> Any:
    """Return the array as Zarr has it, whatever its elements are."""
    place = open_place(location, read_only=True)
    try:
        with irregular_allowed(json.loads(array_document(documents(location)) or "{}")):
            return zarr.open_array(place, mode="r")
    except Exception as error:  # noqa: BLE001 - whatever Zarr makes of what it finds there
        raise CorruptArrayError(
            f"{location} cannot be opened: {safe_message(error, location)}"
        ) from None


def _irregular_bounds(array: Any) -> list[list[int]]:
    """Return where chunks begin and end along each axis, if they differ in length; else nothing."""
    grid = dict(array.metadata.to_dict()).get("chunk_grid")
    if not isinstance(grid, dict) or grid["name"] == "regular":
        return []
    return [[0, *accumulate(lengths)] for lengths in array.write_chunk_sizes]


def _reference(location: Location) -> StoredArray | None:
    """Return a reference by which chunks are read directly; None for elements and grids that only Zarr reads."""
    try:
        return open_array(location, unfinished=True)
    except CorruptArrayError:
        raise
    except StorageError:
        return None


def _said(error: CorruptArrayError) -> str:
    """Return what is wrong with a chunk, without its name and what to do."""
    path = getattr(error, "path", "")
    wrong = str(error).partition(f" {path}: ")[2].partition(". ")[0] if path else ""
    return wrong or str(error)


def _gaps(stored: np.ndarray, chunks: int) -> Iterator[int]:
    """Yield the numbers below ``chunks`` that are not among those ``stored``, which are sorted."""
    before = -1
    for number in chain(stored.tolist(), (chunks,)):
        yield from range(before + 1, number)
        before = number
