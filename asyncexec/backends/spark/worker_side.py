"""What a Spark task does for us: it connects to the driver, and serves calls until the driver hangs up.

It runs in one of Spark's Python processes, and each call is of one job. While a call runs, hanging up means to stop it:
the process then ends, since nothing else ends a kernel in the middle of its work.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pickle
import signal
import socket
import sys
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

from asyncexec.worker.framing import frame_prefix, pack_frame, read_frame
from asyncexec.worker.memory import MemoryLimit, MemoryMeter
from asyncexec.worker.programs import PROGRAMS
from asyncexec.worker.remote_batch import RemoteBatch, worker_name

TOKEN_BYTES = 32
CONNECT_SECONDS = 30.0
COPIED_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """How a worker finds the driver, and what it needs there.

    Attributes
    ----------
    host, port : str, int
        Where the driver listens.
    token : bytes
        By which the driver knows it; good for one connection, so that a task that Spark runs again does nothing.
    paths : tuple of str
        Where to look for modules, beside what the worker has.
    env_vars : mapping of str to str
        Set while it serves.
    memory_bytes : int or None
        How much memory its tasks may hold.
    """

    host: str
    port: int
    token: bytes = field(repr=False)
    paths: tuple[str, ...] = ()
    env_vars: Mapping[str, str] = field(default_factory=dict, repr=False)
    memory_bytes: int | None = None


def serve(invitation: Invitation) -> None:
    """Run the driver's calls until it hangs up."""
    sys.path.extend(path for path in invitation.paths if path not in sys.path)
    address = (invitation.host, invitation.port)
    with (
        _environment(invitation.env_vars),
        socket.create_connection(address, CONNECT_SECONDS) as connection,
    ):
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        notice_silence(connection)
        connection.sendall(invitation.token)
        connection.sendall(pack_frame(worker_name().encode()))
        watch = _Watch(connection)
        limit = _Limit(invitation.memory_bytes)
        try:
            with contextlib.suppress(ConnectionError):
                _serve(connection, watch, limit)
        finally:
            watch.end()
            limit.lift()


def notice_silence(connection: socket.socket) -> None:
    """Have a peer whose machine is gone count as one that hung up, within half a minute."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _serve(connection: socket.socket, watch: _Watch, limit: _Limit) -> None:
    meter = MemoryMeter(always=True)
    while (frame := read_frame(connection.recv_into)) is not None:
        call: RemoteBatch = pickle.loads(frame)  # noqa: S301 - from the driver
        watch.begin()
        if _hung_up(connection):
            return
        limit.load(call)
        answer = call(meter)
        watch.pause()
        _send(connection, answer)


def _hung_up(connection: socket.socket) -> bool:
    """Whether the driver did so before it was watched for."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Generator[None]:
    """Set environment variables; the process is Spark's, and goes on to other work after that."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class _Watch:
    """Ends this process when the driver hangs up in the middle of a call.

    By a signal whose default is to end the process: neither a thread nor the interpreter has a part in it, so that it
    reaches a kernel that holds the GIL. Where that is not its default, the main thread ends the process when it can.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._descriptor = connection.fileno()
        self._flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        fcntl.fcntl(self._descriptor, fcntl.F_SETOWN, os.getpid())
        self._before = signal.signal(signal.SIGIO, _ACTIONS.get(sys.platform, _die))

    def begin(self) -> None:
        # While a call runs the driver sends nothing: what comes is the end of the connection.
        fcntl.fcntl(self._descriptor, fcntl.F_SETFL, self._flags | os.O_ASYNC)

    def pause(self) -> None:
        fcntl.fcntl(self._descriptor, fcntl.F_SETFL, self._flags)

    def end(self) -> None:
        self.pause()
        signal.signal(signal.SIGIO, self._before)


def _die(_signal: int, _frame: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


_ACTIONS = {"linux": signal.SIG_DFL}


class _Limit:
    """How much this process may hold while it serves."""

    def __init__(self, allowed_bytes: int | None) -> None:
        self._allowed_bytes = allowed_bytes
        self._limit = MemoryLimit(MemoryMeter())

    def load(self, call: RemoteBatch) -> None:
        """Load what the call runs; libraries do not count."""
        if self._allowed_bytes is None:
            return
        self._limit.set(None)
        self._limit.loading()
        with contextlib.suppress(Exception):  # It comes again when the call is made, and is told.
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
