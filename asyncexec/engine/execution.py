"""A running plan: awaitable, cancellable, observable."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType, WeakKeyDictionary, ref

from asyncexec.engine.own_task import is_being_cancelled, is_running, outlast, running_loop
from asyncexec.engine.run_steps import RunSteps, RunStoppedError
from asyncexec.errors import ExecutionError, UsageError
from asyncexec.events.records import PlanCancelled, PlanFailed, PlanSucceeded
from asyncexec.scheduler.set_once import SetOnce

if TYPE_CHECKING:
    from types import TracebackType

    from asyncexec.cluster_memory.handle import ClusterMemory
    from asyncexec.engine.call_threads import CallThreads
    from asyncexec.engine.engine_parts import EngineParts
    from asyncexec.engine.result import Result
    from asyncexec.engine.stage_values import StageValues
    from asyncexec.events.fanout import Fanout
    from asyncexec.events.records import AnyEvent
    from asyncexec.plan.plan import Plan
    from asyncexec.scheduler.driver import Driver
    from asyncexec.scheduler.outlet import Outlet
    from asyncexec.scheduler.result_store import ResultStore
    from asyncexec.scheduler.run_policies import RunPolicies

logger = logging.getLogger("asyncexec")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionProgress:
    """The progress of an execution, in tasks; ``tasks`` grows where other stages say how many a stage has."""

    tasks: int
    completed: int
    running: int

    @property
    def fraction(self) -> float:
        """The completed share of all tasks, 0.0 to 1.0."""
        return self.completed / self.tasks if self.tasks else 1.0


class Execution(Coroutine[Any, Any, "Result"]):
    """A running plan; made by :meth:`asyncexec.Engine.start`.

    Awaiting it returns the :class:`~asyncexec.Result` or raises the error that ended the run. It may be awaited more
    than once, and from several tasks. Cancelling a task that awaits it (a timeout, say) stops the work itself, and
    waits until it has stopped; where others await it too, shield it (``asyncio.shield(execution)``).

    >>> import asyncio
    >>> async with ax.Engine() as engine:
    ...     execution = engine.start(ax.Plan.map(asyncio.sleep, [3600] * 4))
    ...     execution.cancel()
    ...     await asyncio.gather(execution, return_exceptions=True)
    [CancelledError('')]
    >>> execution
    <Execution sleep-1: cancelled, 0 of 4 tasks>
    >>> execution.progress.tasks
    4

    It can be given to whatever takes a coroutine: ``asyncio.create_task``, ``TaskGroup.create_task``, ``gather``,
    ``wait_for``, ``as_completed``. What takes futures and refuses coroutines, as ``asyncio.wait`` does, takes
    :meth:`as_future`:

    >>> async with ax.Engine() as engine:
    ...     running = [engine.start(ax.Plan.map(abs, [n])) for n in (-1, -2)]
    ...     done, _ = await asyncio.wait([execution.as_future() for execution in running])
    >>> sorted(future.result().value for future in done)
    [[1], [2]]

    Attributes
    ----------
    name : str
        The plan's name and the run's number; before the plan is made, ``run-`` and the number.
    """

    def __init__(
        self,
        parts: EngineParts,
        *,
        number: int,
        plan: Plan | Callable[[], Plan],
        policies: RunPolicies,
        fanout: Fanout,
        threads: CallThreads,
        outlet: Outlet | None = None,
    ) -> None:
        self.name = f"run-{number}"
        self._number = number
        self._plan: Plan | None = None
        self._last_progress: ExecutionProgress | None = None
        self._loop = threads.loop
        self._steps: RunSteps | None = RunSteps(
            parts,
            number=number,
            plan=plan,
            planned=self._planned,
            policies=policies,
            fanout=fanout,
            threads=threads,
            outlet=outlet,
        )
        self.run_identity = self._steps.identity
        self._memory = self._steps.memory
        self._value_store: ResultStore | None = None
        self._ended = SetOnce()
        self._awaited = False
        self._waits: WeakKeyDictionary[asyncio.Task[Any], Coroutine[Any, Any, Result]] | None = None
        # Weak, as it refers to this: they would keep each other, and what has been computed.
        self._future: ReferenceType[asyncio.Task[Result]] | None = None
        self._result: Result | None = None
        self._error: BaseException | None = None
        self._traceback: TracebackType | None = None

    # -- what users call

    def __await__(self) -> Generator[Any, Any, Result]:
        return self._wait().__await__()

    def cancel(self) -> None:
        """Stop the work; awaiting the execution raises ``CancelledError`` once everything has stopped.

        It may be called from any thread, such as that of a signal, a timer or a window.
        """
        if is_running(self._loop):
            self._cancel_here()
            return
        # A loop that is closed has ended the run.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._cancel_here)

    def _cancel_here(self) -> None:
        if self._steps is not None:
            self._steps.cancel()

    def as_future(self) -> asyncio.Future[Result]:
        """Return a future of the result for ``asyncio.wait`` and callbacks; the same one while it is held.

        Cancelling it stops the work, and it is done when that has stopped.

        >>> import asyncio
        >>> async with ax.Engine() as engine:
        ...     execution = engine.start(ax.Plan.map(abs, [-3]))
        ...     done, _ = await asyncio.wait([execution.as_future()])
        >>> done == {execution.as_future()}, execution.as_future().result().value
        (True, [3])

        Raises
        ------
        UsageError
            Outside of the event loop in which the engine was opened.
        """
        future = None if self._future is None else self._future()
        if future is None:
            if not is_running(self._loop):
                raise UsageError(
                    f"{self.name} belongs to another event loop, the one in which its engine was opened: ask for its "
                    f"future there"
                )
            future = self._loop.create_task(self)
            self._future = ref(future)
        return future

    @property
    def plan(self) -> Plan:
        """The plan that runs.

        Raises
        ------
        UsageError
            If it is still being made, of an array or a workflow.
        """
        if self._plan is None:
            raise UsageError(
                f"the plan of {self.name} is still being made, in a thread: await the execution first, or start its "
                f"to_plan()"
            )
        return self._plan

    @property
    def done(self) -> bool:
        """True once the run has ended, with success or without."""
        return self._ended.is_set()

    @property
    def failed(self) -> bool:
        """True once the run has ended with an error."""
        return self._error is not None

    @property
    def values(self) -> StageValues | None:
        """The values of the stages, once the run has succeeded."""
        return None if self._result is None else self._result.values

    @property
    def cluster_memory(self) -> ClusterMemory:
        """The memory that the tasks of this run share; it goes with the run, unless the engine's runs share one."""
        return self._memory.handle(str(self.plan.context.get("namespace") or ""))

    @property
    def progress(self) -> ExecutionProgress:
        """The progress so far; after the end, that at the end."""
        if self._steps is None or self._steps.handle is None:
            tasks = 0 if self._plan is None else self._plan.tasks
            return self._last_progress or ExecutionProgress(tasks=tasks, completed=0, running=0)
        run = self._steps.handle.run
        tasks = sum(stage.tasks for stage in run.stages)
        return ExecutionProgress(tasks=tasks, completed=tasks - run.left, running=run.running)

    def __repr__(self) -> str:
        progress = self.progress
        state = "running" if self._plan is not None else "planning"
        if self.done:
            state = (
                "succeeded"
                if self._result is not None
                else "cancelled"
                if self._error is None
                else "failed"
            )
        return f"<Execution {self.name}: {state}, {progress.completed} of {progress.tasks} tasks>"

    # -- what makes it a coroutine, for `create_task`: one for each task that runs it

    def send(self, value: Any, /) -> Any:
        """Go on waiting in the current task, as of a coroutine."""
        return self._step(lambda waiting: waiting.send(value))

    def throw(self, *error: Any) -> Any:
        """Raise an error where the current task waits, as of a coroutine; a cancellation stops the work."""
        if self._waits is None or asyncio.current_task() not in self._waits:
            # A coroutine that has not begun would end at once, but the work of this one has.
            self.send(None)
        return self._step(lambda waiting: waiting.throw(*error))

    def close(self) -> None:
        """Stop the work, as nobody is going to wait for it; as of a coroutine."""
        self.cancel()

    def _step(self, step: Callable[[Coroutine[Any, Any, Result]], Any]) -> Any:
        task = asyncio.current_task()
        if task is None:
            raise UsageError("an execution is awaited in a task of an event loop")
        if self._waits is None:
            self._waits = WeakKeyDictionary()
        waiting = self._waits.get(task)
        if waiting is None:
            waiting = self._waits[task] = self._wait()
        try:
            return step(waiting)
        except BaseException:
            del self._waits[task]
            raise

    # -- what the engine calls

    @property
    def value_store(self) -> ResultStore:
        """The store of the values that are handed over as they come."""
        store = self._value_store if self._steps is None else self._steps.value_store
        if store is None:
            raise RunStoppedError
        return store

    async def run(self, driver: Driver) -> None:
        """Run to the end; raises nothing but the cancellation of the engine itself, after that."""
        steps = self._steps
        if steps is None:
            return
        try:
            self._result = await steps.run(driver)
        except RunStoppedError:
            pass
        except BaseException as error:  # noqa: BLE001 - it is raised where the execution is awaited
            self._caught(steps, error)
        try:
            value = None if self._result is None else self._result.value
            await steps.end(self._last_event(), value, self._error)
        except BaseException as error:  # noqa: BLE001 - as above
            self._caught(steps, error)
        finally:
            self._last_progress = self.progress
            self._value_store, self._steps = steps.value_store, None
            steps.release()
            self._ended.set()
        if steps.interruption is not None:
            raise steps.interruption

    def report_unawaited(self) -> None:
        """Log a failure that nobody awaited."""
        if self._error is not None and not self._awaited:
            self._awaited = True
            logger.error(
                "execution %s failed and nobody awaited it", self.name, exc_info=self._error
            )

    def __del__(self) -> None:
        if getattr(self, "_error", None) is not None:
            self.report_unawaited()

    async def stopped(self) -> None:
        """Cancel, and wait until everything of the run has stopped, however often this is cancelled meanwhile."""
        self.cancel()
        if (cancellation := await outlast(self._ended)) is not None:
            raise cancellation

    # -- inside

    async def _wait(self) -> Result:
        self._awaited = True
        if not is_running(self._loop):
            running_loop()
            raise UsageError(
                f"{self.name} belongs to another event loop, the one in which its engine was opened: await it there"
            )
        try:
            await self._ended.wait()
        except GeneratorExit:
            self.cancel()
            raise
        except BaseException:
            # The caller is being cancelled, and must not return while its work still runs.
            self.cancel()
            await outlast(self._ended)
            raise
        if self._result is not None:
            return self._result
        if self._error is None:
            raise asyncio.CancelledError
        try:
            # Without the frames of those who awaited it before.
            raise self._error.with_traceback(self._traceback)
        finally:
            del self  # The traceback of the error holds this frame.

    def _planned(self, plan: Plan) -> str:
        """Take in the plan, as it has been made; return the name of the run."""
        self._plan = plan
        self.name = f"{plan.name}-{self._number}"
        return self.name

    def _caught(self, steps: RunSteps, error: BaseException) -> None:
        """Take down a cancellation of the task that runs here, or the run's first error."""
        if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
            steps.interruption = steps.interruption or error
        elif self._error is None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if not isinstance(error, Exception):
            cause, error = (
                error,
                ExecutionError(f"{self.name} ended with {type(error).__name__}: {error}"),
            )
            error.__cause__ = cause
        self._error = error
        self._traceback = error.__traceback__ = outside_of_engine(error.__traceback__)

    def _last_event(self) -> AnyEvent:
        at, plan = time.time(), self.name if self._plan is None else self._plan.name
        if self._result is not None:
            return PlanSucceeded(execution=self.name, at=at, plan=plan)
        if self._error is not None:
            return PlanFailed(execution=self.name, at=at, plan=plan, error=str(self._error))
        return PlanCancelled(execution=self.name, at=at, plan=plan)


def outside_of_engine(traceback: TracebackType | None) -> TracebackType | None:
    """Return the part of a traceback that begins outside of this folder: frames of the engine hold the run."""
    while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(_FOLDER):
        traceback = traceback.tb_next
    return traceback


_FOLDER = __file__.rpartition("/")[0]
