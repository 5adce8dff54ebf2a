"""The life of an engine: its backend, its driver and its executions, in a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, WeakValueDictionary

import anyio

from asyncexec.engine.backend_life import BackendLife
from asyncexec.engine.call_threads import CallThreads
from asyncexec.engine.own_task import entered, is_running, running_loop, wait_for
from asyncexec.engine.starts import Starts
from asyncexec.errors import EngineClosedError, UsageError
from asyncexec.scheduler.driver import Driver

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from asyncexec.engine.engine_parts import EngineParts
    from asyncexec.engine.execution import Execution
    from asyncexec.engine.stage_values import StageValues


class EngineLife:
    """The time between the opening and the closing of an engine, and the executions that run then.

    Opening and closing may be called from different tasks (fixtures, lifespans), the caller's exceptions are not
    wrapped in groups, and when the caller is cancelled, executions stop before the backend closes.

    Parameters
    ----------
    parts : EngineParts

    Attributes
    ----------
    attached : sequence of async context managers
        Entered before the backend, and left after it.
    threads : CallThreads
        The threads of calls that block; there while it is open.
    """

    def __init__(self, parts: EngineParts) -> None:
        self.attached: Sequence[AbstractAsyncContextManager[Any]] = ()
        self.threads: CallThreads
        self._parts = parts
        self._executions: set[Execution] = set()
        self._failed: WeakSet[Execution] = WeakSet()
        self._kept: WeakValueDictionary[str, StageValues] = WeakValueDictionary()
        self._task: asyncio.Task[None] | None = None
        self._driver: Driver | None = None
        # Of asyncio: those of anyio give each task a cancel scope and an event, which nobody would use here.
        self._running: asyncio.TaskGroup | None = None
        self._loop: asyncio.AbstractEventLoop
        self._closing: asyncio.Event
        self._backend_life: BackendLife
        self._calls: Starts
        self._runs: Starts

    async def open(self) -> None:
        """Enter the backend; whatever is entered is left again where that fails or is cancelled."""
        if self._task is not None:
            raise EngineClosedError(
                "this engine is open already: an engine is entered once, and shared"
            )
        self._loop = running_loop()
        self._closing = asyncio.Event()
        self._backend_life = BackendLife(self._parts.backend)
        opened = self._loop.create_future()
        self._task = task = asyncio.create_task(self._live(opened), name="asyncexec engine")
        try:
            await opened
        except BaseException:
            task.cancel()
            self._task = None
            with suppress(asyncio.CancelledError):
                await wait_for(task)
            raise

    async def close(self) -> None:
        """Stop what runs, and leave the backend."""
        task, self._task = self._task, None
        if task is None:
            raise EngineClosedError("this engine is not open")
        self._closing.set()
        await wait_for(task, lambda _: self._backend_life.hurry())
        if not task.cancelled() and (failure := task.exception()) is not None:
            raise failure

    async def _live(self, opened: asyncio.Future[None]) -> None:
        try:
            async with (
                entered(self.attached),
                self._backend_life,
                Driver(self._parts.backend, self._parts.budget) as driver,
                asyncio.TaskGroup() as running,
            ):
                self._driver, self._running = driver, running
                self.threads = CallThreads()
                # Runs that were started by one function, without an await in between, begin in several turns, too.
                loop = running_loop()
                self._calls, self._runs = Starts(loop), Starts(loop)
                if not opened.done():
                    opened.set_result(None)
                try:
                    await self._closing.wait()
                finally:
                    self._running = None
                    try:
                        with anyio.CancelScope(shield=True):
                            await self._stop_everything()
                            await self._parts.memory.close()
                    finally:
                        for values in tuple(self._kept.values()):
                            values.close()
                        self.threads.close()
        except BaseException as error:
            if opened.done():
                raise
            opened.set_exception(error)

    # -- what it is asked

    @property
    def is_open(self) -> bool:
        """True between opening and closing."""
        return self._running is not None

    @property
    def works(self) -> bool:
        """True while it is open and the backend is not broken."""
        return self._running is not None and self._driver is not None and not self._driver.broken

    @property
    def running(self) -> int:
        """The number of executions that run."""
        return len(self._executions)

    def check_open(self) -> tuple[Driver, asyncio.TaskGroup]:
        """Return the driver and the task group of the executions.

        Raises
        ------
        EngineClosedError
            If the engine is not open.
        UsageError
            In another event loop than that in which it was opened.
        """
        if self._running is None or self._driver is None:
            raise EngineClosedError(
                "the engine is not open: use it inside 'async with Engine(...) as engine:'"
            )
        if not is_running(self._loop):
            raise UsageError(
                "this engine belongs to the event loop in which it was opened, which is not running here: open an "
                "engine here, or hand the call over with asyncio.run_coroutine_threadsafe"
            )
        return self._driver, self._running

    # -- executions

    async def turn(self) -> None:
        """Wait until another call may start an execution: of many at once, a few in each turn of the event loop."""
        self.check_open()
        await self._calls.turn()

    def begin(self, execution: Execution) -> None:
        """Run an execution, in a task of its own."""
        driver, running = self.check_open()
        self._executions.add(execution)
        self._runs.begin(lambda: running.create_task(self._run(execution, driver)))

    async def _run(self, execution: Execution, driver: Driver) -> None:
        try:
            await execution.run(driver)
            if (values := execution.values) is not None:
                self._kept[execution.name] = values
        finally:
            self._executions.discard(execution)
            # Not kept: one that nobody holds any more has told its failure, and is gone with it.
            if execution.failed:
                self._failed.add(execution)

    async def _stop_everything(self) -> None:
        # All are cancelled first, so that they stop at the same time.
        executions = tuple(self._executions)
        for execution in executions:
            execution.cancel()
        cancellation: asyncio.CancelledError | None = None
        for execution in executions:
            try:
                await execution.stopped()
            except asyncio.CancelledError as error:
                cancellation = cancellation or error
        for execution in tuple(self._failed):
            execution.report_unawaited()
        if cancellation is not None:
            raise cancellation
