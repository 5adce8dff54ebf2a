"""The engine for callers without an event loop: a portal to a loop in a thread of its own.

>>> from asyncexec import Plan, sync
>>> sync.execute(Plan.map(abs, [-1, 2]), executor="threads").value
[1, 2]
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self, Unpack

from asyncexec.engine.portal import EnginePortal
from asyncexec.engine.run_options import RunOptions
from asyncexec.errors import EngineClosedError, RunningLoopError

if TYPE_CHECKING:
    from types import TracebackType

    from asyncexec.engine import Result
    from asyncexec.plan import Plan, Plannable


class SyncEngine:
    """An :class:`asyncexec.Engine` used with ``with`` instead of ``async with``; the same arguments.

    >>> with ax.sync.SyncEngine("threads", executor_options={"max_workers": 2}) as engine:
    ...     values = [engine.execute(ax.Plan.map(abs, [-n])).value for n in (1, 2)]
    >>> values
    [[1], [2]]

    Raises
    ------
    RunningLoopError
        If entered, or used, where an event loop is running, which it would block.
    """

    def __init__(self, executor: Any = "threads", **options: Any) -> None:
        self._portal = EnginePortal(executor, **options)

    def __enter__(self) -> Self:
        _refuse_running_loop("with SyncEngine(...)", "async with asyncexec.Engine(...)")
        self._portal.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return self._portal.__exit__(kind, error, traceback)

    def execute(self, plan: Plan | Plannable, **options: Unpack[RunOptions]) -> Result:
        """Run ``plan`` to its end; arguments as for :meth:`asyncexec.Engine.execute`. Ctrl-C stops the work."""
        _refuse_running_loop("SyncEngine.execute(plan)", "await engine.execute(plan)")
        if not self._portal.is_open:
            raise EngineClosedError(
                "the engine is not open: use it inside 'with SyncEngine(...) as engine:'"
            )
        engine, portal = self._portal.engine, self._portal.portal
        future = portal.start_task_soon(lambda: engine.execute(plan, **options))
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise


def execute(
    plan: Plan | Plannable,
    *,
    executor: Any = "threads",
    executor_options: Any = None,
    **options: Unpack[RunOptions],
) -> Result:
    """Run ``plan`` on an engine made for it alone, and return the result.

    ``options`` are those of :meth:`asyncexec.Engine.execute`.

    >>> ax.sync.execute(ax.Plan.map(abs, [-1, 2]).reduce(sum), executor="serial", retry=2).value
    3

    Raises
    ------
    RunningLoopError
        If an event loop is running in this thread.
    """
    _refuse_running_loop("asyncexec.sync.execute(plan)", "await engine.execute(plan)")
    with SyncEngine(executor, executor_options=executor_options) as engine:
        result = engine.execute(plan, **options)
        result.values.load()  # Nobody could open them when the engine has closed.
        return result


def _refuse_running_loop(called: str, instead: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RunningLoopError(
        f"{called} would block the event loop that is running here; write: {instead}"
    )
