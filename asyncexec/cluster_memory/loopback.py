"""The client of a memory in another process of this machine: one connection for each process and server."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from asyncexec.cluster_memory.client import RequestingClient
from asyncexec.cluster_memory.host_memory import WHERE, Stored, keep, load
from asyncexec.cluster_memory.keys import key_not_found
from asyncexec.cluster_memory.messages import (
    MOST_ANSWER_BYTES,
    Message,
    introduce,
    message_of,
    receive_message,
    send_message,
    stored_in,
)
from asyncexec.errors import AsyncexecError, ClusterMemoryError, OptionError, OutOfSpaceError
from asyncexec.events.outcome import ValueHandle
from asyncexec.worker.value_files import ValueFiles

ANSWER_SECONDS = 120.0
"""A server that moves values to disk may take long to answer."""
_ERRORS: dict[str, type[AsyncexecError]] = {
    error.__name__: error for error in (OptionError, OutOfSpaceError)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopbackAddress:
    """The address of a space of a memory in another process of this machine.

    Attributes
    ----------
    port : int
    token : bytes
        What whoever connects has to know; never shown.
    space : str
    """

    port: int
    token: bytes = field(repr=False)
    space: str

    def open(self) -> LoopbackClient:
        """Return a client, which connects when it is first called."""
        return LoopbackClient(_connection(self.port, self.token), self.space)


class LoopbackClient(RequestingClient):
    """The memory of one space, from another process of its machine.

    Parameters
    ----------
    connection : LoopbackConnection
    space : str
    """

    def __init__(self, connection: LoopbackConnection, space: str) -> None:
        self._connection = connection
        self._space = space

    def put(self, namespace: str, key: str, value: Any, ttl: float | None) -> None:
        """Store a value."""
        files = self._connection.files
        stored = keep(files, value)
        said, body = message_of(stored)
        try:
            self._call("put", namespace, body, key=key, ttl=ttl, **said)
        except BaseException:
            if isinstance(stored, ValueHandle):
                # The server owns a file only once it has accepted the request: nobody else would delete this one.
                files.delete([stored])
            raise

    def get(self, namespace: str, key: str) -> Any:
        """Return a value."""
        near: list[str] = []

        def find() -> Stored | None:
            said, body = self._call("get", namespace, key=key)
            near[:] = said.get("missing", ())
            return None if "missing" in said else stored_in(said, body)

        found, value = load(self._connection.files, find)
        if not found:
            raise key_not_found(key, namespace, near, WHERE)
        return value

    def _call(self, do: str, namespace: str, body: bytes = b"", **more: Any) -> Message:
        said = {"do": do, "space": self._space, "namespace": namespace, **more}
        answer = self._connection.call(said, body)
        if (error := answer[0].get("error")) is not None:
            raise _ERRORS.get(error, ClusterMemoryError)(answer[0].get("message"))
        return answer


class LoopbackConnection:
    """The connection of this process to one server, which its threads share; made when it is first used.

    Parameters
    ----------
    port : int
    token : bytes
    """

    def __init__(self, port: int, token: bytes) -> None:
        self._port = port
        self._token = token
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._files: ValueFiles | None = None
        self._process = 0

    @property
    def files(self) -> ValueFiles:
        """The files of large values."""
        with self._lock:
            if self._files is None:
                self._connected()
            if self._files is None:
                raise AssertionError
            return self._files

    def call(self, said: dict[str, Any], body: bytes) -> Message:
        """Send a request, and return the answer; once more by a new connection, if the one there was has broken.

        Raises
        ------
        ClusterMemoryError
            If the server does not answer.
        """
        with self._lock:
            if self._socket is not None and self._process == os.getpid():
                # Requests may be repeated (tasks may run twice), so one that may have arrived is sent again.
                with suppress(OSError, EOFError):
                    return self._once(self._socket, said, body)
                self._disconnect()
            try:
                return self._once(self._connected(), said, body)
            except (OSError, EOFError) as error:
                self._disconnect()
                raise self._lost(error) from error

    @staticmethod
    def _once(connection: socket.socket, said: dict[str, Any], body: bytes) -> Message:
        send_message(connection, said, body)
        answer = receive_message(connection, most=MOST_ANSWER_BYTES)
        if answer is None:
            raise EOFError("it has ended the connection")
        return answer

    def _connected(self) -> socket.socket:
        """Return the open connection of this very process: one that was made before a fork is its parent's."""
        if self._socket is not None and self._process == os.getpid():
            return self._socket
        self._disconnect()
        try:
            connection = socket.create_connection(("127.0.0.1", self._port), timeout=ANSWER_SECONDS)
        except OSError as error:
            raise self._lost(error) from error
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            welcome = introduce(connection, self._token)
        except OSError as error:
            connection.close()
            raise self._lost(error) from error
        except BaseException:
            connection.close()
            raise
        *memory, disk = (Path(place) for place in welcome["places"])
        self._files = ValueFiles(
            memory[0] if memory else None, disk, threshold=welcome["threshold"]
        )
        self._socket, self._process = connection, os.getpid()
        return connection

    def _disconnect(self) -> None:
        broken, self._socket = self._socket, None
        if broken is not None:
            broken.close()

    def _lost(self, error: BaseException) -> ClusterMemoryError:
        return ClusterMemoryError(
            f"the cluster memory of this run does not answer: {error}. It is in the driver's process: the engine has "
            f"been closed, or the driver has died"
        )

    def __del__(self) -> None:
        self._disconnect()

    def __repr__(self) -> str:
        return f"<LoopbackConnection to port {self._port}>"


@lru_cache(maxsize=16)
def _connection(port: int, token: bytes) -> LoopbackConnection:
    """Return the connection of this process to a server: all runs of an engine share it."""
    return LoopbackConnection(port, token)
