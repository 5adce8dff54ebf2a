"""An engine on an event loop in a thread of its own, for callers that block."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import wait
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from anyio.from_thread import BlockingPortal, start_blocking_portal

from asyncexec.engine.engine import Engine
from asyncexec.errors import EngineClosedError

if TYPE_CHECKING:
    from asyncexec.engine.execution import Execution
    from asyncexec.engine.result import Result
    from asyncexec.plan.plan import Plan

_WATCH_SECONDS = 0.1


class EnginePortal:
    """An engine and the portal to its event loop; a context manager, which starts and ends both.

    Parameters are those of :class:`asyncexec.Engine`.

    Attributes
    ----------
    engine : Engine
        To be used on its own loop only.
    portal : BlockingPortal
        Runs functions and coroutines on that loop.
    is_open : bool
    """

    def __init__(self, executor: Any, **options: Any) -> None:
        self._executor = executor
        self._options = options
        self._stack: ExitStack | None = None
        self.portal: BlockingPortal
        self.engine: Engine

    @property
    def is_open(self) -> bool:
        """True inside the ``with`` block."""
        return self._stack is not None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.portal = stack.enter_context(start_blocking_portal("asyncio"))
            engine = Engine(self._executor, **self._options)
            self.engine = stack.enter_context(self.portal.wrap_async_context_manager(engine))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        stack, self._stack = self._stack, None
        return stack.__exit__(kind, error, traceback) if stack is not None else None

    def run_plan(
        self,
        plan: Plan,
        options: Mapping[str, Any],
        watch: Callable[[], None] | None = None,
    ) -> Result:
        """Run ``plan`` and wait for its end in this thread, calling ``watch`` now and then.

        What interrupts the wait (Ctrl-C, an error of ``watch``) stops the work, and is raised when it has stopped.

        Raises
        ------
        EngineClosedError
            If the engine is not open.
        """
        if not self.is_open:
            raise EngineClosedError(
                "the engine is not open: use it inside 'with SyncEngine(...) as engine:'"
            )
        engine, portal = self.engine, self.portal

        async def start() -> Execution:
            return engine.start(plan, **options)

        async def end() -> Result:
            return await execution

        execution = portal.call(start)
        try:
            ended = portal.start_task_soon(end)
            while not wait([ended], None if watch is None else _WATCH_SECONDS).done:
                if watch is not None:
                    watch()
            return ended.result()
        except BaseException:
            portal.call(execution.stopped)
            raise
