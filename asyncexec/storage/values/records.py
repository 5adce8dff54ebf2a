"""The records of a journal of values: one for each completed task, checksummed, one behind the other.

A record has a head (mark, CRC-32 of all that follows, lengths, kind, task), the name of its stage, and its data: a
pickled value, or the key of a blob that holds it. What a writer that was killed has left of its last record does not
match the checksum, and neither does a record that was damaged since: it is left out, and those behind it are found.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

type Buffer = bytes | bytearray | memoryview

_HEAD = struct.Struct("<4sI")
_BODY = struct.Struct("<BHQQ")
_MARK = b"axv1"
LEAST_BYTES = _HEAD.size + _BODY.size
_WINDOW_BYTES = 1 << 20


class Kind(IntEnum):
    """The form in which a record has its value."""

    PICKLE = 0
    BLOB = 1
    """The value is a blob: its size (8 bytes) and its key."""


class Record(NamedTuple):
    """One record, by its place in a segment."""

    stage: bytes
    """The name of the stage, encoded."""
    task: int
    kind: int
    start: int
    """Where its data begin."""
    stop: int
    """Where they end, and the next record begins."""

    @property
    def begin(self) -> int:
        """The place where the record begins."""
        return self.start - len(self.stage) - LEAST_BYTES


def record(stage: str, task: int, kind: Kind, data: Buffer) -> list[Buffer]:
    """Return a record as pieces of bytes."""
    name = stage.encode()
    body = _BODY.pack(kind, len(name), task, len(data)) + name
    checksum = zlib.crc32(data, zlib.crc32(body))
    return [_HEAD.pack(_MARK, checksum) + body, data]


def records(segment: memoryview) -> Iterator[Record]:
    """Yield the records of a segment that are whole."""
    at, end = 0, len(segment)
    while at + LEAST_BYTES <= end:
        if is_whole(segment, at):
            found = record_at(segment, at)
            yield found
            at = found.stop
        else:
            # By one byte only: the length of a damaged record is not to be believed.
            at = _next_mark(segment, at + 1)


def is_whole(segment: memoryview, at: int) -> bool:
    """Return whether there is a record at this place of a segment, and matches its checksum."""
    mark, checksum = _HEAD.unpack_from(segment, at)
    if mark != _MARK:
        return False
    stop = record_at(segment, at).stop
    return stop <= len(segment) and zlib.crc32(segment[at + _HEAD.size : stop]) == checksum


def _next_mark(segment: memoryview, at: int) -> int:
    """Return the next place where a record may begin; the end of the segment, if there is none."""
    while at < len(segment):
        window = bytes(segment[at : at + _WINDOW_BYTES])
        found = window.find(_MARK)
        if found >= 0:
            return at + found
        # Windows overlap, as a mark may lie across two of them.
        at += max(len(window) - len(_MARK) + 1, 1)
    return len(segment)


def record_at(segment: memoryview, at: int) -> Record:
    """Return the record at this place of a segment, which was found to be whole before."""
    kind, name_bytes, task, size = _BODY.unpack_from(segment, at + _HEAD.size)
    name_at = at + LEAST_BYTES
    start = name_at + name_bytes
    return Record(bytes(segment[name_at:start]), task, kind, start, start + size)


def blob_data(key: str, nbytes: int) -> bytes:
    """Return the data of a record whose value is a blob."""
    return nbytes.to_bytes(8, "little") + key.encode()


def blob_of(data: Buffer) -> tuple[str, int]:
    """Return the key and the size of the blob that such a record names."""
    return str(data[8:], "utf-8"), int.from_bytes(data[:8], "little")
