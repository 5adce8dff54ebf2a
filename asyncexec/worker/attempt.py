"""Run one attempt on a worker: load its inputs, call its kernel, save its output; the same on every backend."""

from __future__ import annotations

import inspect
import pickle
import time
import traceback
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from asyncexec.errors import UsageError, ValueLostError
from asyncexec.events.outcome import (
    CachedResult,
    Encoded,
    ErrorInfo,
    ItemOf,
    Many,
    Outcome,
    Status,
    ValueHandle,
)
from asyncexec.plan.box import unravel
from asyncexec.worker.task_context import CURRENT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncexec.plan.box import Shape
    from asyncexec.plan.stage import Kernel, TaskIO
    from asyncexec.worker.control import MaySave
    from asyncexec.worker.records import AttemptSpec
    from asyncexec.worker.task_context import BatchContext
    from asyncexec.worker.values import LargeValues, ValueStore

LONGEST_TEXT = 20_000
"""The most characters of an exception's message, and of its traceback, that an outcome carries."""


_ENCODED = frozenset({Many, Encoded, ValueHandle, ItemOf})


def run_attempt(
    spec: AttemptSpec,
    kernel: Kernel,
    io: TaskIO | None,
    shape: Shape,
    *,
    worker: str,
    fence: MaySave | None = None,
    peak_bytes: Callable[[], int] | None = None,
    keep_exception: bool = False,
    values: LargeValues | None = None,
    batch: BatchContext | None = None,
) -> Outcome:
    """Run one attempt in this thread, and return how it ended; never raises an ``Exception``.

    ``peak_bytes`` returns the process's peak memory since it was last reset. ``keep_exception`` puts the exception
    itself into the outcome, for workers that share the driver's process. ``BaseException`` (``SystemExit``,
    ``KeyboardInterrupt``) from a kernel is a failure of the attempt too, not of the worker. ``values`` holds
    values that stay near the workers. ``batch`` is what the task can ask about its run; it is set in the context that
    this is called in.
    """
    if batch is not None:
        CURRENT.set((batch, spec))
    started_at = time.time()
    start = time.perf_counter()
    value: Any = None
    error: ErrorInfo | None = None
    status = Status.SUCCEEDED
    cached = False
    read = written = 0
    try:
        index = unravel(spec.task, shape)
        if io is None:
            inputs = [decode(i, values) for i in spec.inputs] if spec.inputs else ()
        else:
            inputs, read = io.load(index)
        result = kernel(index, *inputs)
        if is_awaitable(result):
            result = _run(result, fence)
        if type(result) is CachedResult:
            result, cached = result.value, True
        del inputs  # the kernel's inputs need not be held while its output is written
        if fence is not None and not fence.take():
            status = Status.CANCELLED
        elif io is None:
            value = result if values is None else values.put(spec.attempt, result)
        else:
            written = io.save(index, result)
    except BaseException as raised:  # noqa: BLE001 - an attempt's failure is data, whatever it is
        status, error = Status.FAILED, describe(raised, keep=keep_exception)
        if isinstance(raised, ValueLostError):
            value = raised.handle
    seconds = time.perf_counter() - start
    peak = peak_bytes() if peak_bytes is not None else 0
    return Outcome(
        spec.attempt, status, worker, started_at, seconds, peak, read, written, value, error, cached
    )


def _run(awaitable: Awaitable[Any], fence: MaySave | None) -> Any:
    """Return the result of ``awaitable``, on the worker's event loop."""
    from asyncexec.worker.event_loop import EVENT_LOOP  # Dear, and most functions are plain.

    return EVENT_LOOP.run(awaitable, fence)


def is_awaitable(result: Any) -> bool:
    """Return what ``inspect.isawaitable`` does, in a fifth of its time for what is none."""
    kind = type(result)
    return hasattr(kind, "__await__") or (kind is GeneratorType and inspect.isawaitable(result))


def decode(value: Any, values: ValueStore | LargeValues | None = None) -> Any:
    """Return the value itself where it came pickled or is in the store ``values``, and a list for several values."""
    kind = type(value)
    if kind not in _ENCODED:
        return value
    if kind is ItemOf:
        return decode(value.value, values)[value.position]
    if kind is Many:
        return [decode(v, values) for v in value.values]
    if kind is Encoded:
        return pickle.loads(value.data)  # noqa: S301 - values of a value stage
    if values is None:
        raise UsageError(f"{value} cannot be opened here: the value is in a store of its backend")
    return values.get(value)


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
    if len(text) <= LONGEST_TEXT:
        return text
    half = LONGEST_TEXT // 2
    return f"{text[:half]} … ({len(text) - 2 * half:,} characters left out) … {text[-half:]}"


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
