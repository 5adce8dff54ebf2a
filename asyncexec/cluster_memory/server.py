"""A server on loopback through which the worker processes of this machine reach a memory.

It has a thread for each connection, of which every worker process has one: it answers whatever the caller's loop does.
"""

from __future__ import annotations

import secrets
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field

from asyncexec.cluster_memory.answers import answer
from asyncexec.cluster_memory.host_memory import HostMemory
from asyncexec.cluster_memory.loopback import LoopbackAddress
from asyncexec.cluster_memory.messages import (
    MOST_REQUEST_BYTES,
    greet,
    receive_message,
    send_message,
)
from asyncexec.errors import AsyncexecError

LOOPBACK = "127.0.0.1"
GREETING_SECONDS = 10.0
MOST_CONNECTIONS = 1_000


@dataclass(eq=False, slots=True)
class _Connection:
    socket: socket.socket
    thread: threading.Thread | None = field(default=None)


class MemoryServer:
    """Serves a memory to whoever knows its token; starts listening when it is made.

    Parameters
    ----------
    memory : HostMemory
    """

    def __init__(self, memory: HostMemory) -> None:
        self._memory = memory
        self._token = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._connections: set[_Connection] = set()
        self._closing = False
        # On loopback and a free port: other machines cannot connect, and other users' processes lack the token.
        self._listening = socket.create_server((LOOPBACK, 0))
        self._port: int = self._listening.getsockname()[1]
        self._accepting = threading.Thread(
            target=self._accept, name="asyncexec-memory-server", daemon=True
        )
        self._accepting.start()

    def address(self, space: str) -> LoopbackAddress:
        """Return the address of a space."""
        return LoopbackAddress(port=self._port, token=self._token, space=space)

    def close(self) -> None:
        """End all connections, and listen no longer."""
        with self._lock:
            self._closing = True
            connections = list(self._connections)
        with suppress(OSError), socket.create_connection((LOOPBACK, self._port), timeout=1):
            pass  # Wakes the thread that accepts, on every system.
        self._accepting.join()
        self._listening.close()
        # Shut down, not closed: closing a socket does not wake the thread that reads from it.
        for connection in connections:
            with suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)
        for connection in connections:
            if connection.thread is not None:
                connection.thread.join()

    def _accept(self) -> None:
        while not self._closing:
            try:
                accepted, _ = self._listening.accept()
            except OSError:
                if not self._closing:
                    continue  # The other side has gone already, or there are no descriptors left for now.
                return
            connection = _Connection(accepted)
            if not self._admit(connection):
                accepted.close()

    def _admit(self, connection: _Connection) -> bool:
        """Serve a connection in a thread of its own, unless there are too many."""
        with self._lock:
            if self._closing or len(self._connections) >= MOST_CONNECTIONS:
                return False
            self._connections.add(connection)
            connection.thread = threading.Thread(
                target=self._serve,
                args=(connection,),
                name="asyncexec-memory-connection",
                daemon=True,
            )
            connection.thread.start()
        return True

    def _serve(self, connection: _Connection) -> None:
        try:
            with connection.socket as open_socket, suppress(OSError, AsyncexecError):
                # Messages are small, and their senders wait for the answer: Nagle's algorithm would delay both.
                open_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                # A stranger that connects and says nothing must not hold a thread for ever.
                open_socket.settimeout(GREETING_SECONDS)
                files = self._memory.files
                places = [str(place) for place in files.places]
                if greet(
                    open_socket, self._token, {"places": places, "threshold": files.threshold}
                ):
                    # A worker may be silent for as long as its task computes.
                    open_socket.settimeout(None)
                    self._answer_all(open_socket)
        finally:
            with self._lock:
                self._connections.discard(connection)

    def _answer_all(self, connection: socket.socket) -> None:
        while (message := receive_message(connection, most=MOST_REQUEST_BYTES)) is not None:
            try:
                said, body = answer(self._memory, *message)
            except Exception as error:  # noqa: BLE001 - the client raises it, and the connection goes on
                said, body = {"error": type(error).__name__, "message": str(error)}, b""
            send_message(connection, said, body)

    def __repr__(self) -> str:
        return f"<MemoryServer on {LOOPBACK}:{self._port}, {len(self._connections)} connections>"
