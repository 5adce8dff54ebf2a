"""Run one attempt on an event loop, among others: the same steps as in a thread, with awaiting in their midst."""

from __future__ import annotations

import asyncio
import time
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
from asyncexec.worker.attempt import decode, describe, is_awaitable, lost_by, with_receipt
from asyncexec.worker.forks import FORKS, end_if_copied
from asyncexec.worker.task_context import BATCH, CURRENT

if TYPE_CHECKING:
    from asyncexec.plan.box import Index
    from asyncexec.worker.control import AttemptControl
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
) -> Outcome:
    """Run one attempt in this asyncio task, and return how it ended; never raises.

    ``control`` says whether it may save, and whether it was asked to stop, so that its ``CancelledError`` is not an
    error of its own. Its memory is not measured, as others run in the same process.
    """
    kernel, io, shape, values = program.kernel, program.io, program.shape, program.values
    process = FORKS.count
    BATCH.set(batch)
    CURRENT.set(spec)
    started_at = time.time()
    start = time.perf_counter()
    value: Any = None
    error: ErrorInfo | None = None
    status = Status.SUCCEEDED
    cached = False
    read = written = 0
    try:
        index: Index = unravel(spec.task, shape)
        inputs: Any
        if io is None:
            inputs = await _decoded(tuple(spec.inputs), values) if spec.inputs else ()
        else:
            inputs, read = await asyncio.to_thread(io.load, index)
        result = kernel(index, *inputs)
        if is_awaitable(result):
            result = await result
        if type(result) is CachedResult:
            result, cached = result.value, True
        end_if_copied(process)
        del inputs  # the kernel's inputs need not be held while its output is written
        if not control.take():
            status = Status.CANCELLED
        elif io is None:
            value = result if values is None else values.put(spec.attempt, result)
        else:
            saved = await asyncio.to_thread(io.save, index, result)
            written, value = with_receipt(saved, spec.attempt, values)
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
        )
    finally:
        # The traceback of what was raised keeps this frame, which must not keep in turn what was raised.
        del error


async def _decoded(inputs: tuple[Any, ...], values: LargeValues | None) -> list[Any]:
    """Return the inputs; in a thread where they may have to be fetched, as that blocks."""
    if any(type(i) in _FETCHED for i in inputs):
        return await asyncio.to_thread(_decode, inputs, values)
    return _decode(inputs, values)


def _decode(inputs: tuple[Any, ...], values: LargeValues | None) -> list[Any]:
    return [decode(i, values) for i in inputs]
