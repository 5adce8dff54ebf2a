"""Run one attempt on an event loop, among others: the same steps as in a thread, with awaiting in their midst."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from asyncexec.events.outcome import (
    CachedResult,
    ErrorInfo,
    ItemOf,
    Many,
    Outcome,
    Status,
    ValueHandle,
)
from asyncexec.plan.box import unravel
from asyncexec.plan.stage import WaitingIO
from asyncexec.worker.attempt import decode, describe, is_awaitable, lost_by, with_receipt
from asyncexec.worker.forks import FORKS, end_if_copied
from asyncexec.worker.loop_threads import finished
from asyncexec.worker.records import WIDTH, Note
from asyncexec.worker.task_context import BATCH, CURRENT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncexec.plan.box import Index
    from asyncexec.plan.stage import InThread, TaskIO
    from asyncexec.worker.control import AttemptControl
    from asyncexec.worker.loop_threads import PacedKernels
    from asyncexec.worker.programs import LoadedProgram
    from asyncexec.worker.records import AttemptSpec
    from asyncexec.worker.task_context import BatchContext
    from asyncexec.worker.values import LargeValues

_FETCHED = frozenset({Many, ValueHandle, ItemOf})

CANCELLED = ErrorInfo("asyncio.exceptions.CancelledError", ("builtins.BaseException",))
"""The error of an attempt that has ended because it was cancelled; one that was left behind has none."""


async def run_awaited(
    spec: AttemptSpec,
    program: LoadedProgram,
    *,
    worker: str,
    control: AttemptControl,
    keep_exception: bool = False,
    batch: BatchContext | None = None,
    kernels: PacedKernels | None = None,
    noted: Callable[[Note], object] | None = None,
) -> Outcome:
    """Run one attempt in this asyncio task, and return how it ended; never raises.

    ``control`` says whether it may save, and whether it was asked to stop, so that its ``CancelledError`` is not an
    error of its own. Its memory is not measured, as others run in the same process. A kernel that is no coroutine
    function runs in ``kernels``, where there are any; what its first piece says of their pace is ``noted``. A save that
    has begun is not cancelled.
    """
    io, shape, values = program.io, program.shape, program.values
    threads: InThread = asyncio.to_thread if kernels is None else kernels.threads.run
    process = FORKS.count
    BATCH.set(batch)
    CURRENT.set(spec)
    started_at, start = time.time(), time.perf_counter()
    value: Any = None
    error: ErrorInfo | None = None
    status, cached = Status.SUCCEEDED, False
    read = written = width = 0

    async def call(function: Callable[[], Any]) -> Any:
        if kernels is None:
            return _called(process, function)
        return await kernels.run(spec.attempt, partial(_called, process, function))

    def measured(io_seconds: float) -> None:
        width = 0 if kernels is None else kernels.measured_piece(spec.attempt, io_seconds)
        if width and noted is not None:
            noted(Note(spec.attempt, WIDTH, "", worker, width=width))

    try:
        index: Index = unravel(spec.task, shape)
        result, read, computing = await _computed(
            program, spec, index, threads, call, measured=measured
        )
        result, cached = await _settled(result)
        end_if_copied(process)
        if not control.take():
            status = Status.CANCELLED
        elif io is None:
            value = result if values is None else values.put(spec.attempt, result)
        else:
            saving = asyncio.ensure_future(_saved(io, index, result, threads))
            del result
            saved = await finished(saving, wanted=True)
            written, value = with_receipt(saved, spec.attempt, values)
            if kernels is not None:
                io_seconds = time.perf_counter() - start - computing
                width = kernels.measured(spec.attempt, io_seconds)
    except BaseException as raised:  # noqa: BLE001 - an attempt's failure is data, whatever it is
        end_if_copied(process, raised)
        if control.left:
            status, error = Status.CANCELLED, CANCELLED
        else:
            status, error = Status.FAILED, describe(raised, keep=keep_exception)
            value = lost_by(raised)
    seconds = time.perf_counter() - start
    try:
        return Outcome(
            spec.attempt,
            status,
            worker,
            started_at,
            seconds,
            0,
            read,
            written,
            value,
            error,
            cached,
            width,
        )
    finally:
        # The traceback of what was raised keeps this frame, which must not keep in turn what was raised.
        del error


def _called(process: int, function: Callable[[], Any]) -> Any:
    """Call the kernel, in a thread it may be; a copy of the process that it makes ends where it does."""
    try:
        result = function()
    except BaseException as raised:
        end_if_copied(process, raised)
        raise
    end_if_copied(process)
    return result


async def _settled(result: Any) -> tuple[Any, bool]:
    """Return the value of what a kernel has returned, and whether a cache had it."""
    if is_awaitable(result):
        result = await result
    return (result.value, True) if type(result) is CachedResult else (result, False)


async def _computed(
    program: LoadedProgram,
    spec: AttemptSpec,
    index: Index,
    threads: InThread,
    call: Callable[[Callable[[], Any]], Awaitable[Any]],
    *,
    measured: Callable[[float], object],
) -> tuple[Any, int, float]:
    """Return what the kernel returns, the bytes read for it, and the seconds that it was called for, with waits."""
    kernel, io, read = program.kernel, program.io, 0
    if io is not None and hasattr(kernel, "pieces"):
        from asyncexec.worker.awaited_pieces import (
            taken_in_turn,
        )  # Most kernels take all of their input at once.

        load = partial(_loaded, io, in_thread=threads)
        ahead = getattr(io, "reads_ahead", False)
        return await taken_in_turn(kernel, index, load, call, ahead=ahead, measured=measured)
    inputs: Any
    if io is None:
        inputs = await _decoded(tuple(spec.inputs), program.values) if spec.inputs else ()
    else:
        inputs, read = await _loaded(io, index, threads)
    loaded = time.perf_counter()
    calling = partial(kernel, index, *inputs)
    del inputs  # which are held by the call alone
    return await call(calling), read, time.perf_counter() - loaded


async def _loaded(io: TaskIO, index: Index, in_thread: InThread) -> tuple[tuple[Any, ...], int]:
    if isinstance(io, WaitingIO):
        return await io.aload(index, in_thread)
    loaded: tuple[tuple[Any, ...], int] = await in_thread(io.load, index)
    return loaded


async def _saved(
    io: TaskIO, index: Index, result: Any, in_thread: InThread
) -> int | tuple[int, Any]:
    if isinstance(io, WaitingIO):
        return await io.asave(index, result, in_thread)
    saved: int | tuple[int, Any] = await in_thread(io.save, index, result)
    return saved


async def _decoded(inputs: tuple[Any, ...], values: LargeValues | None) -> list[Any]:
    """Return the inputs; in a thread where they may have to be fetched, as that blocks."""
    if any(type(i) in _FETCHED for i in inputs):
        return await asyncio.to_thread(_decode, inputs, values)
    return _decode(inputs, values)


def _decode(inputs: tuple[Any, ...], values: LargeValues | None) -> list[Any]:
    return [decode(i, values) for i in inputs]
