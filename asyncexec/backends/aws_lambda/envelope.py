"""The JSON messages between the driver and a Lambda function: a call, and the outcomes of its attempts.

A payload that is too large for a message is put into a bucket, and the message holds its location and its digest: so a
worker runs nothing but what the driver has sent, even if others can write to the bucket.
"""

from __future__ import annotations

import base64
import hashlib
import json
import pickle
from collections.abc import Mapping
from typing import Any, NamedTuple

from asyncexec.errors import BackendError
from asyncexec.worker.remote_batch import RemoteBatch

VERSION = 1
MESSAGE_BYTES = 6 * 1024 * 1024
"""The largest payload of a synchronous call, and the largest response, that Lambda takes."""

# The size before base64, with some room for the rest of the message.
LARGEST_BYTES = (MESSAGE_BYTES - 4096) * 3 // 4


class StoredObject(NamedTuple):
    """An object in a bucket, with the digest of its content."""

    bucket: str
    key: str
    sha256: str


class ObjectLocation(NamedTuple):
    """The location for an answer that is too large for a message."""

    bucket: str
    key: str


class Request(NamedTuple):
    """A call, or the object that holds it; and the location for a large answer, if there is one."""

    call: bytes | StoredObject
    answer: ObjectLocation | None


def encode_request(request: Request) -> bytes:
    """Return the event of an invocation."""
    call, location = request
    answer = json.dumps(location)
    if isinstance(call, StoredObject):
        return f'{{"asyncexec":{VERSION},"stored":{json.dumps(call)},"answer":{answer}}}'.encode()
    # Formatted by hand: base64 needs no escapes, and there may be megabytes of it.
    head = f'{{"asyncexec":{VERSION},"answer":{answer},"call":"'.encode()
    return b"".join([head, base64.b64encode(call), b'"}'])


def decode_request(event: Any) -> Request:
    """Decode the event of an invocation, as Lambda passes it to a handler.

    Raises ValueError if the event is something else.
    """
    if not isinstance(event, Mapping) or event.get("asyncexec") != VERSION:
        raise ValueError(
            f"this function runs tasks of asyncexec (messages of version {VERSION}), and the event is none. "
            f"If it comes from an engine, deploy the function again with the engine's version"
        )
    stored, location = event.get("stored"), event.get("answer")
    call = StoredObject(*stored) if stored else base64.b64decode(event["call"])
    return Request(call, ObjectLocation(*location) if location else None)


def encode_answer(answer: bytes | StoredObject) -> dict[str, Any]:
    """Return the response of an invocation."""
    if isinstance(answer, StoredObject):
        return {"asyncexec": VERSION, "stored": list(answer)}
    return {"asyncexec": VERSION, "outcomes": base64.b64encode(answer).decode()}


def decode_answer(payload: bytes, function: str) -> bytes | StoredObject:
    """Decode the response of an invocation; raises BackendError if ``payload`` is something else."""
    try:
        message = json.loads(payload)
        if "stored" in message:
            return StoredObject(*map(str, message["stored"]))
        return base64.b64decode(message["outcomes"], validate=True)
    except (ValueError, TypeError, KeyError) as error:
        raise BackendError(
            f"executor 'aws-lambda': function {function!r} answered with something else than outcomes ({error}). "
            f"Its handler must be asyncexec.backends.aws_lambda.worker_side.handler, in the engine's version: "
            f"deploy what `asyncexec lambda package` builds"
        ) from error


def pack_call(call: RemoteBatch) -> bytes:
    """Return a call as bytes."""
    return pickle.dumps(call, protocol=5)


def unpack_call(data: bytes) -> RemoteBatch:
    """Return the call in ``data``, which came from the driver."""
    call = pickle.loads(data)  # noqa: S301 - whoever may invoke the function may run code in it
    if not isinstance(call, RemoteBatch):
        raise TypeError(f"the event holds {type(call).__qualname__} instead of a call")
    return call


def sha256(data: bytes) -> str:
    """Return the digest of stored data."""
    return hashlib.sha256(data).hexdigest()
