"""Chunks that are files on this machine, read and written directly.

Zarr itself passes every chunk to an event loop in another thread and back, which costs more than reading a small chunk.
Here a chunk is read, decoded, encoded and written in the calling thread, with the codecs that Zarr uses; the files are
the same. Arrays with filters or unusual codecs are read and written with Zarr; shards by
:mod:`~asyncexec.storage.chunks.shard_files`.

A chunk appears whole or not at all: it is written under another name, in a separate folder of the array, and renamed.
Files of killed writers stay in that folder, which is removed when the run ends. In a target, that folder is named after
the run, and made by its driver: where another run has replaced the array, it is gone, and late attempts fail.
"""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from itertools import islice, product
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncexec.errors import CorruptChunkError
from asyncexec.storage.chunks.buffers import BUFFERS, LEAST_BYTES, read_only
from asyncexec.storage.chunks.chunk_codec import ChunkCodec
from asyncexec.storage.chunks.chunk_slices import (
    ChunkSlice,
    assign,
    chunk_slices,
    shape_of,
    within_one_chunk,
)
from asyncexec.storage.chunks.still_there import StillThere
from asyncexec.storage.places.errors import (
    replaced,
    storage_error,
    together,
)

if TYPE_CHECKING:
    from io import FileIO

    from asyncexec.plan.access import Region
    from asyncexec.plan.box import Index
    from asyncexec.storage.chunks.arrays import Encoding, StoredArray

PARTIAL = ".asyncexec-partial"
"""The folder in an array for chunks that are being written; on the same file system, so that a rename is atomic."""

_FETCH = getattr(os, "posix_fadvise", None)  # Not on every system.
_MOST_ANNOUNCED = 8
"""The files of one task that the system is asked for ahead; the first of many is what is waited for."""


