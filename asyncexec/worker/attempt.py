"""Run one attempt on a worker: load its inputs, call its kernel, save its output; the same on every backend."""

from __future__ import annotations

import inspect
import pickle
import time
import traceback
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from asyncexec.errors import CorruptChunkError, SerializationError, UsageError, ValueLostError
from asyncexec.events.outcome import (
    CachedResult,
    Encoded,
    ErrorInfo,
    ItemOf,
    Many,
    Outcome,
    Status,
    ValueHandle,
    handle_of_chunks,
)
from asyncexec.plan.box import unravel
from asyncexec.worker.forks import FORKS, end_copy, end_if_copied
from asyncexec.worker.task_context import CURRENT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncexec.plan.box import Index, Shape
    from asyncexec.plan.stage import Kernel, TaskIO
    from asyncexec.worker.control import MaySave
    from asyncexec.worker.records import AttemptSpec
    from asyncexec.worker.values import LargeValues, ValueStore

_ENCODED = frozenset({Many, Encoded, ValueHandle, ItemOf})
_PLAIN = frozenset({type(None), bool, int, float, str, bytes, tuple, list, dict})
"""The types of most results, of which none is awaitable or from a cache; runners add those that they find."""
_SUCCEEDED = Status.SUCCEEDED
new = tuple.__new__  # A named tuple's own constructor takes three times as long.


def attempt_runner(
    kernel: Kernel,
    io: TaskIO | None,
    shape: Shape,
    *,
    worker: str,
    fence: MaySave | None = None,
    peak_bytes: Callable[[], int] | None = None,
    keep_exception: bool = False,
    values: LargeValues | None = None,
) -> Callable[[AttemptSpec], Outcome]:
    """Return a function that runs one attempt in this thread, and returns how it ended; it never raises.

    ``peak_bytes`` returns the process's peak memory since it was last reset. ``keep_exception`` puts the exception
    itself into the outcome, for workers that share the driver's process. ``BaseException`` (``SystemExit``,
    ``KeyboardInterrupt``) from a kernel is a failure of the attempt too, not of the worker. ``values`` holds
    values that stay near the workers. The attempt is set as the one that runs in the context of the call.
    """
    # All that is the same for every attempt of a batch is found once, here.
    begin, now, clock = CURRENT.set, time.time, time.perf_counter
    # Bound methods: this runs for every attempt, and on short ones lookups are a good part of the cost.
    may_save = None if fence is None else fence.take
    put = None if values is None else values.put
    forks, process = FORKS, FORKS.watch()
    plain = set(_PLAIN)
    compute = None if io is None else _computing(kernel, io)

    def run(spec: AttemptSpec) -> Outcome:
        begin(spec)
        attempt, task, given, _ = spec
        started_at = now()
        start = clock()
        value: Any = None
        error: ErrorInfo | None = None
        status = _SUCCEEDED
        cached = False
        read = written = 0
        try:
            index = unravel(task, shape)
            if compute is None:
                inputs = [decode(i, values) for i in given] if given else ()
                result = kernel(index, *inputs)
                del inputs  # which need not be held while the output is stored
            else:
                result, read = compute(index)
            if type(result) not in plain:
                result, cached = _settled(result, fence, plain)
            # Before anything is saved: a copy that the task has forked must not save as well.
            if forks.count != process:
                end_copy()
            if may_save is not None and not may_save():
                status = Status.CANCELLED
            elif io is None:
                value = result if put is None else put(attempt, result)
            else:
                saved = io.save(index, result)
                if type(saved) is int:
                    written = saved
                else:
                    written, value = with_receipt(saved, attempt, values)
        except BaseException as raised:  # noqa: BLE001 - an attempt's failure is data, whatever it is
            end_if_copied(process, raised)
            status, error = Status.FAILED, describe(raised, keep=keep_exception)
            value = lost_by(raised)
        seconds = clock() - start
        peak = peak_bytes() if peak_bytes is not None else 0
        row = (
            attempt,
            status,
            worker,
            started_at,
            seconds,
            peak,
            read,
            written,
            value,
            error,
            cached,
            0,
        )
        try:
            return new(Outcome, row)
        finally:
            # The traceback of what was raised keeps this frame, which must not keep in turn what was raised.
            del error, row

    return run


def _computing(kernel: Kernel, io: TaskIO) -> Callable[[Index], tuple[Any, int]]:
    """Return a function that loads the inputs of a task and calls the kernel, and returns the bytes read, too."""
    if hasattr(kernel, "pieces"):
        from asyncexec.worker.pieces import (
            in_pieces,
        )  # Most kernels take all of their input at once.

        return in_pieces(kernel, io)
    load = io.load

    def compute(index: Index) -> tuple[Any, int]:
        inputs, read = load(index)
        return kernel(index, *inputs), read

    return compute


def with_receipt(
    saved: int | tuple[int, Any], attempt: int, values: LargeValues | None
) -> tuple[int, Any]:
    """Return the number of bytes that a task has saved, and its value, as it travels, where saving made one."""
    if not isinstance(saved, tuple):
        return saved, None
    written, value = saved
    return written, value if values is None else values.put(attempt, value)


def lost_by(error: BaseException) -> Any:
    """Return the handle of what is lost, where an attempt failed because it reads that; None for other errors."""
    kind = type(error)  # Which no method of the exception can make a failure of ours.
    if issubclass(kind, ValueLostError):
        return getattr(error, "handle", None)
    if issubclass(kind, CorruptChunkError) and (chunks := getattr(error, "chunks", ())):
        return handle_of_chunks(getattr(error, "array", ""), chunks)
    return None


def _settled(result: Any, fence: MaySave | None, plain: set[type]) -> tuple[Any, bool]:
    """Return the value of what a kernel has returned, and whether a cache had it; ``plain`` gets types of values."""
    if is_awaitable(result):
        result = _run(result, fence)
    elif type(result) not in (CachedResult, GeneratorType):
        plain.add(type(result))
    return (result.value, True) if type(result) is CachedResult else (result, False)


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
        return _unpickled(value.data)
    if values is None:
        raise UsageError(f"{value} cannot be opened here: the value is in a store of its backend")
    return values.get(value)


def _unpickled(data: bytes) -> Any:
    try:
        return pickle.loads(data)  # noqa: S301 - values of a value stage
    except MemoryError:
        raise
    except Exception as error:
        # Or the function of the task that reads the value would seem to have raised it.
        why = f"{type(error).__name__}: {error}".rstrip(".")
        raise SerializationError(
            f"a value that a task returned, or an input, cannot be unpickled here: {why}. Return plain data, or "
            f"install here what it is made of, or run on executor='threads'"
        ) from error


def describe(error: BaseException, *, keep: bool = False) -> ErrorInfo:
    """Return ``error`` as plain data; ``keep`` adds the exception itself.

    Of an exception that breaks when it is looked into, there are the class and the message, on every executor.
    """
    # Most workers never describe an error.
    from asyncexec.exception_data.recording import (
        exception_record,
        exception_stub,
        message_of,
        qualified_name,
        shortened,
    )

    name, *bases = map(qualified_name, type(error).__mro__[:-1])
    message = message_of(error)
    try:
        text = shortened("".join(traceback.format_exception(error)))
        kept, record = (error, "") if keep else (None, exception_record(error))
    except BaseException:  # noqa: BLE001 - whatever methods of the exception raise
        text, kept, record = "", None, exception_stub(error)
    return ErrorInfo(name, tuple(bases), message, text, kept, record)
