"""The bytes of a value in one piece: its pickle, and behind it the big buffers (arrays) that it is made of, aligned.

A file of it is mapped instead of read, so that what a value is made of is not copied.
"""

from __future__ import annotations

import mmap
import os
import pickle
import struct
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

ALIGNMENT = 64
"""Buffers begin at multiples of this, as arrays want it."""
MAP_BYTES = 1 << 20
"""Files of this size and more are mapped, smaller ones read."""

_HEADER = struct.Struct("<QQ")  # Bytes of the pickle, and how many buffers come behind it.
_BUFFER = struct.Struct("<Q?")  # Bytes of a buffer, and whether it is read-only.


class WritableFile(Protocol):
    """A file, as far as it is written to."""

    def write(self, data: bytes | memoryview, /) -> Any:
        """Write these bytes."""
        ...


def layout_bytes(data: bytes, beside: Sequence[memoryview]) -> int:
    """Return how many bytes :func:`write_value` writes."""
    size = _table_bytes(len(beside)) + len(data)
    for buffer in beside:
        size = _aligned(size) + buffer.nbytes
    return size


def write_value(file: WritableFile, data: bytes, beside: Sequence[memoryview]) -> None:
    """Write a pickle and the buffers that belong to it."""
    file.write(_HEADER.pack(len(data), len(beside)))
    for buffer in beside:
        file.write(_BUFFER.pack(buffer.nbytes, buffer.readonly))
    file.write(data)
    at = _table_bytes(len(beside)) + len(data)
    for buffer in beside:
        file.write(bytes(_aligned(at) - at))
        file.write(buffer)
        at = _aligned(at) + buffer.nbytes


def load_value(whole: mmap.mmap | bytearray | bytes | memoryview) -> Any:
    """Return the value; its buffers are those of ``whole``, and can be written to where these can."""
    data, buffers = value_pieces(memoryview(whole))
    return pickle.loads(data, buffers=buffers)  # noqa: S301 - the value of a value stage


def value_pieces(whole: memoryview) -> tuple[memoryview, list[memoryview]]:
    """Return the pickle in a value's bytes, and the buffers behind it."""
    size, count = _HEADER.unpack_from(whole)
    begin = _table_bytes(count)
    at = begin + size
    buffers: list[memoryview] = []
    for nbytes, readonly in _BUFFER.iter_unpack(whole[_HEADER.size : begin]):
        start = _aligned(at)
        at = start + nbytes
        buffer = whole[start:at]
        buffers.append(buffer.toreadonly() if readonly else buffer)
    return whole[begin : begin + size], buffers


def file_contents(descriptor: int, *, access: int = mmap.ACCESS_COPY) -> mmap.mmap | bytearray:
    """Return what a file holds: mapped where it is large, since a process may have no more than some 65,000 maps."""
    size = os.fstat(descriptor).st_size
    if size >= MAP_BYTES:
        return mmap.mmap(descriptor, size, access=access)
    contents = bytearray(size)
    with open(descriptor, "rb", closefd=False) as file:
        file.readinto(contents)
    return contents


def _table_bytes(count: int) -> int:
    return _HEADER.size + count * _BUFFER.size


def _aligned(position: int) -> int:
    return -(-position // ALIGNMENT) * ALIGNMENT
