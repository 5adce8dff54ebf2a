"""What a worker streams back: frames of one byte that says what it is, a length, and content."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from asyncexec.errors import BackendError

_HEADER = struct.Struct("<BI")
MEDIA_TYPE = "application/x-asyncexec-frames"


class Kind(IntEnum):
    """What a frame is."""

    HELLO = 1
    """The call has arrived at the worker whose name this is."""
    BEAT = 2
    """It is still at it."""
    REPORTS = 3
    """Starts and outcomes, as :func:`asyncexec.worker.codec.encode_reports` makes them."""
    NEEDS_PROGRAM = 4
    """Send it again, with the program."""
    END = 5
    """That was all; a stream that ends without this was cut."""


class Hello(NamedTuple):
    """What the first frame says.

    Attributes
    ----------
    worker : str
        The name of the worker's process, unique in the world.
    call : str
        What the worker calls the call, for orders about it.
    """

    worker: str = ""
    call: str = ""


class Frame(NamedTuple):
    """One frame."""

    kind: Kind
    content: bytes = b""


def encode_hello(hello: Hello) -> bytes:
    """Return the first frame as bytes."""
    return encode_frame(Frame(Kind.HELLO, json.dumps(hello).encode()))


def decode_hello(content: bytes) -> Hello:
    """Return what the content of the first frame says.

    Raises
    ------
    BackendError
        If it is something else.
    """
    try:
        return Hello(*map(str, json.loads(content)))
    except (ValueError, TypeError) as error:
        raise BackendError(
            f"executor 'http': a worker said {content[:100]!r} to begin with"
        ) from error


def encode_frame(frame: Frame) -> bytes:
    """Return a frame as bytes."""
    return _HEADER.pack(frame.kind, len(frame.content)) + frame.content


class FrameReader:
    """Finds frames in bytes that come in pieces."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take in ``data``, and yield the frames that are complete with it.

        Raises
        ------
        BackendError
            If it is something else.
        """
        self._buffer += data
        position = 0
        while len(self._buffer) - position >= _HEADER.size:
            kind, size = _HEADER.unpack_from(self._buffer, position)
            end = position + _HEADER.size + size
            if kind not in Kind:
                raise BackendError(
                    "executor 'http': the function answered with something else than frames. "
                    "It must be asyncexec.backends.http_worker:handle, in the engine's version"
                )
            if len(self._buffer) < end:
                break
            yield Frame(Kind(kind), bytes(self._buffer[position + _HEADER.size : end]))
            position = end
        del self._buffer[:position]
