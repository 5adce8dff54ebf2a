"""What runs in a worker process: takes batches from the driver, runs them one job after another, sends outcomes.

It imports little, for it is on the way to the first outcome; the program brings what it needs. There are no threads
here: outcomes are sent between jobs, every 20 ms at most, and until then they lie on the page that the driver sees (see
``page``).
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import io
import json
import os
import pickle
import signal
import socket
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncexec.backends.processes.frames import (
    CANCELLED,
    CODES,
    HEAD,
    KEPT,
    NO_VALUE,
    PREFIX,
    ROW,
    Bytes,
    Kind,
    head,
    pack_row,
    write_error,
)
from asyncexec.backends.processes.inputs import InputReader
from asyncexec.backends.processes.page import PAYLOAD_BYTES, Page
from asyncexec.errors import SerializationError
from asyncexec.events.outcome import Encoded, Outcome, Status, ValueHandle
from asyncexec.worker.attempt import describe
from asyncexec.worker.memory import (
    MemoryLimit,
    MemoryMeter,
    be_killed_first,
    give_back_memory,
)
from asyncexec.worker.records import AttemptSpec
from asyncexec.worker.runner import BatchRunner
from asyncexec.worker.value_files import ValueFiles
from asyncexec.worker.values import pickle_value

if TYPE_CHECKING:
    from asyncexec.worker.programs import LoadedProgram
    from asyncexec.worker.values import ValueStore

FLUSH_SECONDS = 0.02
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def main() -> None:
    """Serve the driver until it goes away; how to reach it is on the command line."""
    sock, page, stderr, parent = map(int, sys.argv[1:5])
    values = _values(sys.argv[5])
    del sys.argv[1:]
    _settle_in(parent)
    with socket.socket(fileno=sock) as connection:
        connection.set_inheritable(False)
        shared = Page(page)
        os.close(page)
        child = _Child(connection, shared, values)
        _speak_to_users(stderr)
        try:
            child.serve()
        except (BrokenPipeError, ConnectionResetError):
            return  # The driver has gone, and nobody is left to tell.


def _values(described: str) -> ValueStore | None:
    if not described:
        return None
    memory, disk, threshold = json.loads(described)
    return ValueFiles(None if memory is None else Path(memory), Path(disk), threshold=threshold)


def _settle_in(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Whether to stop is the driver's to say.
    if sys.platform == "linux":
        _die_with(parent)
        be_killed_first()


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:  # It died before that was arranged.
        sys.exit(1)


def _speak_to_users(stderr: int) -> None:
    """Write to the driver's stderr from now on, beginning with what was written so far."""
    sys.stderr.flush()
    so_far = os.pread(2, 1 << 20, 0)
    os.dup2(stderr, 2)
    os.close(stderr)
    if so_far:
        os.write(2, so_far)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    faulthandler.enable()  # A crash says where.


class _Program:
    """A program as it came, and loaded when it is first needed."""

    def __init__(self, blob: bytes) -> None:
        self._blob = blob
        self._loaded: tuple[Any, Any, Any] | None = None

    def load(self, limit: MemoryLimit) -> tuple[Any, Any, Any]:
        if self._loaded is None:
            limit.loading()
            self._loaded = pickle.loads(self._blob)  # noqa: S301 - from the driver
            limit.loaded()
            self._blob = b""
        assert self._loaded is not None  # noqa: S101 - for type checkers
        return self._loaded


class _Child:
    def __init__(self, connection: socket.socket, page: Page, values: ValueStore | None) -> None:
        self._connection = connection
        self._values = values
        self._programs: dict[str, _Program] = {}
        self._last = ""
        self._meter = MemoryMeter()
        self._limit = MemoryLimit(self._meter)
        self._out = _Out(connection, page)
        self._page = page

    def serve(self) -> None:
        self._out.send(Kind.HELLO, json.dumps({"pid": os.getpid()}).encode())
        while (frame := self._frame()) is not None:
            kind, header, body = frame
            if kind == Kind.PROGRAM:
                key, dropped = header
                for old in dropped:
                    del self._programs[old]
                self._programs[key] = _Program(bytes(body[0]))
            else:
                self._run(header, body)

    def _frame(self) -> tuple[int, tuple[Any, ...], list[memoryview]] | None:
        """Return the next frame, its body cut as its header says; None when there will be none."""
        start = _receive(self._connection, HEAD.size)
        if start is None:
            return None
        kind, header_bytes, _ = HEAD.unpack(start)
        header = _receive(self._connection, header_bytes)
        if header is None:
            return None
        fields, lengths = pickle.loads(header)  # noqa: S301 - from the driver
        body: list[memoryview] = []
        for length in lengths:
            # Each piece has memory of its own, aligned as arrays need it.
            piece = _receive(self._connection, length)
            if piece is None:
                return None
            body.append(piece)
        return kind, fields, body

    def _run(self, header: tuple[Any, ...], body: list[memoryview]) -> None:
        number, key, allowed_bytes, attempts, tasks, ends, beside_ends = header
        if key != self._last:
            give_back_memory()
            self._last = key
        inputs = InputReader(body[0], ends, beside_ends, body[1:]) if ends else None
        control = _PageControl(self._page, number, inputs, self._out)
        self._out.begin(number)
        BatchRunner(
            [
                AttemptSpec(attempt, task, () if inputs is None else _Inputs(inputs, position))
                for position, (attempt, task) in enumerate(zip(attempts, tasks, strict=True))
            ],
            partial(self._load, self._programs[key], allowed_bytes),
            control=control,
            sink=self._out,
            worker="",
            meter=self._meter,
            values=self._values,
        ).run()
        self._out.flush()

    def _load(self, program: _Program, allowed_bytes: int | None) -> LoadedProgram:
        try:
            loaded = program.load(self._limit)
            self._limit.set(allowed_bytes)
        except MemoryError:
            raise
        except BaseException as error:
            raise _cannot("the function of this stage cannot be loaded", error, _LOADING) from error
        self._out.has_values = loaded[1] is None
        return loaded


