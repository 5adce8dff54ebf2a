"""Chunks as they are stored: elements in C order, perhaps compressed, perhaps with a checksum behind them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import google_crc32c
import numcodecs
import numpy as np

from asyncexec.storage.places.errors import damaged_chunk, missing_chunk

if TYPE_CHECKING:
    from asyncexec.errors import CorruptChunkError
    from asyncexec.plan.box import Index
    from asyncexec.storage.chunks.arrays import Encoding, StoredArray

CHECKSUM_BYTES = 4
"""The room that a checksum takes behind a chunk."""

_SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}


class ChunkCodec:
    """The encoding of the chunks of one array, with the codecs that Zarr uses."""

    def __init__(self, ref: StoredArray, encoding: Encoding) -> None:
        self._location = ref.location
        self._dense = ref.dense
        self._fill = ref.fill_element
        self._stored = np.dtype(encoding.dtype)
        self._dtype = ref.numpy_dtype
        self._codec = codec(encoding.compressor)
        self.has_checksum = encoding.checksum
        self._chunks = ref.chunks
        self.chunk_bytes = int(np.prod(ref.chunks, dtype=np.int64)) * self._dtype.itemsize

    def decoded(self, data: Any, chunk: Index, path: str) -> np.ndarray:
        """Return the elements of a chunk that is stored as ``data`` at ``path``.

        Raises
        ------
        CorruptChunkError
            If it cannot be decoded.
        """
        if self.has_checksum:
            data = self._checked(data, chunk, path)
        if self._codec is not None:
            data = self._decompressed(data, chunk, path)
        if len(data) != self.chunk_bytes:
            raise self.corrupt(
                chunk, path, f"it holds {len(data)} bytes of data instead of {self.chunk_bytes}"
            )
        block = np.frombuffer(data, self._stored).reshape(self._chunks)
        return block if self._stored == self._dtype else block.astype(self._dtype)

    def missing(self, chunk: Index, path: str) -> np.ndarray:
        """Return the elements of a chunk that is not there: fill values.

        Raises
        ------
        CorruptChunkError
            If every chunk of the array was written before it is read.
        """
        if self._dense:
            raise missing_chunk(self._location, chunk, path)
        # A view of one element: a chunk that was never written takes no memory.
        return np.broadcast_to(self._fill, self._chunks)

    def encoded(self, part: np.ndarray) -> Any:
        """Return a chunk as it is stored, without a checksum; ``part`` is smaller at the array's edge."""
        if part.shape != self._chunks:
            # Zarr stores chunks at the array's edge in full size.
            padded = np.full(self._chunks, self._fill, self._stored)
            padded[tuple(slice(0, n) for n in part.shape)] = part
            part = padded
        part = np.ascontiguousarray(part, self._stored)
        return (
            part.reshape(-1).view(np.uint8).data
            if self._codec is None
            else self._codec.encode(part)
        )

    def trailer(self, data: Any) -> bytes:
        """Return what is stored behind ``data``: its checksum, if there is one."""
        return _crc32c(np.frombuffer(data, np.uint8)) if self.has_checksum else b""

    def corrupt(self, chunk: Index, path: str, what: str) -> CorruptChunkError:
        """Return the error for a chunk of which ``what`` is wrong."""
        return damaged_chunk(self._location, chunk, path, what)

    def _checked(self, data: Any, chunk: Index, path: str) -> memoryview:
        """Return ``data`` without the checksum behind it."""
        size = len(data) - CHECKSUM_BYTES
        if size <= 0:
            raise self.corrupt(chunk, path, f"it holds {len(data)} bytes")
        if _crc32c(np.frombuffer(data, np.uint8, size)) != data[size:]:
            raise self.corrupt(chunk, path, "its checksum does not match")
        return memoryview(data)[:size]

    def _decompressed(self, data: Any, chunk: Index, path: str) -> Any:
        try:
            decoded = self._codec.decode(data)
        except Exception as error:
            raise self.corrupt(chunk, path, f"it cannot be decompressed ({error})") from error
        return decoded if isinstance(decoded, bytes) else memoryview(decoded).cast("B")


def codec(compressor: str) -> Any:
    """Return the codec that ``compressor`` (JSON in Zarr 3's terms, ``""`` for none) describes, or None."""
    if not compressor:
        return None
    document = json.loads(compressor)
    options = dict(document.get("configuration", {}))
    if document["name"] == "blosc":
        options["shuffle"] = _SHUFFLES[options["shuffle"]]
        options.pop("typesize", None)  # numcodecs takes it from the buffer
        return numcodecs.Blosc(**options)
    return {"zstd": numcodecs.Zstd, "gzip": numcodecs.GZip}[document["name"]](**options)


def _crc32c(data: np.ndarray) -> bytes:
    """Return the checksum of ``data`` as it is stored; the library takes arrays of bytes, and no memoryview."""
    return int(google_crc32c.value(data)).to_bytes(CHECKSUM_BYTES, "little")
