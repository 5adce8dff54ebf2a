"""Frames in a stream of bytes: each goes after its length, eight bytes, little-endian."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from asyncexec.errors import BackendError

_LENGTH = struct.Struct("<Q")
PREFIX_BYTES = _LENGTH.size
"""How many bytes go before a frame."""

type ReadInto = Callable[[memoryview], int | None]
"""Reads into a buffer and returns how many bytes came, none at the end: ``recv_into`` or ``readinto``."""


def frame_prefix(length: int) -> bytes:
    """Return what goes before a frame of this many bytes."""
    return _LENGTH.pack(length)


def frame_length(prefix: bytes | bytearray) -> int:
    """Return how many bytes follow a prefix."""
    (length,) = _LENGTH.unpack(prefix)
    return int(length)


def pack_frame(*pieces: bytes) -> bytes:
    """Return the frame that holds these pieces."""
    return b"".join([_LENGTH.pack(sum(map(len, pieces))), *pieces])


def read_frame(read_into: ReadInto, longest: int = 1 << 48) -> bytearray | None:
    """Return the next frame; None where the stream ends, also in the middle of one, as when its writer died.

    Raises BackendError if it has more than ``longest`` bytes: memory is not reserved for what a stranger says.
    """
    prefix = _read(read_into, PREFIX_BYTES)
    if prefix is None:
        return None
    if (length := frame_length(prefix)) > longest:
        raise BackendError(f"a frame of {length:,} bytes came, where {longest:,} are the most")
    return _read(read_into, length)


def _read(read_into: ReadInto, count: int) -> bytearray | None:
    data = bytearray(count)
    rest = memoryview(data)
    while rest:
        came = read_into(rest)
        if not came:
            return None
        rest = rest[came:]
    return data


class FrameReader:
    """Finds frames in bytes that come in pieces.

    Parameters
    ----------
    longest : int
        The most bytes that a frame may have: a length beyond that is no length, and the stream something else.
    """

    def __init__(self, longest: int = 1 << 48) -> None:
        self._longest = longest
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take in ``data``, and yield the frames that are complete with it.

        Raises BackendError if this is no stream of frames.
        """
        self._buffer += data
        position = 0
        try:
            while len(self._buffer) - position >= PREFIX_BYTES:
                begin = position + PREFIX_BYTES
                end = begin + frame_length(self._buffer[position:begin])
                if end - begin > self._longest:
                    raise BackendError(
                        f"a worker answered with something that is not a stream of frames: {bytes(self._buffer[:40])!r}"
                    )
                if len(self._buffer) < end:
                    break
                yield bytes(self._buffer[begin:end])
                position = end
        finally:
            # Once for all frames, as each deletion moves what is left.
            del self._buffer[:position]
