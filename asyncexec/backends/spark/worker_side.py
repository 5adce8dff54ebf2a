"""The Spark task that is a worker: it connects to the driver, and serves calls until the driver disconnects.

It runs in one of Spark's Python processes. A call holds one attempt, or those of a program that runs many at once,
which are reported while they run. If the driver disconnects while a call
runs, the attempt is cancelled: the process then ends, because nothing else ends a kernel in the middle of its work.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pickle
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from asyncexec.backends.environment import kept_variables
from asyncexec.worker.framing import frame_prefix, pack_frame, read_frame
from asyncexec.worker.memory import MemoryLimit, MemoryMeter
from asyncexec.worker.programs import PROGRAMS
from asyncexec.worker.remote_batch import RemoteBatch, worker_name

TOKEN_BYTES = 32
CONNECT_SECONDS = 30.0
COPIED_BYTES = 65_536
GATHER_SECONDS = 0.02
MISSING = b"?"
"""The frame of a worker that needs the program, in a stream of frames, which an empty one ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectInfo:
    """The address of the driver, and the settings of a worker."""

    host: str
    port: int
    """``host`` and ``port``: the address on which the driver listens."""
    token: bytes = field(repr=False)
    """The secret that identifies it; good for one connection, so that a task that Spark runs again does nothing."""
    paths: tuple[str, ...] = ()
    """Import paths, besides those that the worker has."""
    env_vars: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Environment variables, set while it serves."""
    memory_bytes: int | None = None
    """The memory that a task may hold."""


def serve(info: ConnectInfo) -> None:
    """Run the driver's calls until it disconnects."""
    sys.path.extend(path for path in info.paths if path not in sys.path)
    address = (info.host, info.port)
    with (
        kept_variables(info.env_vars),  # Spark uses the process for other work after that.
        socket.create_connection(address, CONNECT_SECONDS) as connection,
    ):
        os.environ.update(info.env_vars)
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        enable_keepalive(connection)
        connection.sendall(info.token)
        connection.sendall(pack_frame(worker_name().encode()))
        watch = _HangUpWatch(connection)
        limit = _CallMemoryLimit(info.memory_bytes)
        try:
            with contextlib.suppress(ConnectionError):
                _serve_calls(connection, watch, limit)
        finally:
            watch.end()
            limit.lift()


def enable_keepalive(connection: socket.socket) -> None:
    """Set keep-alive, so that a peer whose machine is gone counts as disconnected within half a minute."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _serve_calls(connection: socket.socket, watch: _HangUpWatch, limit: _CallMemoryLimit) -> None:
    meter = MemoryMeter(always=True)
    while (frame := read_frame(connection.recv_into)) is not None:
        call: RemoteBatch = pickle.loads(frame)  # noqa: S301 - from the driver
        watch.begin()
        if _hung_up(connection):
            return
        limit.load(call)
        if call.concurrency > 1:
            _stream(connection, watch, call)
            continue
        answer = call(meter)
        watch.pause()
        _send(connection, answer)


def _stream(connection: socket.socket, watch: _HangUpWatch, call: RemoteBatch) -> None:
    """Run attempts of which many run at once, and send their reports as they come, and an empty frame at the end."""
    for frame in call.frames(worker=worker_name(), gather_seconds=GATHER_SECONDS):
        # Not meanwhile: a connection that takes no more would count as one that has ended.
        watch.pause()
        _send(connection, frame or MISSING)
        watch.begin()
        if _hung_up(connection):
            os.kill(os.getpid(), signal.SIGKILL)
    watch.pause()
    _send(connection, b"")


def _hung_up(connection: socket.socket) -> bool:
    """Return whether the driver disconnected before the watch began."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False


class _HangUpWatch:
    """Ends this process if the driver disconnects in the middle of a call.

    It does so by a signal whose default action is to end the process: no thread and no interpreter takes part, so it
    also ends a kernel that holds the GIL. Where that is not the default action, the main thread ends the process when
    it can.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._descriptor = connection.fileno()
        self._flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        fcntl.fcntl(self._descriptor, fcntl.F_SETOWN, os.getpid())
        self._before = signal.signal(signal.SIGIO, _ACTIONS.get(sys.platform, _die))

    def begin(self) -> None:
        # The driver sends nothing while a call runs, so any input is the end of the connection.
        fcntl.fcntl(self._descriptor, fcntl.F_SETFL, self._flags | os.O_ASYNC)

    def pause(self) -> None:
        fcntl.fcntl(self._descriptor, fcntl.F_SETFL, self._flags)

    def end(self) -> None:
        self.pause()
        signal.signal(signal.SIGIO, self._before)


def _die(_signal: int, _frame: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


_ACTIONS = {"linux": signal.SIG_DFL}


class _CallMemoryLimit:
    """The memory limit of this process while it serves."""

    def __init__(self, allowed_bytes: int | None) -> None:
        self._allowed_bytes = allowed_bytes
        self._limit = MemoryLimit(MemoryMeter())

    def load(self, call: RemoteBatch) -> None:
        """Load the program of the call before setting the limit, because libraries do not count."""
        if self._allowed_bytes is None:
            return
        self._limit.set(None)
        self._limit.loading()
        with contextlib.suppress(Exception):  # The call raises the same error, and reports it.
            PROGRAMS.load(call.key, call.blob)
        self._limit.loaded()
        self._limit.set(self._allowed_bytes)

    def lift(self) -> None:
        self._limit.set(None)


def _send(connection: socket.socket, frame: bytes) -> None:
    if len(frame) < COPIED_BYTES:
        connection.sendall(pack_frame(frame))
    else:
        connection.sendall(frame_prefix(len(frame)))
        connection.sendall(frame)
