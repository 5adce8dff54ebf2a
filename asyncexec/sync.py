"""The engine for callers that block: a portal to a loop in a thread of its own.

In IPython, Jupyter and ``python -m asyncio``, where an event loop runs under every line, they work as in a script; what
lasts longer than a second shows its progress in a line, and an interrupt stops the work.

>>> from asyncexec import Plan, sync
>>> sync.execute(Plan.map(abs, [-1, 2]), executor="threads").value
[1, 2]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, Unpack

from asyncexec.engine.blocking_calls import refuse_running_loop, run_blocking, run_watched
from asyncexec.engine.plannable import as_plan
from asyncexec.engine.portal import EnginePortal
from asyncexec.engine.run_options import (
    RunOptions,
    check_engine_options,
    check_run_options,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
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
    UnknownOptionError
        If an engine has no such option.
    RunningLoopError
        If entered, or used, where the event loop of a service is running, which it would block.
    """

    def __init__(self, executor: Any = "threads", **options: Any) -> None:
        check_engine_options(options, executor, "SyncEngine()")
        self._portal = EnginePortal(executor, **options)

    def __enter__(self) -> Self:
        refuse_running_loop("with SyncEngine(...)", "async with asyncexec.Engine(...)")
        self._portal.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return self._portal.__exit__(kind, error, traceback)

    def execute(
        self,
        plan: Plan | Plannable,
        *,
        progress: bool | None = None,
        **options: Unpack[RunOptions],
    ) -> Result:
        """Run ``plan`` to its end; arguments as for :func:`execute`. Ctrl-C stops the work."""
        called = "SyncEngine.execute(plan)"
        check_run_options(options, called)
        refuse_running_loop(called, "await engine.execute(plan)")
        return run_watched(self._portal, as_plan(plan), options, progress=progress)


def execute(
    plan: Plan | Plannable,
    *,
    executor: Any = None,
    executor_options: Mapping[str, Any] | None = None,
    progress: bool | None = None,
    **options: Unpack[RunOptions],
) -> Result:
    """Run ``plan`` on an engine made for it alone, and return the result.

    >>> ax.sync.execute(ax.Plan.map(abs, [-1, 2]).reduce(sum), executor="serial", retry=2).value
    3

    Parameters
    ----------
    plan : Plan, or anything with ``to_plan()``
    executor, executor_options : optional
        As for :class:`asyncexec.Engine`; by default those of an array's ``Spec``, or ``"threads"``.
    progress : bool, optional
        Whether a run of more than a second shows its progress, in a line on standard error. By default it does in
        IPython, Jupyter and at a prompt, unless an observer of the run is a ``Progress``; the environment variable
        ``ASYNCEXEC_PROGRESS`` (``off``, ``on``) changes that.
    **options
        Those of :meth:`asyncexec.Engine.execute`.

    Raises
    ------
    UnknownOptionError
        If there is no such option.
    RunningLoopError
        If the event loop of a service is running in this thread.
    """
    given = {
        "executor": executor,
        "executor_options": executor_options,
        "progress": progress,
        **options,
    }
    return run_blocking(
        plan, given, called="asyncexec.sync.execute(plan)", instead="await ax.execute(plan)"
    )
