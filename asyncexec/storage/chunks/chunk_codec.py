"""Chunks as they are stored: elements in C order, perhaps compressed, perhaps with a checksum behind them."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np

from asyncexec.plan.lengths import Lengths, block_start
from asyncexec.storage.chunks.buffers import ALLOCATOR, BUFFERS, LEAST_BYTES, read_only
from asyncexec.storage.chunks.codec_libraries import codec
from asyncexec.storage.places.errors import damaged_chunk, missing_chunk

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncexec.errors import CorruptChunkError
    from asyncexec.plan.box import Index, Shape
    from asyncexec.storage.chunks.arrays import Encoding, StoredArray

CHECKSUM_BYTES = 4
"""The room that a checksum takes behind a chunk."""

_ENCODED_SPARE = 128
"""Encoders ask for no more than this part of a chunk besides its own size: zstd and LZ4 for half of it."""

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class ChunkCodec:
    """The encoding of the chunks of one array, with the codecs that Zarr uses."""

    def __init__(self, ref: StoredArray, encoding: Encoding) -> None:
        self._location = ref.location
        self._dense = ref.dense
        self._fill = ref.fill_element
        self._stored = np.dtype(encoding.dtype)
        self._dtype = ref.numpy_dtype
        self.has_checksum = encoding.checksum
        self._chunks = ref.chunks
        self._uneven = any(isinstance(length, Lengths) for length in ref.chunks)
        self.chunk_bytes = int(np.prod(ref.chunks, dtype=np.int64)) * self._dtype.itemsize
        self._codec = codec(encoding.compressor, self.chunk_bytes)
        # None where a chunk is decoded into memory that the codec asks for.
        self._declared: Callable[[Any], int | None] | None = None
        if self._codec is not None:
            name = json.loads(encoding.compressor)["name"]
            # Small chunks are in memory that the allocator has at hand anyway.
            if name == "blosc" or self.chunk_bytes >= LEAST_BYTES:
                self._declared = _DECLARED.get(name)

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
            try:
                declared = self._declared
                data = self._decompressed(data, declared) if declared else self._codec.decode(data)
            except Exception as error:
                raise self.corrupt(chunk, path, f"it cannot be decompressed ({error})") from error
            data = data if isinstance(data, bytes) else memoryview(data).cast("B")
        shape, expected = self._chunks, self.chunk_bytes
        if self._uneven:
            shape = self._shape(chunk)
            expected = math.prod(shape) * self._dtype.itemsize
        if len(data) != expected:
            raise self.corrupt(
                chunk, path, f"it holds {len(data)} bytes of data instead of {expected}"
            )
        block = np.frombuffer(data, self._stored).reshape(shape)
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
        return np.broadcast_to(self._fill, self._shape(chunk))

    def _shape(self, chunk: Index) -> Shape:
        """Return the shape in which a chunk is stored: at the array's edge it is full, where lengths are equal."""
        if not self._uneven:
            return self._chunks
        along = zip(self._chunks, chunk, strict=True)
        return tuple([block_start(c, i + 1) - block_start(c, i) for c, i in along])

    def encoded(self, part: np.ndarray) -> Any:
        """Return a chunk as it is stored, without a checksum; ``part`` is smaller at the array's edge."""
        full = self._chunks
        if self._uneven:
            along = zip(self._chunks, part.shape, strict=True)
            full = tuple([n if isinstance(c, Lengths) else c for c, n in along])
        if part.shape != full:
            # Zarr stores chunks at the array's edge in full size.
            padded = np.full(full, self._fill, self._stored)
            padded[tuple(slice(0, n) for n in part.shape)] = part
            part = padded
        # Codecs take memory in C order only, and elements in the byte order that is stored.
        part = np.ascontiguousarray(part, self._stored)
        if self._codec is None:
            return part.reshape(-1).view(np.uint8).data
        if part.nbytes >= LEAST_BYTES:
            ALLOCATOR.learn(part.nbytes + part.nbytes // _ENCODED_SPARE)
        return self._codec.encode(part)

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

    def _decompressed(self, data: Any, declared: Callable[[Any], int | None]) -> Any:
        """Return ``data`` decoded, in memory that is used again where it says that it is one chunk."""
        # The codec allocates where it does not say, or says otherwise: it must not write beyond the buffer.
        if declared(data) != self.chunk_bytes:
            return self._codec.decode(data)
        block = BUFFERS.take(self.chunk_bytes)
        self._codec.decode(data, block)
        return read_only(block)


def _frame_bytes(data: Any) -> int | None:
    """Return how many bytes the zstd frame at the beginning of ``data`` says that it holds (RFC 8878, 3.1.1.1)."""
    head = bytes(data[:18])
    if len(head) < 6 or head[:4] != _ZSTD_MAGIC:
        return None
    flags = head[4]
    single = flags >> 5 & 1
    width = (single, 2, 4, 8)[flags >> 6]
    start = 5 + (1 - single) + (0, 1, 2, 4)[flags & 3]
    if not width or len(head) < start + width:
        return None
    return int.from_bytes(head[start : start + width], "little") + (256 if width == 2 else 0)


def _blosc_bytes(data: Any) -> int:
    """Return how many bytes ``data`` says that it holds (the header of Blosc 1), which does not look behind its end."""
    head = bytes(data[:16])
    if len(head) < 16 or int.from_bytes(head[12:16], "little") != len(data):
        raise ValueError(f"{len(data)} bytes are not as many as it says")
    return int.from_bytes(head[4:8], "little")


_DECLARED = {"zstd": _frame_bytes, "blosc": _blosc_bytes}
"""How many bytes chunks say that they hold; codecs by which chunks are decoded into memory that is there."""


def _crc32c(data: np.ndarray) -> bytes:
    """Return the checksum of ``data`` as it is stored; the library takes arrays of bytes, and no memoryview."""
    return int(google_crc32c.value(data)).to_bytes(CHECKSUM_BYTES, "little")
