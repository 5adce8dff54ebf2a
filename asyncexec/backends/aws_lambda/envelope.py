"""What travels between the driver and a Lambda function, as JSON: a call, and the outcomes of its jobs.

What is too large for a message lies in a bucket, and the message says where and what its digest is: a bucket that
somebody else can write to does not make a worker run what the driver has not sent.
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
"""What Lambda takes as the payload of a synchronous call, and as its response."""

# In base64, with some room for what stands around it.
LARGEST_BYTES = (MESSAGE_BYTES - 4096) * 3 // 4


class Stored(NamedTuple):
    """Where something too large for a message lies."""

    bucket: str
    key: str
    sha256: str


class Place(NamedTuple):
    """Where an answer that is too large for a message is to be put."""

    bucket: str
    key: str


class Request(NamedTuple):
    """What a worker is asked: a call, or where it lies; and where a large answer goes, if anywhere."""

    call: bytes | Stored
    answer: Place | None


def encode_request(request: Request) -> bytes:
    """Return the event of an invocation."""
    call, place = request
    answer = json.dumps(place)
    if isinstance(call, Stored):
        return f'{{"asyncexec":{VERSION},"stored":{json.dumps(call)},"answer":{answer}}}'.encode()
    # By hand, since base64 needs no escapes, and there may be megabytes of it.
    head = f'{{"asyncexec":{VERSION},"answer":{answer},"call":"'.encode()
    return b"".join([head, base64.b64encode(call), b'"}'])


def decode_request(event: Any) -> Request:
    """Return what :func:`encode_request` made, as Lambda hands it to a handler.

    Raises ValueError if the event is something else.
    """
    if not isinstance(event, Mapping) or event.get("asyncexec") != VERSION:
        raise ValueError(
            f"this function runs tasks of asyncexec (messages of version {VERSION}), and the event is none. "
            f"If it comes from an engine, deploy the function again with the engine's version"
        )
    stored, place = event.get("stored"), event.get("answer")
    call = Stored(*stored) if stored else base64.b64decode(event["call"])
    return Request(call, Place(*place) if place else None)


def encode_answer(answer: bytes | Stored) -> dict[str, Any]:
    """Return the response of an invocation."""
    if isinstance(answer, Stored):
        return {"asyncexec": VERSION, "stored": list(answer)}
    return {"asyncexec": VERSION, "outcomes": base64.b64encode(answer).decode()}


def decode_answer(payload: bytes, function: str) -> bytes | Stored:
    """Return what :func:`encode_answer` made; raises BackendError if ``payload`` is something else."""
    try:
        told = json.loads(payload)
        if "stored" in told:
            return Stored(*map(str, told["stored"]))
        return base64.b64decode(told["outcomes"], validate=True)
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
    """Return the digest by which stored data is known."""
    return hashlib.sha256(data).hexdigest()
