"""What a Lambda function runs: ``asyncexec.backends.aws_lambda_worker.handler``.

The driver's call comes as a pickle, so whoever may invoke the function may run code in it: that is what the permission
``lambda:InvokeFunction`` means here. Answers are plain data.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

from asyncexec.backends.adapters.calls_in_worker import NEEDS_PROGRAM, RemoteCall, worker_name
from asyncexec.backends.lambda_functions.envelope import (
    LARGEST_BYTES,
    Place,
    Stored,
    decode_request,
    encode_answer,
    sha256,
    unpack_call,
)
from asyncexec.backends.lambda_functions.marks import Mark, line_of
from asyncexec.backends.process_workers.memory import MemoryMeter
from asyncexec.backends.wire import decode_outcomes, encode_outcomes
from asyncexec.backends.worker import describe
from asyncexec.errors import SerializationError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.plan.memory import format_bytes


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Run the jobs in ``event``, and return their outcomes as JSON data.

    Jobs that there is no time or, without a bucket, no room for are left out: the driver sends them again.
    """
    request = decode_request(event)
    data = _fetch(request.call) if isinstance(request.call, Stored) else request.call
    outcomes = _run(unpack_call(data), context, room=request.answer is None)
    if outcomes is None:
        return encode_answer(NEEDS_PROGRAM)
    answer = encode_outcomes(outcomes)
    if request.answer is not None and len(answer) > LARGEST_BYTES:
        return encode_answer(_store(answer, request.answer))
    return encode_answer(answer)


def _run(call: RemoteCall, context: Any, *, room: bool) -> list[Outcome] | None:
    """Return the outcomes of the jobs, of as many as fit into a message if ``room`` matters; None without a program."""
    outcomes: list[Outcome] = []
    size, longest = 0, 0.0
    answers = call.each(_meter())
    for job in call.jobs:
        if outcomes and _remaining_seconds(context) < 2 * longest:
            break
        begun = time.perf_counter()
        if len(call.jobs) > 1:
            # Should the sandbox die, the end of its log says under which of them.
            sys.stdout.write(line_of(Mark(job.attempt, time.time(), _sandbox())))
            sys.stdout.flush()
        answer = next(answers, None)
        if answer is None:
            break  # The program cannot be loaded, which the first answer said for all.
        if answer == NEEDS_PROGRAM:
            return None
        if room and size + len(answer) > LARGEST_BYTES:
            if outcomes:
                break
            outcomes.append(_too_large(answer))
            break
        outcomes += _told_by(answer)
        size += len(answer)
        longest = max(longest, time.perf_counter() - begun)
    return outcomes


def _told_by(answer: bytes) -> Sequence[Outcome]:
    return [o._replace(worker=_sandbox()) for o in decode_outcomes(answer)]


def _too_large(answer: bytes) -> Outcome:
    (outcome,) = _told_by(answer)
    error = SerializationError(
        f"a result of {format_bytes(len(answer))} does not fit into an answer of Lambda "
        f"({format_bytes(LARGEST_BYTES)}). Give the executor a bucket for large messages: "
        f"executor_options={{'bucket': 's3://…'}}"
    )
    return outcome._replace(status=Status.FAILED, value=None, error=describe(error))


def _remaining_seconds(context: Any) -> float:
    return float(context.get_remaining_time_in_millis()) / 1000


@cache
def _meter() -> MemoryMeter:
    meter = MemoryMeter()
    meter.always = True
    return meter


def _sandbox() -> str:
    """Return the name of this sandbox; host names and process ids are the same in many of them."""
    return os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME") or worker_name()


def _fetch(stored: Stored) -> bytes:
    body = _s3().get_object(Bucket=stored.bucket, Key=stored.key)["Body"]
    data: bytes = body.read()
    if sha256(data) != stored.sha256:
        raise ValueError(f"s3://{stored.bucket}/{stored.key} is not what the driver has put there")
    return data


def _store(answer: bytes, place: Place) -> Stored:
    _s3().put_object(Bucket=place.bucket, Key=place.key, Body=answer)
    return Stored(place.bucket, place.key, sha256(answer))


@cache
def _s3() -> Any:
    from botocore.session import get_session

    return get_session().create_client("s3")
