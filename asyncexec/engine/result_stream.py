"""The values of a run as a stream: each as soon as it is there, without waiting for the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from asyncexec.errors import OptionError
from asyncexec.events.outcome import Encoded, ValueHandle
from asyncexec.plan.given_numbers import as_whole_number
from asyncexec.scheduler.outlet import Outlet

if TYPE_CHECKING:
    from asyncexec.engine.execution import Execution
    from asyncexec.plan.plan import Plan

_SMALL_BYTES = 64_000
"""Values up to this size are unpickled on the event loop; larger ones, and those kept elsewhere, in a thread."""


def outlet_of(plan: Plan, *, ordered: bool, buffer: Any) -> tuple[Plan, Outlet]:
    """Return ``plan`` without results to keep, and the outlet of the values that were to be its result.

    Raises
    ------
    OptionError
        If it does not have exactly one result of values, or an option cannot be.
    """
    if not isinstance(ordered, bool):
        raise OptionError(f"results: ordered must be True or False, not {ordered!r}")
    room = as_whole_number(buffer)
    if buffer is not None and (room is None or room < 1):
        raise OptionError(f"results: buffer must be a whole number of at least 1, not {buffer!r}")
    if plan.workspace is not None or len(plan.returns) != 1:
        raise OptionError(
            f"results() yields the values of one stage of functions, and plan {plan.name!r} has "
            f"{'arrays' if plan.workspace is not None else f'{len(plan.returns)} results'}: use execute()"
        )
    (name,) = plan.returns
    if any(name == read.stage for stage in plan.stages for read in stage.reads) or any(
        name in stage.waits_for for stage in plan.stages
    ):
        raise OptionError(
            f"results() yields the values of a stage that no other reads, and {name!r} of plan {plan.name!r} is read: "
            f"use execute()"
        )
    return replace(plan, returns=()), Outlet(plan, name, ordered=ordered, buffer=room)


async def stream_values(
    start: Callable[[], Awaitable[tuple[Execution, Outlet]]],
) -> AsyncIterator[Any]:
    """Start an execution, yield its values, and then raise its exception; closing the iterator stops it."""
    execution, outlet = await start()
    try:
        while (task := await outlet.next()) is not None:
            yield await _value(execution, outlet, task)
        await execution
    finally:
        outlet.close()
        await execution.stopped()


async def _value(execution: Execution, outlet: Outlet, task: int) -> Any:
    values = execution.value_store
    raw = values.pop(outlet.position, task)
    kind = type(raw)
    if kind is ValueHandle or (kind is Encoded and len(raw.data) > _SMALL_BYTES):
        return await to_thread.run_sync(values.open, raw)
    return values.open(raw)
