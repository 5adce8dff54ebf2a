"""The messages between the driver and a worker process: length-prefixed frames.

A frame is a head (kind, length of the header, length of the body), a header and a body. Workers send plain data: a
greeting, and outcomes as rows of numbers followed by raw bytes. Nothing of it is unpickled here; the pickled values
among those bytes stay as they are.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from pickle import loads
from typing import NamedTuple

from asyncexec.events.outcome import Encoded, ErrorInfo, Outcome, Status, ValueHandle

type Bytes = bytes | bytearray | memoryview

HEAD = struct.Struct("=BxxxIQ")
# The prefix of an outcomes frame's header: number of the batch, position of the first row. Rows follow.
PREFIX = struct.Struct("=qq")
# status, started_at, seconds, peak_bytes, read_bytes, written_bytes, length of value, length of error.
ROW = struct.Struct("=qddqqqqq")
NO_VALUE = -1
KEPT = 1 << 62
"""Added to the length of a value that is a handle, as JSON, of one that the worker has kept."""

# Pickles of None, a truth value, or a number of up to eight bytes are known by length and operation; a million of them
# take less room as what they are.
_LEAST_FRAMED = 15
_PLAIN = {4: b"N\x88\x89", 5: b"K", 15: b"M", 17: b"J", 21: b"G"}

STATUSES = tuple(Status)
CODES = {status: code for code, status in enumerate(STATUSES)}
CACHED = 1 << 8
"""Added to the code of a status whose value came from a cache."""
SUCCEEDED, CANCELLED = CODES[Status.SUCCEEDED], CODES[Status.CANCELLED]

SCRATCH_BYTES = 256 * 1024

new = tuple.__new__  # A named tuple's own constructor takes three times as long.


class FrameKind(IntEnum):
    """The kind of a frame."""

    READY = 1
    """From a worker: it is ready."""
    PROGRAM = 2
    """To a worker: the program of a stage."""
    BATCH = 3
    """To a worker: attempts to run."""
    OUTCOMES = 4
    """From a worker: outcomes of attempts."""
    NOTES = 5
    """From a worker: a note, as JSON."""
    CONCURRENT = 6
    """To a worker: attempts to run at once."""
    STOP = 7
    """To a worker: stop some of them."""
    REPORTS = 8
    """From a worker: starts and outcomes of some of them."""


class Row(NamedTuple):
    """One outcome in an outcomes frame; ``value`` is None if there is none, and itself where it is a small number."""

    code: int
    started_at: float
    seconds: float
    peak_bytes: int
    read_bytes: int
    written_bytes: int
    value: Encoded | ValueHandle | float | None
    error: ErrorInfo | None

    @property
    def skipped(self) -> bool:
        """True if the worker skipped the attempt without starting it."""
        return self.code == CANCELLED and self.started_at == 0.0

    def outcome(self, attempt: int, worker: str) -> Outcome:
        """Return the outcome of ``attempt``."""
        code, *figures = self
        cached = code >= CACHED
        status = STATUSES[code - CACHED if cached else code]
        return new(Outcome, (attempt, status, worker, *figures, cached, 0))


def head(kind: FrameKind, header_bytes: int, body_bytes: int) -> bytes:
    """Return a frame's head."""
    return HEAD.pack(kind, header_bytes, body_bytes)


def rows(table: Bytes, payload: Bytes) -> Iterator[Row]:
    """Iterate over the rows of ``table``, with their values and errors from ``payload``."""
    at = 0
    for code, started, seconds, peak, read, written, value_bytes, error_bytes in ROW.iter_unpack(
        table
    ):
        value: Encoded | ValueHandle | float | None = None
        error = None
        if value_bytes >= KEPT:
            end = at + value_bytes - KEPT
            value = ValueHandle(*json.loads(bytes(payload[at:end])))
            at = end
        elif value_bytes >= 0:
            data = _cut(payload, at, at + value_bytes)
            plain = _PLAIN.get(value_bytes)
            # The operation lies behind the pickle's version, and behind the frame that larger ones have.
            if plain is not None and data[2 if value_bytes < _LEAST_FRAMED else 11] in plain:
                value = loads(data)  # noqa: S301 - nothing is called for it
            else:
                value = new(Encoded, (data,))
            at += value_bytes
        if error_bytes:
            error = read_error(bytes(payload[at : at + error_bytes]))
            at += error_bytes
        yield new(Row, (code, started, seconds, peak, read, written, value, error))


