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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any

from asyncexec.backends.processes.frames import HEAD, FrameKind
from asyncexec.backends.processes.inputs import InputReader
from asyncexec.backends.processes.outcome_writer import OutcomeWriter
from asyncexec.backends.processes.page import Page
from asyncexec.errors import SerializationError
from asyncexec.worker.memory import (
    MemoryLimit,
    MemoryMeter,
    be_killed_first,
    give_back_memory,
)
from asyncexec.worker.process_changes import CHANGES
from asyncexec.worker.records import AttemptSpec
from asyncexec.worker.runner import BatchRunner

if TYPE_CHECKING:
    from asyncexec.backends.processes.concurrent_side import ConcurrentSide
    from asyncexec.worker.programs import LoadedProgram, ProgramSource

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_ADOPT_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER
new = tuple.__new__  # A named tuple's own constructor takes three times as long.


def main() -> None:
    """Serve the driver until it disconnects; the command line holds the descriptors of the connection."""
    sock, page, stderr, parent = map(int, sys.argv[1:5])
    del sys.argv[1:]
    _set_up_process(parent)
    with socket.socket(fileno=sock) as connection:
        connection.set_inheritable(False)
        shared = Page(page)
        os.close(page)
        child = _Worker(connection, shared)
        _redirect_stderr(stderr)
        CHANGES.watch()
        try:
            child.serve()
        except (BrokenPipeError, ConnectionResetError):
            return  # The driver has gone.
        finally:
            if (event_loop := sys.modules.get("asyncexec.worker.event_loop")) is not None:
                for thread in event_loop.EVENT_LOOP.end():
                    thread.join()
            _end_family()


def _end_family() -> None:
    """Kill what tasks have started, if there is any."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return
    from asyncexec.backends.processes.family import kill_descendants

    kill_descendants()


def _set_up_process(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The driver decides whether to stop.
    if sys.platform == "linux":
        _die_with(parent)
        be_killed_first()


def _die_with(parent: int) -> None:
    """Have the system kill this process when the driver has gone, and make it the parent of orphans below it."""
    system = ctypes.CDLL(None)
    system.prctl(_ADOPT_ORPHANS, 1)
    system.prctl(_DIE_WITH_PARENT, signal.SIGKILL)
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
        self._loaded: LoadedProgram | None = None

    def load(self, limit: MemoryLimit) -> LoadedProgram:
        if self._loaded is None:
            limit.loading()
            self._loaded = pickle.loads(self._blob)  # noqa: S301 - from the driver
            limit.loaded()
            self._blob = b""
        assert self._loaded is not None  # noqa: S101 - for type checkers
        return self._loaded


class _Worker:
    def __init__(self, connection: socket.socket, page: Page) -> None:
        self._connection = connection
        self._programs: dict[str, _Program] = {}
        self._last = ""
        self._meter = MemoryMeter()
        self._limit = MemoryLimit(self._meter)
        self._out = OutcomeWriter(connection, page)
        self._page = page
        self._name = f"process-{os.getpid()}"
        self._concurrent: ConcurrentSide | None = None

    def serve(self) -> None:
        self._out.send(FrameKind.READY, json.dumps({"pid": os.getpid()}).encode())
        while (frame := self._frame()) is not None:
            self._take(*frame)
            del frame  # While the worker waits, nothing of the last batch may be kept.

    def _take(self, kind: int, header: tuple[Any, ...], body: list[memoryview]) -> None:
        if kind == FrameKind.PROGRAM:
            key, dropped = header
            for old in dropped:
                del self._programs[old]
            self._programs[key] = _Program(bytes(body[0]))
        elif kind == FrameKind.BATCH:
            self._run(header, body)
        elif kind == FrameKind.CONCURRENT:
            self._run_at_once(header, body)
        elif self._concurrent is not None:
            self._concurrent.stop(frozenset(header))

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
        number, key, allowed_bytes, attempts, tasks, again, ends, out_of_band_ends = header
        if key != self._last:
            give_back_memory()
            self._last = key
        inputs = InputReader(body[0], ends, out_of_band_ends, body[1:]) if ends else None
        control = _PageControl(self._page, number, inputs, self._out)
        self._out.begin(number)
        BatchRunner(
            _specs(attempts, tasks, again, inputs),
            partial(self._load, self._programs[key], allowed_bytes),
            control=control,
            sink=self._out,
            worker=self._name,
            meter=self._meter,
            owns_process=True,
        ).run()
        control.close()
        self._out.flush()

    def _run_at_once(self, header: tuple[Any, ...], body: list[memoryview]) -> None:
        """Start a batch on the event loop, and return; its program and inputs are loaded here, as that blocks."""
        from asyncexec.backends.processes.concurrent_side import ConcurrentSide

        key, concurrency, allowed_bytes, attempts, tasks, again, ends, out_of_band_ends = header
        self._last = key
        inputs = InputReader(body[0], ends, out_of_band_ends, body[1:]) if ends else None
        specs = [
            spec._replace(inputs=_loaded(spec.inputs))
            for spec in _specs(attempts, tasks, again, inputs)
        ]
        source: ProgramSource
        try:
            loaded = self._load(self._programs[key], allowed_bytes)
        except BaseException as error:  # noqa: BLE001 - it is why every attempt of the batch fails
            source = partial(_raise, error)
        else:
            source = partial(_same, loaded)
        if self._concurrent is None:
            send = partial(self._out.send, FrameKind.REPORTS, header_bytes=0)
            self._concurrent = ConcurrentSide(self._page, send, self._name)
        self._concurrent.run(key, specs, source, concurrency)

    def _load(self, program: _Program, allowed_bytes: int | None) -> LoadedProgram:
        try:
            loaded = program.load(self._limit)
            self._limit.set(allowed_bytes)
        except MemoryError:
            raise
        except BaseException as error:
            raise _cannot("the function of this stage cannot be loaded", error, _LOADING) from error
        self._out.has_values = loaded.io is None
        return loaded


class _PageControl:
    """Notes the start of attempts on the page, and skips those that the driver has forbidden there."""

    def __init__(
        self, page: Page, number: int, inputs: InputReader | None, out: OutcomeWriter
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

    def close(self) -> None:
        """Let go of the inputs: what a task's thread says later is said in the name of this batch."""
        self._inputs = None

    @property
    def left(self) -> bool:
        return bool(self._forbidden[self._position])

    def take(self) -> bool:
        return True  # A running attempt that is cancelled ends with its process.

    def awaits(self, cancel: Callable[[], object]) -> None:
        """Do nothing, for the same reason."""

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


