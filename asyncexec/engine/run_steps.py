"""The steps of a run: planning, opening, running, collecting, closing; whatever happens, each comes to its end.

Nothing here is interrupted half-way: where the task of a run is cancelled, the run stops, ends its work in order, and
the cancellation is raised after that. What blocks is called in a lane of threads (:mod:`~.run_calls`). Once a run has
been cancelled, each of these calls has ``GRACE_SECONDS`` to come back; then the lane is left to itself.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from asyncexec.cluster_memory.inside import ENTRY
from asyncexec.engine.call_threads import AbandonedCallError, CallThreads
from asyncexec.engine.driver_settings import driver_settings
from asyncexec.engine.own_task import outlast
from asyncexec.engine.preparation import Prepared, prepare
from asyncexec.engine.result import Result, result_of
from asyncexec.engine.run_calls import GRACE_SECONDS, RunCalls
from asyncexec.engine.run_scope import RunIdentity, callers_context, scope_of
from asyncexec.engine.started import plan_started
from asyncexec.engine.worker_logs import WorkerLogs, log_settings
from asyncexec.errors import CorruptChunkError, TaskFailedError, ValueLostError
from asyncexec.plan.locality import Locality
from asyncexec.plan.workspace import OpeningStoppedError
from asyncexec.scheduler.dispatch import RUN_BITS
from asyncexec.scheduler.driver import Driver
from asyncexec.scheduler.run import Run
from asyncexec.scheduler.run_handle import RunHandle, observer_failed
from asyncexec.worker.initializer import WorkerInitializer

if TYPE_CHECKING:
    from asyncexec.engine.engine_parts import EngineParts
    from asyncexec.engine.stage_values import StageValues
    from asyncexec.events.fanout import Fanout
    from asyncexec.events.records import AnyEvent
    from asyncexec.plan.plan import Plan
    from asyncexec.scheduler.outlet import Outlet
    from asyncexec.scheduler.result_store import ResultStore
    from asyncexec.scheduler.run_policies import RunPolicies

logger = logging.getLogger("asyncexec")


class RunStoppedError(Exception):
    """The run was cancelled, and has stopped."""


class RunSteps:
    """The steps of one run.

    Parameters
    ----------
    parts : EngineParts
    number : int
        Of the run, in its engine.
    plan : callable
        Returns the plan, which may take long; it is called in a thread.
    policies : RunPolicies
    fanout : Fanout
    threads : CallThreads
    outlet : Outlet, optional

    Attributes
    ----------
    identity : RunIdentity
    handle : RunHandle or None
        The run in the scheduler, from when it is opened.
    value_store : ResultStore or None
        Where an outlet takes the values from.
    """

    def __init__(
        self,
        parts: EngineParts,
        *,
        number: int,
        plan: Plan | Callable[[], Plan],
        planned: Callable[[Plan], str],
        policies: RunPolicies,
        fanout: Fanout,
        threads: CallThreads,
        outlet: Outlet | None = None,
    ) -> None:
        self.identity = RunIdentity()
        self.handle: RunHandle | None = None
        self.value_store: ResultStore | None = None
        self.memory = parts.memory.of_run(self.identity.id, policies)
        self.interruption: asyncio.CancelledError | None = None
        self._parts = parts
        self._backend = parts.backend
        self._capabilities = parts.backend.capabilities
        self._here = self._capabilities.locality is Locality.SAME_PROCESS
        self._number = number
        self._make_plan = plan
        self._planned = planned
        self._policies = policies
        self._fanout = fanout
        self._calls = RunCalls(threads, str(number))
        self._outlet = outlet
        self._context = callers_context()
        self._cancelled = False
        self._ending: anyio.CancelScope | None = None
        self._driver: Driver | None = None
        self._prepared: Prepared | None = None
        self._late_saves: Sequence[threading.Event] = ()
        self._logs: WorkerLogs | None = None
        self._name = ""
        self.plan: Plan
        if not callable(plan):
            self._take(plan)

    def cancel(self) -> None:
        """Stop the run; :meth:`run` raises ``RunStoppedError`` once everything has stopped."""
        if self._cancelled:
            return
        self._cancelled = True
        if self._outlet is not None:
            self._outlet.close()
        if self.handle is not None and self._driver is not None:
            self._driver.stop(self.handle)
        self._hurry()

    async def run(self, driver: Driver) -> Result:
        """Return the result of the run, or raise the error that ended it.

        Raises
        ------
        RunStoppedError
            If the run was cancelled.
        """
        start = time.perf_counter()
        self._driver = driver
        try:
            if self._fanout:
                await self._announce()
            handle = await self._open()
            driver.add(handle)
            try:
                await self._finish(driver, handle)
            finally:
                await self._hand_over_rest()
            value, values = await self._collect(driver, handle)
        except BaseException as error:
            await self._close(error)
            if isinstance(error, AbandonedCallError | OpeningStoppedError):
                raise RunStoppedError from None
            raise
        await self._close(None)
        return result_of(
            handle.run,
            value=value,
            values=values,
            executor=self._capabilities.name,
            wall_seconds=time.perf_counter() - start,
            notes=() if self._prepared is None else self._prepared.notes,
        )

    async def end(self, event: AnyEvent, value: Any, error: BaseException | None) -> None:
        """Send the last event, wait for observers, and delete the memory that the tasks shared."""
        self.send(event)
        if self._logs is not None:
            self._logs.close()
        with anyio.CancelScope(shield=True) as self._ending:
            if self._cancelled:
                self._end_soon()
            # Files of observers are closed before the caller goes on, who may read them.
            try:
                await self._fanout.finish(event.execution, value, error)
            finally:
                await self.memory.close()

    def release(self) -> None:
        """Let go of the run, which has ended, and of what it refers to; a call that is left to itself keeps it."""
        handle, self.handle = self.handle, None
        if self._calls.busy:
            return
        self._prepared = (
            None  # Its targets ask this whether to stop: the result would be kept in a circle.
        )
        if handle is not None:
            handle.run.release()

    def send(self, event: AnyEvent) -> None:
        """Send an event to the observers."""
        if self._fanout:
            self._fanout.send((event,))

    # -- waiting

    def _hurry(self) -> None:
        """Give up what is waited for if it does not come back in time, as the run has been cancelled."""
        self._end_soon()
        self._calls.hurry()

    def _end_soon(self) -> None:
        """Give what is waited for at the very end a little time, if it has begun."""
        if self._ending is not None:
            self._ending.deadline = asyncio.get_running_loop().time() + GRACE_SECONDS

    def _interrupted(self, error: asyncio.CancelledError) -> None:
        """Cancel the run, as its task was cancelled; that is raised at the end."""
        self.interruption = self.interruption or error
        self.cancel()

    # -- the steps

    def _plan(self) -> None:
        """Make the plan, in a thread, unless that is done."""
        if callable(make := self._make_plan):
            self._calls.doing = "its planning"
            plan = make()
            self._stop_if_cancelled()
            self._make_plan = plan
            self._take(plan)

    def _take(self, plan: Plan) -> None:
        self.plan = plan
        self._name = self._calls.name = self._planned(plan)
        if self._policies.log_to_driver and not self._here:
            self._logs = WorkerLogs(plan.name, self.identity.name)

    async def _announce(self) -> None:
        """Send the first event, before the plan is opened."""
        if callable(self._make_plan):
            await self._calls.wait_for("its planning", self._plan, self._interrupted)
        if self._cancelled:
            raise RunStoppedError
        self.send(await self._first_event())
        if self._fanout.failure is not None:
            raise observer_failed(self._name, self._fanout.failure)

    async def _first_event(self) -> AnyEvent:
        make = partial(
            plan_started,
            self.plan,
            self._name,
            run=self.identity,
            backend=self._backend,
            policies=self._policies,
        )
        if not self._fanout.wants_plan_details:
            return make(details=False)
        return await self._calls.wait_for(
            "the description of its plan", partial(make, details=True), self._interrupted
        )

    async def _open(self) -> RunHandle:
        await self._calls.wait_for("the opening of its storage", self._prepare, self._interrupted)
        prepared = self._prepared
        if self._cancelled or prepared is None:
            raise RunStoppedError
        run = Run(
            self._name,
            prepared.state,
            self._parts.budget,
            self._capabilities,
            ids=range(self._number << RUN_BITS, (self._number + 1) << RUN_BITS).__iter__(),
            epoch=time.time() - anyio.current_time(),
            watched=bool(self._fanout),
        )
        log, calls = None if self._logs is None else self._logs.take, self._calls
        self.handle = handle = RunHandle(self._number, run, self._fanout, log=log, calls=calls)
        if self._outlet is not None and self._driver is not None:
            self.value_store = prepared.state.values
            self._outlet.wake = partial(self._driver.wake, handle)
            run.hand_over_to(self._outlet)
        return handle

    def _prepare(self) -> None:
        """Open the run, in a thread; kept there too, so that it is closed where nobody waits any longer."""
        self._stop_if_cancelled()
        self._plan()
        self._calls.doing = "the opening of its storage"
        asked, here = self._policies.initializer, self._here
        entries = {**self._parts.scope_entries, ENTRY: self.memory.address}
        scope = scope_of(
            self.plan,
            self._name,
            run=self.identity,
            executor=self._capabilities.name,
            entries=entries,
            logs=log_settings() if self._logs is not None else None,
            settings=None if here else driver_settings(),
            initializer=None
            if asked is None
            else WorkerInitializer(asked, self._policies.initargs),
        )
        self._prepared = prepare(
            self.plan,
            self._name,
            backend=self._backend,
            policies=self._policies,
            history=self._parts.history,
            value_account=self._parts.budget.values,
            slots=self._parts.slots,
            intermediates=self._parts.intermediates,
            scope=scope,
            context=self._context,
            stop=self._stop_if_cancelled,
        )

    def _stop_if_cancelled(self) -> None:
        """Raise if the run has been cancelled; called in the thread that opens it."""
        if self._cancelled:
            raise OpeningStoppedError

    async def _finish(self, driver: Driver, handle: RunHandle) -> None:
        """Wait for the end of the run in the scheduler; raise if it did not succeed."""
        run = handle.run
        if run.growth.groups:
            await self._feed(driver, handle)
        else:
            await outlast(handle.finished, self._interrupted)
        if run.error is not None:
            raise run.error
        if run.incomplete:
            raise RunStoppedError

    async def _feed(self, driver: Driver, handle: RunHandle) -> None:
        """Read items for growing stages until the run has ended."""
        async with anyio.create_task_group() as feeders:
            for group in handle.run.growth.groups:
                feeders.start_soon(driver.feed, handle, group)
            await outlast(handle.finished, self._interrupted)
            feeders.cancel_scope.cancel()

    async def _hand_over_rest(self) -> None:
        """Wait until the values that are complete have been taken, where they are taken as they come."""
        if self._outlet is not None:
            self._outlet.end()
            await outlast(self._outlet.drained, self._interrupted)

    async def _collect(self, driver: Driver, handle: RunHandle) -> tuple[Any, StageValues]:
        """Return what the run returns; values and chunks that turn out to be lost or damaged are made again first."""
        while True:
            try:
                return await self._calls.wait_for(
                    "the collection of its result", self._collect_prepared, self._interrupted
                )
            except (ValueLostError, CorruptChunkError) as error:
                if not handle.run.recovery.reopen(error, anyio.current_time()):
                    raise
            driver.reopen(handle)
            await self._finish(driver, handle)

    async def _close(self, failure: BaseException | None) -> None:
        """Close the workspace, if that was not done with success; after a call that was given up, its thread does.

        After a ``failure`` of the run, what fails here too is logged: the first error says more.
        """
        if self.handle is not None:
            self._late_saves = self.handle.late_saves
        if self._calls.busy or (self._prepared is not None and not self._prepared.closed):
            if self._late_saves:
                self._hurry()
            try:
                await self._calls.wait_for(
                    "the closing of its storage",
                    partial(self._close_prepared, failure),
                    self._interrupted,
                )
            except AbandonedCallError:
                return
            except Exception as error:
                if failure is None:
                    raise
                logger.warning(
                    "execution %s has not succeeded, and not all that it had made could be removed: %s",
                    self._name,
                    error,
                )

    def _collect_prepared(self) -> tuple[Any, StageValues]:
        if self._prepared is None:
            raise RunStoppedError
        return self._prepared.collect()

    def _close_prepared(self, failure: BaseException | None = None) -> None:
        if isinstance(failure, TaskFailedError):
            from asyncexec.storage.places.requests import note_silence  # noqa: PLC0415 - only for what fails

            note_silence(failure)
        for saved in self._late_saves:  # What a late write puts there is removed after it.
            saved.wait()
        if self._prepared is not None:
            known = self._prepared.notes
            self._prepared.close(succeeded=False)
            if failure is not None:
                # What could not be undone is known now.
                for note in self._prepared.notes[len(known) :]:
                    failure.add_note(note)
