"""What happens around a kernel on a worker: load, call, save, measure; the same on every backend."""

from __future__ import annotations

import inspect
import pickle
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

from asyncexec.events.outcome import Encoded, ErrorInfo, Many, Outcome, Status
from asyncexec.plan.box import unravel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncexec.backends.contract import Job
    from asyncexec.plan.box import Shape
    from asyncexec.plan.stage import Kernel, TaskIO

MOST_TOLD = 20_000
"""How many characters of an exception's message, and of its traceback, are told."""


class Fence:
    """Decides, once, whether an attempt may save: the worker and whoever gives the attempt up race for it."""

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken = threading.Lock()

    def take(self) -> bool:
        """Return True to the first caller, False to every later one.

        A worker that gets False must not save; a canceller that gets False must wait for the outcome, because the
        worker is saving.
        """
        return self._taken.acquire(blocking=False)


def run_job(
    job: Job,
    kernel: Kernel,
    io: TaskIO | None,
    shape: Shape,
    *,
    worker: str,
    fence: Fence | None = None,
    peak_bytes: Callable[[], int] | None = None,
    keep_exception: bool = False,
) -> Outcome:
    """Run one attempt in this thread, and return how it ended; never raises an ``Exception``.

    ``peak_bytes`` returns the process's peak memory since it was last reset. ``keep_exception`` puts the exception
    itself into the outcome, for workers that share the driver's process. ``BaseException`` (``SystemExit``,
    ``KeyboardInterrupt``) from a kernel is a failure of the attempt too, not of the worker.
    """
    started_at = time.time()
    start = time.perf_counter()
    value: Any = None
    error: ErrorInfo | None = None
    status = Status.SUCCEEDED
    read = written = 0
    try:
        index = unravel(job.task, shape)
        if io is None:
            inputs = [decode(i) for i in job.inputs] if job.inputs else ()
        else:
            inputs, read = io.load(index)
        result = kernel(index, *inputs)
        if inspect.isawaitable(result):
            result = _run(result)
        del inputs  # what the kernel has read need not be held while its output is written
        if fence is not None and not fence.take():
            status = Status.CANCELLED
        elif io is None:
            value = result
        else:
            written = io.save(index, result)
    except BaseException as raised:  # noqa: BLE001 - an attempt's failure is data, whatever it is
        status, error = Status.FAILED, describe(raised, keep=keep_exception)
    seconds = time.perf_counter() - start
    peak = peak_bytes() if peak_bytes is not None else 0
    return Outcome(
        job.attempt, status, worker, started_at, seconds, peak, read, written, value, error
    )


def _run(awaitable: Awaitable[Any]) -> Any:
    """Return the result of ``awaitable``, on an event loop of its own."""
    import anyio  # Dear, and most functions are plain.

    async def awaited() -> Any:
        return await awaitable

    return anyio.run(awaited)


def decode(value: Any) -> Any:
    """Return the value itself where it came pickled, and a list where it is several values."""
    if type(value) is Many:
        return [decode(v) for v in value.values]
    return pickle.loads(value.data) if type(value) is Encoded else value  # noqa: S301 - values of a value stage


def describe(error: BaseException, *, keep: bool = False) -> ErrorInfo:
    """Return ``error`` as plain data; ``keep`` adds the exception itself."""
    bases = tuple(_name(base) for base in type(error).__mro__[1:-1])
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - a broken __str__ must not hide the failure
        message = "(its message cannot be made)"
    text = "".join(traceback.format_exception(error))
    kept = error if keep else None
    return ErrorInfo(_name(type(error)), bases, _shortened(message), _shortened(text), kept)


def _shortened(text: str) -> str:
    """Return ``text`` without its middle if it is long: it travels with the outcome, and stands in errors and logs."""
    if len(text) <= MOST_TOLD:
        return text
    half = MOST_TOLD // 2
    return f"{text[:half]} … ({len(text) - 2 * half:,} characters left out) … {text[-half:]}"


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
