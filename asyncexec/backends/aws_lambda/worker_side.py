"""The handler of a Lambda function: ``asyncexec.backends.aws_lambda.worker_side.handler``.

The call is a pickle, so a caller that may invoke the function may run code in it: that is the meaning of the permission
``lambda:InvokeFunction`` here. Answers are plain data.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from functools import cache
from typing import Any

from asyncexec.backends.aws_lambda.call_errors import StartMark, start_line
from asyncexec.backends.aws_lambda.envelope import (
    LARGEST_BYTES,
    ObjectLocation,
    StoredObject,
    decode_request,
    encode_answer,
    sha256,
    unpack_call,
)
from asyncexec.errors import SerializationError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.plan.memory import format_bytes
from asyncexec.worker.attempt import describe
from asyncexec.worker.codec import decode_outcomes, encode_outcomes, encode_reports
from asyncexec.worker.memory import MemoryMeter
from asyncexec.worker.records import Note, Report
from asyncexec.worker.remote_batch import NEEDS_PROGRAM, RemoteBatch, worker_name

MOST_NOTES = 1_000
"""The most notes in an answer, whose size is limited; of more, the oldest are lost."""


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Run the attempts in ``event``, and return their outcomes as JSON data.

    Attempts for which there is no time or, without a bucket, no room are left out: the driver sends them again.
    """
    request = decode_request(event)
    data = _fetch(request.call) if isinstance(request.call, StoredObject) else request.call
    reports = _run(unpack_call(data), context, size_limited=request.answer is None)
    if reports is None:
        return encode_answer(NEEDS_PROGRAM)
    answer = encode_reports(reports)
    if request.answer is not None and len(answer) > LARGEST_BYTES:
        return encode_answer(_store(answer, request.answer))
    return encode_answer(answer)


class _AnswerCollector:
    """Collects the outcomes of a call, and stops it when there is no time, or no room, for another one."""

    def __init__(self, call: RemoteBatch, context: Any, *, size_limited: bool) -> None:
        self.outcomes: list[Outcome] = []
        self.notes: deque[Note] = deque(maxlen=MOST_NOTES)
        self.noted = self.notes.append
        self.control = call.control()
        self._attempts = [job.attempt for job in call.jobs]
        self._context = context
        self._size_limited = size_limited
        self._bytes = 0
        self._longest = 0.0
        self._begun: dict[int, float] = {}

    def started(self, attempt: int) -> None:
        self._begun[attempt] = time.perf_counter()
        if len(self._attempts) > 1:
            # If the sandbox dies, the end of its log shows which of them was running.
            sys.stdout.write(start_line(StartMark(attempt, time.time(), _sandbox())))
            sys.stdout.flush()

    def ended(self, outcome: Outcome) -> None:
        if outcome.status is Status.CANCELLED:
            return  # Stopped here, for want of time or room: it has no outcome, and is run by another call.
        seconds = time.perf_counter() - self._begun.pop(outcome.attempt)
        encoded = encode_outcomes([outcome])
        if self._size_limited and self._bytes + len(encoded) > LARGEST_BYTES:
            if not self.outcomes:
                self.outcomes.append(_too_large(outcome, len(encoded)))
            self.control.stop(self._attempts)
            return
        self.outcomes += decode_outcomes(encoded)
        self._bytes += len(encoded)
        self._longest = max(self._longest, seconds)
        if _remaining_seconds(self._context) < 2 * self._longest:
            self.control.stop(self._attempts)


def _run(call: RemoteBatch, context: Any, *, size_limited: bool) -> list[Report] | None:
    """Run a call, and return reports: as many as fit into a message if ``size_limited``; None without a program."""
    answer = _AnswerCollector(call, context, size_limited=size_limited)
    found = call.run(answer, worker=_sandbox(), control=answer.control, meter=_meter())
    return [*answer.notes, *answer.outcomes] if found else None


def _too_large(outcome: Outcome, size: int) -> Outcome:
    error = SerializationError(
        f"a result of {format_bytes(size)} does not fit into an answer of Lambda "
        f"({format_bytes(LARGEST_BYTES)}). Give the executor a bucket for large messages: "
        f"executor_options={{'bucket': 's3://…'}}"
    )
    return outcome._replace(status=Status.FAILED, value=None, error=describe(error))


def _remaining_seconds(context: Any) -> float:
    return float(context.get_remaining_time_in_millis()) / 1000


@cache
def _meter() -> MemoryMeter:
    return MemoryMeter(always=True)


def _sandbox() -> str:
    """Return the name of this sandbox; host names and process ids are the same in many of them."""
    return os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME") or worker_name()


def _fetch(stored: StoredObject) -> bytes:
    body = _s3().get_object(Bucket=stored.bucket, Key=stored.key)["Body"]
    data: bytes = body.read()
    if sha256(data) != stored.sha256:
        raise ValueError(f"s3://{stored.bucket}/{stored.key} is not what the driver has put there")
    return data


def _store(answer: bytes, location: ObjectLocation) -> StoredObject:
    _s3().put_object(Bucket=location.bucket, Key=location.key, Body=answer)
    return StoredObject(location.bucket, location.key, sha256(answer))


@cache
def _s3() -> Any:
    from botocore.session import get_session

    return get_session().create_client("s3")
