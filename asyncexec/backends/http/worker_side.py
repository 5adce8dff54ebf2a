"""What a function behind HTTP runs: ``handle`` for functions-framework, ``app`` for any WSGI server.

For Google Cloud Functions and Cloud Run, a ``main.py`` that says
``from asyncexec.backends.http.worker_side import handle`` is all it takes; elsewhere,
``gunicorn --threads 8 asyncexec.backends.http.worker_side:app``.

A request holds a pickle: who may send one may run code here. So requests must be signed with the secret in the
environment variable ``ASYNCEXEC_HTTP_SECRET``. Where the platform lets authenticated callers through and nobody else,
``ASYNCEXEC_HTTP_TRUST_PLATFORM=1`` says so, and does without.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import queue
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncexec.backends.http.frames import (
    MEDIA_TYPE,
    Frame,
    FrameType,
    Hello,
    encode_frame,
    encode_hello,
)
from asyncexec.backends.http.signing import HEADER, SECRET_VARIABLE, is_signed
from asyncexec.backends.http.steering import (
    MEDIA_TYPE as STEERING,
    decode_order,
    encode_stopped,
)
from asyncexec.worker.control import BatchControl, StopResult
from asyncexec.worker.remote_batch import NEEDS_PROGRAM, RemoteBatch

if TYPE_CHECKING:
    from flask import Request, Response

TRUST_VARIABLE = "ASYNCEXEC_HTTP_TRUST_PLATFORM"
VERSION = 1
BEAT_SECONDS = 2.0

logger = logging.getLogger(__name__)


class Answer(NamedTuple):
    """A response, of whatever web framework."""

    status: int
    media_type: str
    body: Iterable[bytes]


def handle(request: Request) -> Response:
    """Answer a request; the target for functions-framework."""
    from flask import Response

    answer = respond(
        request.method,
        request.headers.get("Content-Type", ""),
        request.headers.get(HEADER),
        request.get_data(),
    )
    return Response(answer.body, status=answer.status, content_type=answer.media_type)


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a request; a WSGI application."""
    size = int(environ.get("CONTENT_LENGTH") or 0)
    signed = environ.get(f"HTTP_{HEADER.upper().replace('-', '_')}")
    body = environ["wsgi.input"].read(size)
    answer = respond(environ["REQUEST_METHOD"], environ.get("CONTENT_TYPE", ""), signed, body)
    start_response(f"{answer.status} -", [("Content-Type", answer.media_type)])
    return answer.body


def respond(method: str, media_type: str, signed: str | None, body: bytes) -> Answer:
    """Return the answer to a request."""
    refusal = _refusal(signed, body)
    if refusal is not None:
        return _told(403, {"refused": refusal})
    if method == "GET":
        return _told(200, _greeting())
    if method != "POST":
        return _told(405, {"refused": "calls are POST"})
    if media_type == STEERING:
        return Answer(200, "application/json", [encode_stopped(_steer(body))])
    call = pickle.loads(body)  # noqa: S301 - the caller may run code here, as was just checked
    if not isinstance(call, RemoteBatch):
        return _told(400, {"refused": "this is no call of an engine"})
    return Answer(200, MEDIA_TYPE, _frames(call))


def _refusal(signed: str | None, body: bytes) -> str | None:
    """Return why a request is not to be looked into; None where it may be."""
    secret = os.environ.get(SECRET_VARIABLE)
    if secret:
        if is_signed(signed, secret, body, time.time()):
            return None
        return (
            f"the request is not signed with the secret that this function has in {SECRET_VARIABLE}, "
            f"or its clock and the driver's are minutes apart"
        )
    if os.environ.get(TRUST_VARIABLE) == "1":
        return None
    return (
        f"this function does not know whom to trust: set {SECRET_VARIABLE}, or {TRUST_VARIABLE}=1 "
        f"where the platform lets only authenticated callers through"
    )


def _greeting() -> dict[str, Any]:
    limit = os.environ.get("CLOUD_RUN_TIMEOUT_SECONDS")
    return {
        "asyncexec": VERSION,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "seconds": float(limit) if limit else None,
    }


def _told(status: int, content: dict[str, Any]) -> Answer:
    return Answer(status, "application/json", [json.dumps(content).encode()])


# The batches that run in this process, for requests to stop attempts: their controls, by names made here.
_running: dict[str, BatchControl] = {}


def _steer(body: bytes) -> StopResult | None:
    """Stop attempts, and return which; None if the call is not here."""
    order = decode_order(body)
    control = _running.get(order.call)
    return None if control is None else control.stop(order.attempts)


def _frames(call: RemoteBatch) -> Iterator[bytes]:
    """Run the call's jobs, and yield what there is to tell as it comes.

    When nobody listens any more, what has not started does not start, and what runs does not save.
    """
    hello = Hello(_instance(os.getpid()), uuid.uuid4().hex)
    news: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
    control = _running[hello.call] = call.control()
    try:
        yield encode_hello(hello)
        arguments = (call, hello.worker, control, news)
        threading.Thread(target=_work, args=arguments, daemon=True).start()
        while True:
            try:
                frame = news.get(timeout=BEAT_SECONDS)
            except queue.Empty:
                # Should the driver have gone, this finds out.
                frame = Frame(FrameType.BEAT)
            if frame is None:
                return
            yield encode_frame(frame)
    finally:
        del _running[hello.call]
        control.stop([job.attempt for job in call.jobs])


def _work(
    call: RemoteBatch, worker: str, control: BatchControl, news: queue.SimpleQueue[Frame | None]
) -> None:
    try:
        for content in call.frames(control, worker=worker):
            missing = content == NEEDS_PROGRAM
            news.put(
                Frame(FrameType.NEEDS_PROGRAM) if missing else Frame(FrameType.REPORTS, content)
            )
        news.put(Frame(FrameType.END))
    except Exception:
        logger.exception("a call has ended without an answer")
    finally:
        news.put(None)


@cache
def _instance(pid: int) -> str:
    """Return the name of this process; host names and process ids are the same in many containers."""
    service = os.environ.get("K_REVISION") or os.environ.get("K_SERVICE") or "http"
    return f"{service}:{uuid.uuid4().hex[:12]}:{pid}"
