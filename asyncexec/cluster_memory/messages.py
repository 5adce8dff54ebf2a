"""Requests to the server of a memory, and how both sides of a connection prove that they know its token.

A message is a frame: a line of JSON, and behind it the bytes of a small value. The server unpickles nothing of it.
Neither side sends the token: each signs what the other has drawn.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from typing import TYPE_CHECKING, Any

from asyncexec.errors import ClusterMemoryError
from asyncexec.events.outcome import Encoded, ValueHandle
from asyncexec.worker.framing import pack_frame, read_frame

if TYPE_CHECKING:
    import socket

    from asyncexec.cluster_memory.host_memory import Stored

MOST_REQUEST_BYTES = 1 << 20
MOST_ANSWER_BYTES = 1 << 30
_NONCE_BYTES = 32
_DIGEST_BYTES = 32
_SERVER, _CLIENT = b"server", b"client"

type Message = tuple[dict[str, Any], memoryview]
"""What the line of JSON says, and the bytes behind it."""


def send_message(connection: socket.socket, said: dict[str, Any], body: bytes = b"") -> None:
    """Send a message."""
    connection.sendall(pack_frame(json.dumps(said).encode(), b"\n", body))


def receive_message(connection: socket.socket, *, most: int) -> Message | None:
    """Return the next message of at most so many bytes; None at the end of the connection.

    Raises
    ------
    ClusterMemoryError
        If it is longer, or no message.
    """
    frame = read_frame(connection.recv_into, most)
    if frame is None:
        return None
    head, newline, _ = frame.partition(b"\n")
    try:
        said = json.loads(head) if newline else None
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise ClusterMemoryError("this is no message of a cluster memory")
    return said, memoryview(frame)[len(head) + 1 :]


def greet(connection: socket.socket, token: bytes, welcome: dict[str, Any]) -> bool:
    """Let a client prove that it knows the token, and prove it to the client; called by the server."""
    # The token itself never travels: another process may have taken the port of a server that has ended.
    drawn = secrets.token_bytes(_NONCE_BYTES)
    connection.sendall(pack_frame(drawn))
    answer = read_frame(connection.recv_into, _NONCE_BYTES + _DIGEST_BYTES)
    if answer is None or len(answer) != _NONCE_BYTES + _DIGEST_BYTES:
        return False
    theirs, digest = bytes(answer[:_NONCE_BYTES]), bytes(answer[_NONCE_BYTES:])
    if not hmac.compare_digest(digest, _digest(token, _CLIENT, drawn, theirs)):
        return False
    connection.sendall(pack_frame(_digest(token, _SERVER, theirs, drawn)))
    send_message(connection, welcome)
    return True


def introduce(connection: socket.socket, token: bytes) -> dict[str, Any]:
    """Prove to a server that this side knows the token, let it prove the same, and return its welcome.

    Raises
    ------
    ClusterMemoryError
        If it cannot.
    """
    drawn = read_frame(connection.recv_into, _NONCE_BYTES)
    ours = secrets.token_bytes(_NONCE_BYTES)
    if drawn is not None:
        connection.sendall(pack_frame(ours, _digest(token, _CLIENT, bytes(drawn), ours)))
        digest = read_frame(connection.recv_into, _DIGEST_BYTES)
        if digest is not None and hmac.compare_digest(
            bytes(digest), _digest(token, _SERVER, ours, bytes(drawn))
        ):
            welcome = receive_message(connection, most=MOST_REQUEST_BYTES)
            if welcome is not None:
                return welcome[0]
    raise ClusterMemoryError("what listens there is not the cluster memory of this run")


def stored_in(said: dict[str, Any], body: memoryview) -> Stored:
    """Return a stored value from a message."""
    at = said.get("at")
    return Encoded(bytes(body)) if at is None else ValueHandle(str(at[0]), str(at[1]), int(at[2]))


def message_of(stored: Stored) -> tuple[dict[str, Any], bytes]:
    """Return the message of a stored value."""
    if isinstance(stored, ValueHandle):
        return {"at": list(stored)}, b""
    return {}, bytes(stored.data)


def _digest(token: bytes, side: bytes, *drawn: bytes) -> bytes:
    return hmac.digest(
        token, b"".join((b"asyncexec cluster memory ", side, *drawn)), hashlib.sha256
    )
