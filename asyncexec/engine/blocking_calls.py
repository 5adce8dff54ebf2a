"""Calls that block: no service's loop is held up, progress is shown, and an interrupt stops the work."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from asyncexec.config.checks import flag
from asyncexec.engine.executor_choice import executor_for
from asyncexec.engine.interactive import (
    interruptible,
    is_interactive,
    is_loop_running,
    is_trio_running,
    may_block_loop,
)
from asyncexec.engine.plannable import as_plan
from asyncexec.engine.portal import EnginePortal
from asyncexec.engine.run_options import check_run_options
from asyncexec.errors import RunningLoopError
from asyncexec.events.fanout import as_observers
from asyncexec.observers.live_line import LiveLine
from asyncexec.observers.progress import Progress

if TYPE_CHECKING:
    from asyncexec.engine.result import Result
    from asyncexec.plan.plan import Plan, Plannable

PROGRESS_VARIABLE = "ASYNCEXEC_PROGRESS"
"""The environment variable that switches progress off (or on, in scripts) where a call does not say."""
_ON, _OFF = frozenset({"1", "on", "true", "yes"}), frozenset({"0", "off", "false", "no"})


def run_blocking(
    plan: Plan | Plannable, options: Mapping[str, Any], *, called: str, instead: str
) -> Result:
    """Run ``plan`` for a call that blocks; ``options`` are those of :func:`asyncexec.sync.execute`.

    Parameters
    ----------
    plan : Plan, or anything with ``to_plan()``
    options : mapping
    called : str
        The call as users write it, for messages.
    instead : str
        What a coroutine writes.
    """
    check_run_options(options, called, also=("executor", "executor_options", "progress"))
    refuse_running_loop(called, instead)
    for_run = dict(options)
    progress = for_run.pop("progress", None)
    executor, executor_options = executor_for(
        plan, for_run.pop("executor", None), for_run.pop("executor_options", None)
    )
    planned = as_plan(plan)
    with interruptible(), EnginePortal(executor, executor_options=executor_options) as portal:
        result = run_watched(portal, planned, for_run, progress=progress)
        result.values.load()  # Nobody could open them when the engine has closed.
        return result


def run_watched(
    portal: EnginePortal, plan: Plan, options: Mapping[str, Any], *, progress: bool | None
) -> Result:
    """Run ``plan`` on the engine behind ``portal``, with its progress in a line where that is wanted."""
    observers = as_observers(options.get("observers"))
    if not _wants_progress(observers, said=progress):
        with interruptible():
            return portal.run_plan(plan, options)
    line = LiveLine()
    try:
        with interruptible():
            return portal.run_plan(plan, {**options, "observers": (*observers, line)}, line.draw)
    finally:
        line.close()


def refuse_running_loop(called: str, instead: str) -> None:
    """Raise RunningLoopError if ``called`` would block an event loop that somebody else needs."""
    if is_trio_running():
        raise RunningLoopError(
            f"{called} would block trio, which is running here; write: "
            f"await trio.to_thread.run_sync(asyncexec.sync.execute, plan)"
        )
    if is_loop_running() and not may_block_loop():
        raise RunningLoopError(
            f"{called} would block the event loop that is running here; write: {instead}"
        )


def _wants_progress(observers: tuple[object, ...], *, said: bool | None) -> bool:
    if said is not None:
        return flag(said, "progress")
    variable = os.environ.get(PROGRESS_VARIABLE, "").strip().lower()
    if variable in _ON | _OFF:
        return variable in _ON
    return is_interactive() and not any(isinstance(each, Progress) for each in observers)