class ChunkFiles:
    """A Zarr array in the local file system, read and written without Zarr.

    Lists are used where generators would do, as they are quicker: most of a small chunk's time is that of calls.
    """

    def __init__(self, ref: StoredArray, encoding: Encoding) -> None:
        self._ref = ref
        self._root = str(ref.location.local_path)
        # Kept apart, as a call less counts for small chunks.
        self._prefix, self._separator = ref.keys.prefix, ref.keys.separator
        self._only = ref.keys.key(())
        self._dtype = ref.numpy_dtype
        self._codec = ChunkCodec(ref, encoding)
        self._files = WholeFiles(ref)
        self._there = StillThere(ref)
        self._chunks = ref.chunks
        self._is_large = self._codec.chunk_bytes >= LEAST_BYTES

    def read(self, region: Region) -> np.ndarray:
        """Return the elements in ``region``, read-only; within one chunk without copying it."""
        pieces = [
            chunk_slices(along, size) for along, size in zip(region, self._chunks, strict=True)
        ]
        block: np.ndarray
        if (one := within_one_chunk(pieces)) is not None:
            chunk, inner = one
            block = self._decoded(chunk)[inner]
        else:
            block = self._assembled(region, pieces)
        block.flags.writeable = False
        return block

    def write(self, region: Region, block: np.ndarray) -> None:
        """Write ``block`` to ``region``, which covers whole chunks (or reaches the array's edge)."""
        pieces = [
            chunk_slices(along, size) for along, size in zip(region, self._chunks, strict=True)
        ]
        for combination in product(*pieces):
            part = block[(*[piece.in_result for piece in combination], ...)]
            self._store(tuple([piece.chunk for piece in combination]), self._codec.encoded(part))

    def announce(self, region: Region) -> None:
        """Have the system fetch the files of ``region`` from the disk, for :meth:`read` to find them in memory."""
        if _FETCH is None:
            return
        pieces = [
            chunk_slices(along, size) for along, size in zip(region, self._chunks, strict=True)
        ]
        for combination in islice(product(*pieces), _MOST_ANNOUNCED):
            try:
                descriptor = os.open(self.path(tuple([p.chunk for p in combination])), os.O_RDONLY)
            except OSError:  # Which reading it will tell of.
                return
            try:
                _FETCH(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
            except OSError:
                return
            finally:
                os.close(descriptor)

    async def aread(self, region: Region) -> np.ndarray:
        """Do what :meth:`read` does, without blocking the event loop."""
        import asyncio  # noqa: PLC0415 - dear, and most workers await nothing

        return await asyncio.to_thread(self.read, region)

    async def awrite(self, region: Region, block: np.ndarray) -> None:
        """Do what :meth:`write` does, without blocking the event loop."""
        import asyncio  # noqa: PLC0415 - the same

        await asyncio.to_thread(self.write, region, block)

    def path(self, chunk: Index) -> str:
        """Return the file of ``chunk``."""
        if not chunk:
            return f"{self._root}/{self._only}"
        return f"{self._root}/{self._prefix}{self._separator.join(map(str, chunk))}"

    def _assembled(self, region: Region, pieces: list[list[ChunkSlice]]) -> np.ndarray:
        out = np.empty(shape_of(region), self._dtype)
        damaged: list[CorruptChunkError] = []
        for combination in product(*pieces):
            chunk, inner, outer = zip(*combination, strict=True)
            try:
                assign(out, outer, self._decoded(chunk), inner)
            except CorruptChunkError as error:
                # All of them are found at once, so that they can be made again together.
                damaged.append(error)
        if damaged:
            raise together(damaged)
        return out

    def _decoded(self, chunk: Index) -> np.ndarray:
        # As `path` has it, without a call.
        name = f"{self._prefix}{self._separator.join(map(str, chunk))}" if chunk else self._only
        path = f"{self._root}/{name}"
        try:
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - one object less for every chunk
                data: Any = _read_again(file) if self._is_large else file.readall()
        except (FileNotFoundError, NotADirectoryError):
            self._there.check()
            return self._codec.missing(chunk, path)
        except OSError as error:
            if error.errno == errno.EIO:  # A block of the disk that cannot be read any more.
                raise self._codec.corrupt(chunk, path, f"it cannot be read ({error})") from error
            raise storage_error(
                error, self._ref.location, "cannot be read", chunk=chunk, path=path
            ) from error
        try:
            return self._codec.decoded(data, chunk, path)
        except CorruptChunkError:
            # Of another array, it would look the same.
            self._there.check()
            raise

    def _store(self, chunk: Index, data: Any) -> None:
        name = f"{self._prefix}{self._separator.join(map(str, chunk))}" if chunk else self._only
        path = f"{self._root}/{name}"
        try:
            trailer = self._codec.trailer(data) if self._codec.has_checksum else b""
            self._files.write(path, data, trailer)
        except OSError as error:
            raise storage_error(
                error, self._ref.location, "cannot be written", chunk=chunk, path=path
            ) from error


class WholeFiles:
    """The writing of files of an array, each of which appears whole or not at all.

    Parameters
    ----------
    ref : StoredArray
        Where it has a ``generation``, files are written only as long as the array is that run's.
    """

    def __init__(self, ref: StoredArray) -> None:
        self._location = ref.location
        self._fenced = bool(ref.generation)
        self._root = f"{ref.location.local_path}"
        self._partial = f"{self._root}/{partial_folder(ref)}"

    def write(self, path: str, data: Any, trailer: bytes = b"") -> None:
        """Write ``data`` and ``trailer`` to ``path``, in place of another file or not.

        Raises
        ------
        TargetReplacedError
            If the array is another run's by now.
        OSError
            As the file system has it.
        """
        temporary = f"{self._partial}/{uuid.uuid4().hex}"
        # Folders are made only where they are missing, which spares a call for every other chunk.
        try:
            try:
                _write_file(temporary, data, trailer)
            except FileNotFoundError:
                self._begin(temporary, data, trailer)
            try:
                os.replace(temporary, path)  # noqa: PTH105 - strings, made once for every chunk
            except FileNotFoundError:
                self._finish(temporary, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108 - the same
            raise

    def _begin(self, temporary: str, data: Any, trailer: bytes) -> None:
        """Make the folder for files that are being written, and write the file."""
        if self._fenced:
            raise replaced(self._location) from None
        os.makedirs(self._partial, exist_ok=True)  # noqa: PTH103 - the same
        _write_file(temporary, data, trailer)

    def _finish(self, temporary: str, path: str) -> None:
        """Make the folder that is missing, and rename the file."""
        if self._fenced and not os.path.exists(temporary):  # noqa: PTH110 - the same
            if os.path.isdir(self._partial) and os.path.exists(path):  # noqa: PTH110, PTH112 - the same
                # It was renamed: a network file system that lost its answer asks again, and finds no such file.
                return
            raise replaced(self._location)
        try:
            _make_folders(os.path.dirname(path), self._root)  # noqa: PTH120 - the same
            os.replace(temporary, path)  # noqa: PTH105 - the same
        except FileNotFoundError:
            if self._fenced:
                raise replaced(self._location) from None
            raise


def partial_folder(ref: StoredArray) -> str:
    """Return the name of the folder in ``ref`` for chunks that are being written."""
    return f"{PARTIAL}-{ref.generation}" if ref.generation else PARTIAL


def _make_folders(folder: str, root: str) -> None:
    """Make ``folder`` and those above it that are missing below ``root``, which is never made again.

    Raises
    ------
    FileNotFoundError
        If ``root`` is gone.
    """
    if len(folder) <= len(root):
        os.stat(root)  # noqa: PTH116 - strings, as above
        return
    try:
        os.mkdir(folder)  # noqa: PTH102 - the same
    except FileExistsError:
        return
    except FileNotFoundError:
        _make_folders(os.path.dirname(folder), root)  # noqa: PTH120 - the same
        _make_folders(folder, root)


def _read_again(file: FileIO) -> memoryview | bytes:
    """Return what is in ``file``, in memory that is used again."""
    block = BUFFERS.take(os.fstat(file.fileno()).st_size)
    done = 0
    while done < block.nbytes:
        count = file.readinto(block[done:])
        if not count:
            break
        done += count
    rest = file.readall()
    return bytes(block[:done]) + rest if rest else read_only(block[:done])


def _write_file(path: str, data: Any, trailer: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        # A write may be partial: of more than 2 GiB on Linux, for one.
        whole = memoryview(data).cast("B")
        done = os.writev(descriptor, (whole, trailer)) if trailer else 0
        while done < len(whole):
            done += os.write(descriptor, whole[done:])
        while done < len(whole) + len(trailer):
            done += os.write(descriptor, trailer[done - len(whole) :])
    finally:
        os.close(descriptor)
