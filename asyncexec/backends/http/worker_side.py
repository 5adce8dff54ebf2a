"""The worker of a function behind HTTP: ``handle`` for functions-framework, ``app`` for any WSGI server.

For Google Cloud Functions and Cloud Run, a ``main.py`` with ``from asyncexec.backends.http.worker_side import handle``
is enough; elsewhere, ``gunicorn --threads 8 asyncexec.backends.http.worker_side:app``.

A request holds a pickle: clients that may send one may run code here. So requests must be signed with the secret in
the environment variable ``ASYNCEXEC_HTTP_SECRET``. On a platform that lets only authenticated callers through,
``ASYNCEXEC_HTTP_TRUST_PLATFORM=1`` does without.
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

from asyncexec.backends.http.messages import (
    FRAMES_TYPE,
    STOP_TYPE,
    VERSION,
    CallHeader,
    Frame,
    FrameType,
    decode_stop_request,
    encode_frame,
    encode_header,
    encode_stopped,
)
from asyncexec.backends.http.signing import HEADER, SECRET_VARIABLE, is_signed
from asyncexec.worker.control import StopResult
from asyncexec.worker.remote_batch import NEEDS_PROGRAM, RemoteBatch
from asyncexec.worker.streaming import Control

if TYPE_CHECKING:
    from flask import Request, Response

TRUST_VARIABLE = "ASYNCEXEC_HTTP_TRUST_PLATFORM"
HEARTBEAT_SECONDS = 2.0

logger = logging.getLogger(__name__)


class Answer(NamedTuple):
    """A response, for any web framework."""

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
        return _json_answer(403, {"refused": refusal})
    if method == "GET":
        return _json_answer(200, _description())
    if method != "POST":
        return _json_answer(405, {"refused": "calls are POST"})
    if media_type == STOP_TYPE:
        return Answer(200, "application/json", [encode_stopped(_stop_attempts(body))])
    call = pickle.loads(body)  # noqa: S301 - the caller may run code here, as was just checked
    if not isinstance(call, RemoteBatch):
        return _json_answer(400, {"refused": "this is no call of an engine"})
    return Answer(200, FRAMES_TYPE, _frames(call))


def _refusal(signed: str | None, body: bytes) -> str | None:
    """Return the reason to refuse a request; None if it is accepted."""
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


def _description() -> dict[str, Any]:
    limit = os.environ.get("CLOUD_RUN_TIMEOUT_SECONDS")
    return {
        "asyncexec": VERSION,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "seconds": float(limit) if limit else None,
    }


def _json_answer(status: int, content: dict[str, Any]) -> Answer:
    return Answer(status, "application/json", [json.dumps(content).encode()])


# The controls of the batches that run in this process, by the names in their headers.
_running: dict[str, Control] = {}


def _stop_attempts(body: bytes) -> StopResult | None:
    """Stop attempts as requested; None if the call is not here."""
    request = decode_stop_request(body)
    control = _running.get(request.call)
    return None if control is None else control.stop(request.attempts)


def _frames(call: RemoteBatch) -> Iterator[bytes]:
    """Run the attempts of a call, and yield their reports as they come.

    If the driver has closed the connection, waiting attempts do not start, and the running one does not save.
    """
    header = CallHeader(_instance(os.getpid()), uuid.uuid4().hex)
    frames: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
    control = _running[header.call] = call.control()
    try:
        yield encode_header(header)
        arguments = (call, header.worker, control, frames)
        threading.Thread(target=_work, args=arguments, daemon=True).start()
        while True:
            try:
                frame = frames.get(timeout=HEARTBEAT_SECONDS)
            except queue.Empty:
                # Writing to a closed connection fails, so this also detects that the driver has gone.
                frame = Frame(FrameType.HEARTBEAT)
            if frame is None:
                return
            yield encode_frame(frame)
    finally:
        del _running[header.call]
        control.stop([job.attempt for job in call.jobs])


def _work(
    call: RemoteBatch, worker: str, control: Control, frames: queue.SimpleQueue[Frame | None]
) -> None:
    try:
        for content in call.frames(control, worker=worker):
            missing = content == NEEDS_PROGRAM
            frames.put(
                Frame(FrameType.NEEDS_PROGRAM) if missing else Frame(FrameType.REPORTS, content)
            )
        frames.put(Frame(FrameType.END))
    except Exception:
        logger.exception("a call has ended without an answer")
    finally:
        frames.put(None)


@cache
def _instance(pid: int) -> str:
    """Return the name of this process; host names and process ids are the same in many containers."""
    service = os.environ.get("K_REVISION") or os.environ.get("K_SERVICE") or "http"
    return f"{service}:{uuid.uuid4().hex[:12]}:{pid}"
