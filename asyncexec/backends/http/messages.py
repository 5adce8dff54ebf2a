"""The messages between driver and worker: frames that a worker streams back, and requests to stop attempts.

The first byte of a frame is its type.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from asyncexec.errors import BackendError
from asyncexec.worker.control import StopResult
from asyncexec.worker.framing import FrameReader, pack_frame

VERSION = 1
FRAMES_TYPE = "application/x-asyncexec-frames"
STOP_TYPE = "application/x-asyncexec-order"


class FrameType(IntEnum):
    """The type of a frame."""

    HEADER = 1
    """The first frame, with the name of the worker."""
    HEARTBEAT = 2
    """The worker still runs the call."""
    REPORTS = 3
    """Starts and outcomes, as :func:`asyncexec.worker.codec.encode_reports` makes them."""
    NEEDS_PROGRAM = 4
    """The call must be sent again, with the program."""
    END = 5
    """The last frame; a stream that ends without it was cut."""


class CallHeader(NamedTuple):
    """The content of the first frame."""

    worker: str = ""
    """The name of the worker's process, globally unique."""
    call: str = ""
    """The worker's name of the call, for requests to stop attempts."""


class Frame(NamedTuple):
    """One frame."""

    kind: FrameType
    content: bytes = b""


def encode_header(header: CallHeader) -> bytes:
    """Return the first frame as bytes."""
    return encode_frame(Frame(FrameType.HEADER, json.dumps(header).encode()))


def decode_header(content: bytes) -> CallHeader:
    """Decode the content of the first frame; raises BackendError if it is something else."""
    try:
        return CallHeader(*map(str, json.loads(content)))
    except (ValueError, TypeError) as error:
        raise BackendError(
            f"executor 'http': a worker said {content[:100]!r} to begin with"
        ) from error


def encode_frame(frame: Frame) -> bytes:
    """Return a frame as bytes."""
    return pack_frame(bytes([frame.kind]), frame.content)


class HttpFrames:
    """Splits bytes that come in pieces into frames."""

    def __init__(self) -> None:
        self._reader = FrameReader()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Add ``data``, and yield the frames that are complete with it.

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


class StopRequest(NamedTuple):
    """The attempts to stop, and the worker's name of their call."""

    call: str
    attempts: frozenset[int]


def encode_stop_request(request: StopRequest) -> bytes:
    """Encode a request."""
    return json.dumps({"call": request.call, "stop": sorted(request.attempts)}).encode()


def decode_stop_request(body: bytes) -> StopRequest:
    """Decode a request; raises ValueError, TypeError or KeyError if it is something else."""
    content = json.loads(body)
    return StopRequest(str(content["call"]), frozenset(int(attempt) for attempt in content["stop"]))


def encode_stopped(stopped: StopResult | None) -> bytes:
    """Encode the answer to a request; None if the call is not known."""
    return json.dumps({"stopped": stopped}).encode()


def decode_stopped(body: bytes) -> StopResult | None:
    """Decode the answer to a request; None also if it is something else."""
    try:
        not_started, left = json.loads(body)["stopped"]
        return StopResult(
            [int(attempt) for attempt in not_started], [int(attempt) for attempt in left]
        )
    except (ValueError, TypeError, KeyError):
        return None
