"""Outcomes of calls whose function did not answer: a timeout, a dead sandbox, an error of the handler.

Lambda reports these as JSON, ``{"errorType": …, "errorMessage": …, "stackTrace": […]}``, and by the wording of its
messages. Of several attempts, the log shows which one ended the sandbox: a worker marks the start of each there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from asyncexec.errors import BackendError
from asyncexec.events.outcome import ErrorInfo, Outcome, Status

_MARK = re.compile(r"^asyncexec: attempt (\d+) starts at (\d+\.\d+) on (.+?)\s*$", re.MULTILINE)
_REPORT = re.compile(r"Memory Size: (\d+) MB\s+Max Memory Used: (\d+) MB")

# Errors of the deployment, with which nothing can ever run.
_UNUSABLE = frozenset(
    {
        "Runtime.HandlerNotFound",
        "Runtime.ImportModuleError",
        "Runtime.InvalidEntrypoint",
        "Runtime.MalformedHandlerName",
        "Runtime.UserCodeSyntaxError",
    }
)


class StartMark(NamedTuple):
    """The start of an attempt."""

    attempt: int
    at: float
    worker: str


def outcomes_of(
    payload: bytes,
    log: str,
    *,
    attempts: Collection[int],
    function: str,
    running: StartMark,
    overlaps: bool = False,
) -> list[Outcome]:
    """Return the outcomes of a call's ``attempts``; raises BackendError if the function as deployed cannot be used.

    ``payload`` is the answer of Lambda, ``log`` the end of the function's log, and ``running`` the attempt that was
    running as far as the driver knows; the log may know better. Of attempts that ``overlaps`` says ran at once, any may
    have ended the sandbox: all are lost with no worker's name, so that none is charged, and each is tried by itself.
    """
    details = _parse(payload)
    kind, message = str(details.get("errorType", "")), str(details.get("errorMessage", ""))
    if kind in _UNUSABLE:
        raise BackendError(
            f"executor 'aws-lambda': function {function!r} cannot be started: {kind}: {message}. "
            f"Build it with `asyncexec lambda package`, for the function's Python and architecture"
        )
    status, error = _status_and_error(kind, message, details, log, function)
    if status is Status.FAILED:
        return [Outcome(a, status, running.worker, running.at, error=error) for a in attempts]
    if overlaps and len(attempts) > 1:
        return [Outcome(a, Status.LOST, "", running.at, error=error) for a in attempts]
    mark = last_start_mark(log)
    if mark is None or mark.attempt not in attempts:
        mark = running
    return [
        Outcome(a, status, mark.worker, mark.at, error=error)
        if a == mark.attempt
        else Outcome(a, Status.LOST, error=error)
        for a in attempts
    ]


def _parse(payload: bytes) -> Mapping[str, Any]:
    try:
        details = json.loads(payload)
    except ValueError:
        details = None
    return (
        details
        if isinstance(details, Mapping)
        else {"errorMessage": payload[:1000].decode("utf-8", "replace")}
    )


def _status_and_error(
    kind: str, message: str, details: Mapping[str, Any], log: str, function: str
) -> tuple[Status, ErrorInfo]:
    if kind == "Sandbox.Timedout" or "Task timed out after" in message:
        return Status.TIMED_OUT, ErrorInfo(
            "builtins.TimeoutError",
            message=f"function {function!r} ran into its own timeout ({message}). Give it a longer one: "
            f"aws lambda update-function-configuration --function-name {function} --timeout …",
        )
    died = kind in {"Runtime.ExitError", "Runtime.OutOfMemory", "Runtime.Unknown"} or (
        "Runtime exited" in message
    )
    if died:
        memory = kind == "Runtime.OutOfMemory" or out_of_memory(log)
        return Status.LOST, ErrorInfo(
            "builtins.MemoryError" if memory else kind or "Runtime.ExitError",
            message=f"the sandbox of function {function!r} died: {message}",
        )
    trace = details.get("stackTrace")
    text = "".join(map(str, trace)) if isinstance(trace, list) else ""
    # Lambda's Python runtime gives the name of the class without its module.
    return Status.FAILED, ErrorInfo(
        kind or "Unhandled",
        message=f"function {function!r}: {message}",
        traceback=f"{text}{kind}: {message}",
    )


def start_line(mark: StartMark) -> str:
    """Return the line that a worker writes to its log."""
    return f"asyncexec: attempt {mark.attempt} starts at {mark.at:.6f} on {mark.worker}\n"


def last_start_mark(log: str) -> StartMark | None:
    """Return the last start in the end of a log; None if there is none."""
    found = _MARK.findall(log)
    if not found:
        return None
    attempt, at, worker = found[-1]
    return StartMark(int(attempt), float(at), worker)


def out_of_memory(log: str) -> bool:
    """Return whether Lambda's report at the end of a log shows that the sandbox used all of its memory."""
    found = _REPORT.search(log)
    return found is not None and int(found[2]) >= int(found[1])