def _specs(
    attempts: Sequence[int],
    tasks: Sequence[int],
    again: Mapping[int, int],
    reader: InputReader | None,
) -> list[AttemptSpec]:
    """Return the attempts of a batch; ``again`` has the numbers of those that are not their task's first."""
    inputs: Iterable[Iterable[Any]]
    inputs = repeat(()) if reader is None else [_Inputs(reader, i) for i in range(len(attempts))]
    specs = [
        new(AttemptSpec, (attempt, task, given, 1))
        for attempt, task, given in zip(attempts, tasks, inputs, strict=False)
    ]
    for position, number in again.items():
        specs[position] = specs[position]._replace(number=number)
    return specs


def _loaded(inputs: Iterable[Any]) -> Iterable[Any]:
    """Return the inputs, unpickled; if they cannot be, what raises why, when the attempt needs them."""
    try:
        return tuple(inputs)
    except BaseException as error:  # noqa: BLE001 - it is why this attempt fails, and no other
        return _Unreadable(error)


class _Unreadable:
    """Inputs that could not be unpickled."""

    def __init__(self, why: BaseException) -> None:
        self._why = why

    def __iter__(self) -> Iterator[Any]:
        raise self._why


def _raise(error: BaseException) -> LoadedProgram:
    raise error


def _same(program: LoadedProgram) -> LoadedProgram:
    return program


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


_LOADING = (
    "Its module must be importable in a worker as it is in the driver (workers get the driver's sys.path, working "
    "directory and environment as they were when the executor started), or be defined in the script itself"
)


def _cannot(what: str, error: BaseException, advice: str) -> SerializationError:
    failure = SerializationError(f"{what}: {type(error).__name__}: {error}. {advice}")
    failure.__cause__ = error
    return failure