def _cut(payload: Bytes, start: int, stop: int) -> bytes | bytearray:
    # A large value is the whole body of a frame, received into memory of its own: it is not copied again.
    if type(payload) is bytearray and stop - start == len(payload):
        return payload
    return bytes(payload[start:stop])


def write_error(error: ErrorInfo) -> bytes:
    """Return ``error`` as JSON, without the exception itself."""
    return json.dumps([*error[:4], error.record]).encode()


def read_error(text: bytes) -> ErrorInfo:
    """Return the error that :func:`write_error` wrote."""
    kind, bases, message, traceback, record = json.loads(text)
    return ErrorInfo(kind, tuple(bases), message, traceback, record=record)


type TakeFrame = Callable[[FrameKind, memoryview, memoryview | bytearray], None]


class FrameParser:
    """Parses frames, without IO: the caller fills :meth:`free_space`, and then calls :meth:`received`.

    Parameters
    ----------
    take : callable
        Called with each frame's kind, header and body. The header, and a body that is a memoryview, are valid during
        the call only; the body of a frame too large for the scratch space is a bytearray that may be kept.
    """

    def __init__(self, take: TakeFrame) -> None:
        self._take = take
        self._scratch = memoryview(bytearray(SCRATCH_BYTES))
        self._start = self._end = 0
        # A large frame that is incomplete: kind, header, body, and the number of bytes of the body so far.
        self._big: tuple[FrameKind, memoryview, bytearray] | None = None
        self._filled = 0

    def free_space(self) -> memoryview:
        """Return the buffer for the next bytes."""
        if self._big is not None:
            return memoryview(self._big[2])[self._filled :]
        return self._scratch[self._end :]

    def received(self, count: int) -> None:
        """Process ``count`` bytes that were put into the buffer."""
        if self._big is not None:
            self._filled += count
            self._finish_big()
            return
        self._end += count
        while self._next():
            pass
        if self._start == self._end:
            self._start = self._end = 0
        elif self._start:
            left = self._end - self._start
            self._scratch[:left] = self._scratch[self._start : self._end]
            self._start, self._end = 0, left

    def _next(self) -> bool:
        """Parse one frame in the scratch space, if it is complete; move a large one out once its header is complete."""
        have = self._end - self._start
        if have < HEAD.size:
            return False
        kind, header_bytes, body_bytes = HEAD.unpack_from(self._scratch, self._start)
        at = self._start + HEAD.size
        body_at = at + header_bytes
        if self._end < body_at:
            return False
        stop = body_at + body_bytes
        if stop <= self._end:
            self._start = stop
            self._take(FrameKind(kind), self._scratch[at:body_at], self._scratch[body_at:stop])
            return self._start < self._end
        if HEAD.size + header_bytes + body_bytes <= SCRATCH_BYTES:
            return False
        header = memoryview(bytes(self._scratch[at:body_at]))
        body = bytearray(body_bytes)
        self._filled = self._end - body_at
        body[: self._filled] = self._scratch[body_at : self._end]
        self._big = (FrameKind(kind), header, body)
        self._start = self._end
        return False

    def _finish_big(self) -> None:
        if self._big is None or self._filled < len(self._big[2]):
            return
        kind, header, body = self._big
        self._big = None
        self._take(kind, header, body)


def pack_row(table: memoryview, at: int, outcome: Outcome, sizes: Sequence[int], code: int) -> None:
    """Write an outcome's row into ``table`` at byte ``at``; ``sizes`` are the lengths of its value and its error."""
    ROW.pack_into(table, at, code, *outcome[3:8], *sizes)
