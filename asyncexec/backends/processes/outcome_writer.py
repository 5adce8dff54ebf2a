"""The outcomes of a worker: left on the page, and sent when they fill it or have been there for a while."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import socket
import threading
import time
from collections import deque
from typing import Any

from asyncexec.backends.processes.frames import (
    CACHED,
    CANCELLED,
    CODES,
    KEPT,
    NO_VALUE,
    PREFIX,
    ROW,
    Bytes,
    FrameKind,
    head,
    pack_row,
    write_error,
)
from asyncexec.backends.processes.page import PAYLOAD_BYTES, Page
from asyncexec.events.outcome import Encoded, Outcome, Status, ValueHandle
from asyncexec.worker.attempt import describe
from asyncexec.worker.pickling import pickle_value
from asyncexec.worker.records import Note

MOST_NOTES = 10_000
"""The most notes that wait for room on the socket; of more, the oldest are lost."""

FLUSH_SECONDS = 0.02
"""The time after which outcomes on the page are sent, with the next that comes."""


class OutcomeWriter:
    """Writes outcomes to the page, and sends them when they fill it or have been there for a while."""

    def __init__(self, connection: socket.socket, page: Page) -> None:
        self._connection = connection
        self._page = page
        self._table, self._payload = page.table, page.payload
        self._number = 0
        self._first = 0
        self._count = 0
        self._used = 0
        self._flushed_at = 0.0
        # Notes come from any thread of a task, and are never waited for: what the socket has no room for goes later.
        self._lock = threading.Lock()
        self._notes: deque[Note] = deque(maxlen=MOST_NOTES)
        self._unsent = memoryview(b"")
        self._pid = os.getpid()
        self.has_values = False
        """True if the outputs of the program that runs are values."""

    def begin(self, number: int) -> None:
        self._number, self._first, self._count, self._used = number, 0, 0, 0
        self._page.begin(number)

    def started(self, attempt: int) -> None:
        """Do nothing: the control has written it to the page."""

    def ended(self, outcome: Outcome) -> None:
        value: Bytes = b""
        error = b""
        value_bytes = NO_VALUE
        status, returned, why = outcome.status, outcome.value, outcome.error
        # Of a failed attempt, the handle of what it found lost; a task without a value puts out nothing else.
        if returned is not None or (self.has_values and why is None):
            try:
                value, value_bytes = _encoded(returned)
            except BaseException as raised:  # noqa: BLE001 - pickling a value may raise anything
                status, why = Status.FAILED, describe(raised)
        if why is not None:
            error = write_error(why)
        code = CODES[status] + CACHED if outcome.cached else CODES[status]
        self._leave(outcome, code, value, error, (value_bytes, len(error)))

    def noted(self, note: Note) -> None:
        if os.getpid() != self._pid:
            return  # A process that a task has forked, whose socket is its parent's.
        self._notes.append(note)
        if self._lock.acquire(blocking=False):
            try:
                with contextlib.suppress(
                    OSError
                ):  # The driver has gone, as the main loop will find.
                    self._send_notes(socket.MSG_DONTWAIT)
            finally:
                self._lock.release()

    def skip(self) -> None:
        self._leave(Outcome(0, Status.CANCELLED), CANCELLED, b"", b"", (NO_VALUE, 0))

    def flush(self) -> None:
        if self._notes or self._unsent:
            with self._lock:
                self._send_notes(0)
        if not self._count:
            return
        rows = self._table[: self._count * ROW.size]
        self._send_rows(rows, self._payload[: self._used])
        self._first += self._count
        self._count = self._used = 0
        self._page.left(self._number, self._first, 0)

    def _leave(
        self, outcome: Outcome, code: int, value: Bytes, error: bytes, sizes: tuple[int, int]
    ) -> None:
        more = len(value) + len(error)
        if self._used + more > PAYLOAD_BYTES:
            self.flush()
        if more > PAYLOAD_BYTES:
            row = bytearray(ROW.size)
            pack_row(memoryview(row), 0, outcome, sizes, code)
            self._send_rows(row, value, error)
            self._first += 1
            self._page.left(self._number, self._first, 0)
            return
        pack_row(self._table, self._count * ROW.size, outcome, sizes, code)
        for data in (value, error):
            stop = self._used + len(data)
            self._payload[self._used : stop] = data
            self._used = stop
        self._count += 1
        self._page.left(self._number, self._first, self._count)
        if time.monotonic() - self._flushed_at >= FLUSH_SECONDS:
            self.flush()

    def _send_rows(self, rows: Bytes, *payload: Bytes) -> None:
        prefix = PREFIX.pack(self._number, self._first)
        self.send(FrameKind.OUTCOMES, prefix, rows, *payload, header_bytes=len(prefix) + len(rows))
        self._flushed_at = time.monotonic()

    def send(self, kind: FrameKind, *parts: Bytes, header_bytes: int | None = None) -> None:
        total = sum(map(len, parts))
        length = total if header_bytes is None else header_bytes
        unsent = [memoryview(p) for p in (head(kind, length, total - length), *parts) if len(p)]
        with self._lock:
            self._send_notes(0)
            self._send_all(unsent)

    def _send_notes(self, flags: int) -> None:
        """Send what is left of the last note, and those that wait; with ``MSG_DONTWAIT``, as many as find room."""
        while self._unsent or self._notes:
            if not self._unsent:
                data = json.dumps(self._notes.popleft()).encode()
                self._unsent = memoryview(head(FrameKind.NOTES, len(data), 0) + data)
            try:
                count = self._connection.send(self._unsent, flags)
            except (BlockingIOError, InterruptedError):
                return
            self._unsent = self._unsent[count:]

    def _send_all(self, unsent: list[memoryview]) -> None:
        while unsent:
            count = self._connection.sendmsg(unsent)
            while unsent and count >= len(unsent[0]):
                count -= len(unsent.pop(0))
            if unsent:
                unsent[0] = unsent[0][count:]


_NONE = pickle.dumps(None, protocol=5)


def _encoded(value: Any) -> tuple[Bytes, int]:
    """Return a value, or its handle, as bytes, and the length for its row."""
    kind = type(value)
    if kind is ValueHandle:
        handle = json.dumps(value).encode()
        return handle, KEPT + len(handle)
    if value is None:
        return _NONE, len(_NONE)
    data = value.data if kind is Encoded else pickle_value(value)
    return data, len(data)
