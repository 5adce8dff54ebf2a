"""A running plan: awaitable, cancellable, observable."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread

from asyncexec.cluster_memory.inside import ENTRY
from asyncexec.engine.preparation import Prepared, prepare
from asyncexec.engine.result import Result
from asyncexec.engine.run_scope import RunIdentity, callers_context, scope_of
from asyncexec.engine.stage_values import StageValues
from asyncexec.engine.started import plan_started
from asyncexec.engine.worker_logs import WorkerLogs, log_settings
from asyncexec.errors import CorruptChunkError, ValueLostError
from asyncexec.events.fanout import Fanout
from asyncexec.events.records import PlanCancelled, PlanFailed, PlanSucceeded
from asyncexec.plan.locality import Locality
from asyncexec.plan.workspace import OpeningStoppedError
from asyncexec.scheduler.dispatch import RUN_BITS
from asyncexec.scheduler.driver import Driver
from asyncexec.scheduler.run import Run
from asyncexec.scheduler.run_handle import RunHandle
from asyncexec.worker.initializer import WorkerInitializer

if TYPE_CHECKING:
    from asyncexec.backends.contract import Backend
    from asyncexec.cluster_memory.handle import ClusterMemory
    from asyncexec.engine.run_memory import EngineMemory
    from asyncexec.engine.run_scope import ScopeEntry
    from asyncexec.events.records import AnyEvent
    from asyncexec.plan.plan import Plan
    from asyncexec.scheduler.admission import AdmissionBudget
    from asyncexec.scheduler.outlet import Outlet
    from asyncexec.scheduler.result_store import ResultStore
    from asyncexec.scheduler.run_policies import RunPolicies
    from asyncexec.scheduler.run_state import RunState
    from asyncexec.straggler.duration_history import DurationHistory

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


class _StoppedError(Exception):
    """The execution was asked to stop."""


class Execution:
    """A running plan; made by :meth:`asyncexec.Engine.start`.

    Awaiting it returns the :class:`~asyncexec.Result` or raises the error that ended the run. Cancelling the task that
    awaits it (a timeout, say) stops the work itself, and waits until it has stopped.

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
    """

    def __init__(
        self,
        plan: Plan,
        *,
        number: int,
        backend: Backend,
        budget: AdmissionBudget,
        policies: RunPolicies,
        fanout: Fanout,
        history: DurationHistory,
        scope_entries: Mapping[str, ScopeEntry],
        memory: EngineMemory,
        outlet: Outlet | None = None,
    ) -> None:
        self.plan = plan
        self.name = f"{plan.name}-{number}"
        self.run_identity = RunIdentity()
        self._number = number
        self._backend = backend
        self._budget = budget
        self._policies = policies
        self._fanout = fanout
        self._history = history
        self._memory = memory.of_run(self.run_identity.id, policies)
        self._scope_entries = {**scope_entries, ENTRY: self._memory.address}
        self._context = callers_context()
        far = backend.capabilities.locality is not Locality.SAME_PROCESS
        self._logs = (
            WorkerLogs(plan.name, self.run_identity.name)
            if far and policies.log_to_driver
            else None
        )
        self._ended = anyio.Event()
        self._cancelled = False
        self._awaited = False
        self._result: Result | None = None
        self._error: BaseException | None = None
        self._handle: RunHandle | None = None
        self._last_progress = ExecutionProgress(tasks=plan.tasks, completed=0, running=0)
        self._driver: Driver | None = None
        self._outlet = outlet
        self.value_store: ResultStore

    # -- what users call

    def __await__(self) -> Generator[Any, Any, Result]:
        return self._wait().__await__()

    def cancel(self) -> None:
        """Stop the work; awaiting the execution raises ``CancelledError`` once everything has stopped."""
        self._cancelled = True
        if self._outlet is not None:
            self._outlet.close()
        if self._handle is not None and self._driver is not None:
            self._driver.stop(self._handle)

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
        if self._handle is None:
            return self._last_progress
        run = self._handle.run
        tasks = sum(stage.tasks for stage in run.stages)
        return ExecutionProgress(tasks=tasks, completed=tasks - run.left, running=run.running)

    def __repr__(self) -> str:
        progress = self.progress
        state = "running"
        if self.done:
            state = (
                "succeeded"
                if self._result is not None
                else "cancelled"
                if self._error is None
                else "failed"
            )
        return f"<Execution {self.name}: {state}, {progress.completed} of {progress.tasks} tasks>"

    # -- what the engine calls

    async def run(self, driver: Driver) -> None:
        """Run to the end; raises nothing but the cancellation of the engine itself."""
        start = time.perf_counter()
        try:
            (value, values), handle = await self._run(driver)
            seconds = time.perf_counter() - start
            self._result = self._summarize(value, values, handle, seconds)
        except (_StoppedError, OpeningStoppedError):
            pass
        except Exception as error:  # noqa: BLE001 - it is raised where the execution is awaited
            self._error = error
        finally:
            self._last_progress, self._handle = self.progress, None
            self._send(self._last_event())
            if self._logs is not None:
                self._logs.close()
            # Files of observers are closed before the caller goes on, who may read them.
            try:
                value = None if self._result is None else self._result.value
                await self._fanout.finish(self.name, value, self._error)
                await self._memory.close()
            finally:
                self._ended.set()

    def report_unawaited(self) -> None:
        """Log a failure that nobody awaited."""
        if self._error is not None and not self._awaited:
            logger.error(
                "execution %s failed and nobody awaited it", self.name, exc_info=self._error
            )

    async def stopped(self) -> None:
        """Cancel, and wait until everything of the run has stopped."""
        self.cancel()
        await self._ended.wait()

    # -- inside

    async def _wait(self) -> Result:
        self._awaited = True
        try:
            await self._ended.wait()
        except BaseException:
            # Shielded: the caller is being cancelled, and must not return while its work still runs.
            with anyio.CancelScope(shield=True):
                await self.stopped()
            raise
        if self._result is not None:
            return self._result
        if self._error is not None:
            raise self._error
        raise anyio.get_cancelled_exc_class()

    async def _run(self, driver: Driver) -> tuple[tuple[Any, StageValues], RunHandle]:
        if self._fanout:
            self._send(await self._first_event())
        # In a thread, as it opens storage and pickles.
        prepared = await to_thread.run_sync(self._prepare)
        try:
            try:
                handle = await self._drive(driver, prepared.state)
            finally:
                await self._hand_over_rest()
            collected = await self._collect(driver, prepared, handle)
        finally:
            if not prepared.closed:
                with anyio.CancelScope(shield=True):
                    await to_thread.run_sync(lambda: prepared.close(succeeded=False))
        return collected, handle

    async def _collect(
        self, driver: Driver, prepared: Prepared, handle: RunHandle
    ) -> tuple[Any, StageValues]:
        """Return what the run returns; values and chunks that turn out to be lost or damaged are made again first."""
        while True:
            try:
                return await to_thread.run_sync(prepared.collect)
            except (ValueLostError, CorruptChunkError) as error:
                if not handle.run.recovery.reopen(error, anyio.current_time()):
                    raise
            driver.reopen(handle)
            await self._finish(driver, handle)

    def _prepare(self) -> Prepared:
        asked = self._policies.initializer
        scope = scope_of(
            self.plan,
            self.name,
            run=self.run_identity,
            executor=self._backend.capabilities.name,
            entries=self._scope_entries,
            logs=log_settings() if self._logs is not None else None,
            initializer=None
            if asked is None
            else WorkerInitializer(asked, self._policies.initargs),
        )
        return prepare(
            self.plan,
            self.name,
            backend=self._backend,
            policies=self._policies,
            history=self._history,
            value_account=self._budget.values,
            scope=scope,
            context=self._context,
            stop=self._stop_if_cancelled,
        )

    def _stop_if_cancelled(self) -> None:
        """Raise if the run has been cancelled; called in the thread that opens it."""
        if self._cancelled:
            raise OpeningStoppedError

    async def _hand_over_rest(self) -> None:
        """Wait until the values that are complete have been taken, where they are taken as they come."""
        if self._outlet is not None:
            self._outlet.end()
            await self._outlet.drained.wait()

    async def _drive(self, driver: Driver, state: RunState) -> RunHandle:
        run = Run(
            self.name,
            state,
            self._budget,
            self._backend.capabilities,
            ids=range(self._number << RUN_BITS, (self._number + 1) << RUN_BITS).__iter__(),
            epoch=time.time() - anyio.current_time(),
            watched=bool(self._fanout),
        )
        handle = self._handle = RunHandle(
            self._number, run, self._fanout, log=None if self._logs is None else self._logs.take
        )
        self._driver = driver
        if self._cancelled:
            raise _StoppedError
        if self._outlet is not None:
            self.value_store, self._outlet.wake = state.values, partial(driver.wake, handle)
            state.values.hand_over(self._outlet.position)
            run.sender.outlet = self._outlet
        driver.add(handle)
        await self._finish(driver, handle)
        return handle

    async def _finish(self, driver: Driver, handle: RunHandle) -> None:
        """Wait for the end of the run; raise if it did not succeed."""
        run = handle.run
        if run.growth.groups:
            await self._feed(driver, handle)
        else:
            await self._until_finished(driver, handle)
        if run.error is not None:
            raise run.error
        if run.incomplete:
            raise _StoppedError

    async def _until_finished(self, driver: Driver, handle: RunHandle) -> None:
        """Wait until the run has ended; where this is cancelled, stop it before."""
        try:
            await handle.finished.wait()
        except BaseException:
            driver.stop(handle)
            with anyio.CancelScope(shield=True):
                await handle.finished.wait()
            raise

    async def _feed(self, driver: Driver, handle: RunHandle) -> None:
        """Read items for growing stages until the run has ended."""
        async with anyio.create_task_group() as feeders:
            for group in handle.run.growth.groups:
                feeders.start_soon(driver.feed, handle, group)
            try:
                await self._until_finished(driver, handle)
            finally:
                feeders.cancel_scope.cancel()

    def _send(self, event: AnyEvent) -> None:
        if self._fanout:
            self._fanout.send((event,))

    async def _first_event(self) -> AnyEvent:
        make = partial(
            plan_started,
            self.plan,
            self.name,
            run=self.run_identity,
            executor=self._backend.capabilities.name,
            slots=self._backend.slots,
        )
        if not self._fanout.wants_plan_details:
            return make(details=False)
        return await to_thread.run_sync(partial(make, details=True))

    def _last_event(self) -> AnyEvent:
        at, plan = time.time(), self.plan.name
        if self._result is not None:
            return PlanSucceeded(execution=self.name, at=at, plan=plan)
        if self._error is not None:
            return PlanFailed(execution=self.name, at=at, plan=plan, error=str(self._error))
        return PlanCancelled(execution=self.name, at=at, plan=plan)

    def _summarize(
        self, value: Any, values: StageValues, handle: RunHandle, wall_seconds: float
    ) -> Result:
        return Result(
            value=value,
            values=values,
            plan=self.plan.name,
            execution=self.name,
            executor=self._backend.capabilities.name,
            stages=tuple(stage.figures for stage in handle.run.stages),
            abandoned=handle.run.abandoned,
            wall_seconds=wall_seconds,
            slow_workers=dict(handle.run.slow_workers.found),
        )
