"""What a worker streams back: frames whose first byte says what they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from asyncexec.errors import BackendError
from asyncexec.worker.framing import FrameReader, pack_frame

MEDIA_TYPE = "application/x-asyncexec-frames"


class FrameType(IntEnum):
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
    """What the first frame says."""

    worker: str = ""
    """The name of the worker's process, unique in the world."""
    call: str = ""
    """What the worker calls the call, for orders about it."""


class Frame(NamedTuple):
    """One frame."""

    kind: FrameType
    content: bytes = b""


def encode_hello(hello: Hello) -> bytes:
    """Return the first frame as bytes."""
    return encode_frame(Frame(FrameType.HELLO, json.dumps(hello).encode()))


def decode_hello(content: bytes) -> Hello:
    """Return what the content of the first frame says; raises BackendError if it is something else."""
    try:
        return Hello(*map(str, json.loads(content)))
    except (ValueError, TypeError) as error:
        raise BackendError(
            f"executor 'http': a worker said {content[:100]!r} to begin with"
        ) from error


def encode_frame(frame: Frame) -> bytes:
    """Return a frame as bytes."""
    return pack_frame(bytes([frame.kind]), frame.content)


class HttpFrames:
    """Finds frames in bytes that come in pieces."""

    def __init__(self) -> None:
        self._reader = FrameReader()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take in ``data``, and yield the frames that are complete with it.

        Raises BackendError if it is something else.
        """
        try:
            for frame in self._reader.feed(data):
                yield Frame(FrameType(frame[0]), frame[1:])
        except (BackendError, ValueError, IndexError) as error:
            raise BackendError(
                "executor 'http': the function answered with something else than frames. "
                "It must be asyncexec.backends.http.worker_side:handle, in the engine's version"
            ) from error