class _PageControl:
    """Begins attempts on the page that the driver sees, and passes over those that it has forbidden there."""

    def __init__(self, page: Page, number: int, inputs: InputReader | None, out: _Out) -> None:
        self._page = page
        self._number = number
        self._inputs = inputs
        self._out = out
        self._forbidden = page.forbidden(number)
        self._position = -1

    def begin(self, attempt: int) -> bool:
        self._position += 1
        self._page.start(self._number, self._position)
        if not self._forbidden[self._position]:
            return True
        if self._inputs is not None:
            with contextlib.suppress(BaseException):
                self._inputs.read(self._position)  # Those that come after may refer to it.
        self._out.passed_over()
        return False

    def take(self) -> bool:
        return True  # An attempt that is cancelled while it runs ends with its process.

    def end(self) -> bool:
        return True


class _Inputs:
    """The inputs of one attempt, unpickled when it needs them."""

    __slots__ = ("_position", "_reader")

    def __init__(self, reader: InputReader, position: int) -> None:
        self._reader = reader
        self._position = position

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(self._reader.read(self._position))
        except MemoryError:
            raise
        except BaseException as error:
            raise _cannot("an input cannot be unpickled", error, _LOADING) from error


class _Out:
    """Outcomes on their way out: left on the page, and sent when they fill it or have lain there for a while."""

    def __init__(self, connection: socket.socket, page: Page) -> None:
        self._connection = connection
        self._page = page
        self._table, self._payload = page.table, page.payload
        self._number = 0
        self._first = 0
        self._count = 0
        self._used = 0
        self._flushed_at = 0.0
        self.has_values = False
        """Whether the program of the batch that runs is one whose outputs are values."""

    def begin(self, number: int) -> None:
        self._number, self._first, self._count, self._used = number, 0, 0, 0
        self._page.begin(number)

    def started(self, attempt: int) -> None:
        """Do nothing: it stands on the page since the control began it."""

    def ended(self, outcome: Outcome) -> None:
        value: Bytes = b""
        error = b""
        value_bytes = NO_VALUE
        if self.has_values and outcome.error is None:
            try:
                value, value_bytes = _encoded(outcome.value)
            except BaseException as raised:  # noqa: BLE001 - whatever the value's own pickling raises
                outcome = outcome._replace(status=Status.FAILED, value=None, error=describe(raised))
        if outcome.error is not None:
            error = write_error(outcome.error)
        self._leave(outcome, CODES[outcome.status], value, error, (value_bytes, len(error)))

    def passed_over(self) -> None:
        self._leave(Outcome(0, Status.CANCELLED), CANCELLED, b"", b"", (NO_VALUE, 0))

    def flush(self) -> None:
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
        self.send(Kind.OUTCOMES, prefix, rows, *payload, header_bytes=len(prefix) + len(rows))
        self._flushed_at = time.monotonic()

    def send(self, kind: Kind, *parts: Bytes, header_bytes: int | None = None) -> None:
        total = sum(map(len, parts))
        length = total if header_bytes is None else header_bytes
        unsent = [memoryview(p) for p in (head(kind, length, total - length), *parts) if len(p)]
        while unsent:
            count = self._connection.sendmsg(unsent)
            while unsent and count >= len(unsent[0]):
                count -= len(unsent.pop(0))
            if unsent:
                unsent[0] = unsent[0][count:]


def _receive(connection: socket.socket, count: int) -> memoryview | None:
    """Return the next ``count`` bytes; None when the driver has gone."""
    data = memoryview(bytearray(count))
    at = 0
    while at < count:
        came = connection.recv_into(data[at:])
        if not came:
            return None
        at += came
    return data


def _encoded(value: Any) -> tuple[Bytes, int]:
    """Return a value, or its handle, as bytes, and the length that its row says."""
    kind = type(value)
    if kind is ValueHandle:
        handle = json.dumps(value).encode()
        return handle, KEPT + len(handle)
    data = value.data if kind is Encoded else pickle_value(value)
    return data, len(data)


_LOADING = (
    "Its module must be importable in a worker as it is in the driver (workers get the driver's sys.path, working "
    "directory and environment as they were when the executor started), or be defined in the script itself"
)


def _cannot(what: str, error: BaseException, advice: str) -> SerializationError:
    failure = SerializationError(f"{what}: {type(error).__name__}: {error}. {advice}")
    failure.__cause__ = error
    return failure
