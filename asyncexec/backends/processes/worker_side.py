"""The main loop of a worker process: receives batches, runs their attempts in order, sends outcomes.

It imports little, to be ready soon; the program imports what it needs. It has no threads: outcomes are sent between
attempts, every 20 ms at most, and until then they are on the page that the driver reads (see ``page``).
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
from collections.abc import Collection, Iterator
from functools import cached_property, partial
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
    FrameKind,
    head,
    pack_row,
    write_error,
)
from asyncexec.backends.processes.inputs import InputReader
from asyncexec.backends.processes.page import PAYLOAD_BYTES, Page
from asyncexec.errors import SerializationError
from asyncexec.events.outcome import Encoded, Outcome, Status, ValueHandle
from asyncexec.worker.attempt import describe, pickle_value
from asyncexec.worker.memory import (
    MemoryLimit,
    MemoryMeter,
    be_killed_first,
    give_back_memory,
)
from asyncexec.worker.records import AttemptSpec
from asyncexec.worker.runner import BatchRunner

if TYPE_CHECKING:
    from asyncexec.worker.programs import LoadedProgram
    from asyncexec.worker.values import ValueStore

FLUSH_SECONDS = 0.02
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def main() -> None:
    """Serve the driver until it disconnects; the command line holds the descriptors of the connection."""
    sock, page, stderr, parent = map(int, sys.argv[1:5])
    values = _Values(sys.argv[5]) if sys.argv[5] else None
    del sys.argv[1:]
    _set_up_process(parent)
    with socket.socket(fileno=sock) as connection:
        connection.set_inheritable(False)
        shared = Page(page)
        os.close(page)
        child = _Worker(connection, shared, values)
        _redirect_stderr(stderr)
        try:
            child.serve()
        except (BrokenPipeError, ConnectionResetError):
            return  # The driver has gone.


class _Values:
    """The store of values, made when the first value comes: tasks of arrays put out none."""

    def __init__(self, described: str) -> None:
        self._described = described

    def put(self, attempt: int, value: Any, /) -> Any:
        return self._store.put(attempt, value)

    def get(self, handle: ValueHandle, /) -> Any:
        return self._store.get(handle)

    def delete(self, handles: Collection[ValueHandle], /) -> None:
        self._store.delete(handles)

    @cached_property
    def _store(self) -> ValueStore:
        from asyncexec.worker.value_files import ValueFiles

        memory, disk, threshold = json.loads(self._described)
        return ValueFiles(None if memory is None else Path(memory), Path(disk), threshold=threshold)


def _set_up_process(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The driver decides whether to stop.
    if sys.platform == "linux":
        _die_with(parent)
        be_killed_first()


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:  # The parent died before prctl was called.
        sys.exit(1)


def _redirect_stderr(stderr: int) -> None:
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
    faulthandler.enable()  # A crash then prints a traceback.


class _Program:
    """A program, loaded when it is first needed."""

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


class _Worker:
    def __init__(self, connection: socket.socket, page: Page, values: ValueStore | None) -> None:
        self._connection = connection
        self._values = values
        self._programs: dict[str, _Program] = {}
        self._last = ""
        self._meter = MemoryMeter()
        self._limit = MemoryLimit(self._meter)
        self._out = _OutcomeWriter(connection, page)
        self._page = page

    def serve(self) -> None:
        self._out.send(FrameKind.READY, json.dumps({"pid": os.getpid()}).encode())
        while (frame := self._frame()) is not None:
            kind, header, body = frame
            if kind == FrameKind.PROGRAM:
                key, dropped = header
                for old in dropped:
                    del self._programs[old]
                self._programs[key] = _Program(bytes(body[0]))
            else:
                self._run(header, body)

    def _frame(self) -> tuple[int, tuple[Any, ...], list[memoryview]] | None:
        """Return the next frame, with its body cut as its header says; None at the end of the connection."""
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
        number, key, allowed_bytes, attempts, tasks, ends, out_of_band_ends = header
        if key != self._last:
            give_back_memory()
            self._last = key
        inputs = InputReader(body[0], ends, out_of_band_ends, body[1:]) if ends else None
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
    """Notes the start of attempts on the page, and skips those that the driver has forbidden there."""

    def __init__(
        self, page: Page, number: int, inputs: InputReader | None, out: _OutcomeWriter
    ) -> None:
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
                self._inputs.read(self._position)  # Later pickles may refer to it.
        self._out.skip()
        return False

    def take(self) -> bool:
        return True  # A running attempt that is cancelled ends with its process.

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


class _OutcomeWriter:
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
        if self.has_values and (outcome.error is None or outcome.value is not None):
            try:
                value, value_bytes = _encoded(outcome.value)
            except BaseException as raised:  # noqa: BLE001 - pickling a value may raise anything
                outcome = outcome._replace(status=Status.FAILED, value=None, error=describe(raised))
        if outcome.error is not None:
            error = write_error(outcome.error)
        self._leave(outcome, CODES[outcome.status], value, error, (value_bytes, len(error)))

    def skip(self) -> None:
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
        self.send(FrameKind.OUTCOMES, prefix, rows, *payload, header_bytes=len(prefix) + len(rows))
        self._flushed_at = time.monotonic()

    def send(self, kind: FrameKind, *parts: Bytes, header_bytes: int | None = None) -> None:
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
    """Return the next ``count`` bytes; None at the end of the connection."""
    data = memoryview(bytearray(count))
    at = 0
    while at < count:
        received = connection.recv_into(data[at:])
        if not received:
            return None
        at += received
    return data


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


_LOADING = (
    "Its module must be importable in a worker as it is in the driver (workers get the driver's sys.path, working "
    "directory and environment as they were when the executor started), or be defined in the script itself"
)


def _cannot(what: str, error: BaseException, advice: str) -> SerializationError:
    failure = SerializationError(f"{what}: {type(error).__name__}: {error}. {advice}")
    failure.__cause__ = error
    return failure
