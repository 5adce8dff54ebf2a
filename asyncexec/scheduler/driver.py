"""The driver: the part of the scheduler that awaits. It sends batches to the backend and passes reports to the runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Self

import anyio
from anyio.lowlevel import checkpoint

from asyncexec.backends.contract import AvoidingBackend, GivesReports, SaveLeavingBackend
from asyncexec.errors import BackendError
from asyncexec.plan.locality import Locality
from asyncexec.scheduler.admission import AdmissionBudget
from asyncexec.scheduler.batch_queue import BatchQueue
from asyncexec.scheduler.dispatch import Dispatch
from asyncexec.scheduler.item_reader import ItemReader
from asyncexec.scheduler.run_handle import RunHandle

if TYPE_CHECKING:
    from types import TracebackType

    from anyio.abc import TaskGroup

    from asyncexec.backends.contract import Backend, Report
    from asyncexec.scheduler.growth import GrowingStages
    from asyncexec.scheduler.late_stages import SizedStages

SLICE = 128
"""Reports handled before other tasks of the event loop may run: about 1 ms of work."""


class Driver:
    """Runs any number of runs on one backend, sharing its slots and the budget evenly.

    An async context manager; the backend must have been entered.
    """

    def __init__(self, backend: Backend, budget: AdmissionBudget) -> None:
        self._backend = backend
        self._queue = BatchQueue()
        self._dispatch = Dispatch(
            budget,
            slots=lambda: backend.slots,
            send=self._queue.put,
            withdraw=self._queue.withdraw,
            cancel=backend.cancel,
            size=self._start_sizing,
            avoid=backend.avoid if isinstance(backend, AvoidingBackend) else None,
            leave_saves=backend.leave_saves
            if isinstance(backend, SaveLeavingBackend)
            and backend.capabilities.locality is Locality.SAME_PROCESS
            else None,
        )
        self._rearm = anyio.Event()
        self._alarm = float("inf")
        self._tasks: TaskGroup = anyio.create_task_group()
        self._time: Callable[[], float] = anyio.current_time
        self._carrying = False

    async def __aenter__(self) -> Self:
        # The clock of anyio, without its search for the loop, and where no task runs, too.
        self._time = asyncio.get_running_loop().time
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._guarded, self._carry)
        self._tasks.start_soon(self._guarded, self._keep_time)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self._queue.close()
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(kind, error, traceback)

    # -- what the engine calls

    @property
    def broken(self) -> bool:
        """True once the backend has broken: every run fails from then on."""
        return self._dispatch.broken is not None

    def add(self, handle: RunHandle) -> None:
        """Begin a run; ``handle.finished`` is set at its end."""
        self._dispatch.add(handle, self._time())
        self._wake_in_time()

    def reopen(self, handle: RunHandle) -> None:
        """Go on with a run that was finished, and has tasks again."""
        self._dispatch.reopen(handle, self._time())
        self._wake_in_time()

    def stop(self, handle: RunHandle) -> None:
        """Stop a run; its ``finished`` is set when all its attempts have ended."""
        self._dispatch.stop(handle, self._time())
        self._wake_in_time()

    def wake(self, handle: RunHandle) -> None:
        """Go on with a run whose values were taken."""
        self._dispatch.wake(handle, self._time())
        self._wake_in_time()

    async def feed(self, handle: RunHandle, group: GrowingStages) -> None:
        """Read the items of growing stages as there is room, until there are no more or the run stops."""
        run = handle.run
        names = {"plan": run.plan.name, "stage": group.first.name}
        async with ItemReader(group.stream, **names) as reader:
            while group.open and not run.stopping:
                wanted = group.wanted(self._backend.slots)
                if wanted:
                    read = await reader.read(wanted)
                    self._dispatch.fed(handle, group, read, self._time())
                    self._wake_in_time()
                else:
                    group.more = anyio.Event()
                    await group.more.wait()

    # -- tasks

    async def _guarded(self, task: Callable[[], Awaitable[None]]) -> None:
        try:
            await task()
        except anyio.get_cancelled_exc_class():
            if (
                not self._tasks.cancel_scope.cancel_called
            ):  # The event loop ends with everything on it.
                self._break(BackendError(f"{self._backend!r}: its task was cancelled"))
            raise
        except BaseException as error:  # noqa: BLE001 - whatever a broken backend raises ends the runs, not the host
            self._break(error)

    async def _carry(self) -> None:
        stream = self._backend.map(self._queue)
        if isinstance(stream, GivesReports):
            # Reports that come on the event loop need no turn of it more: one task's end starts the next at once.
            stream.give_to(self._take_at_once)
        async for reports in stream:
            # What is given meanwhile must wait: reports are taken in the order in which they came.
            self._carrying = True
            for start in range(0, len(reports), SLICE):
                if start:
                    await checkpoint()
                self._take_in(reports[start : start + SLICE])
            self._carrying = False
            del reports  # or their values would be kept until the next ones come
        raise BackendError(f"{self._backend!r} ended its map while its input was still open")

    async def _keep_time(self) -> None:
        while True:
            self._rearm = anyio.Event()
            with anyio.CancelScope(deadline=self._alarm):
                await self._rearm.wait()
            now = self._time()
            if now >= self._alarm:
                self._dispatch.tick(now)
                self._alarm = self._dispatch.next_deadline(now)

    async def _size(self, handle: RunHandle, find: Callable[[], SizedStages]) -> None:
        sized: SizedStages | Exception
        try:
            sized = await handle.blocking(find)
        except Exception as error:  # noqa: BLE001 - it ends the run, not the host
            sized = error
        self._dispatch.sized(handle, sized, self._time())
        self._wake_in_time()

    # -- synchronous work

    def _start_sizing(self, handle: RunHandle, find: Callable[[], SizedStages]) -> None:
        self._tasks.start_soon(self._guarded, partial(self._size, handle, find))

    def _take_in(self, reports: Sequence[Report]) -> None:
        self._dispatch.take_in(reports, self._time())
        self._wake_in_time()

    def _take_at_once(self, reports: Sequence[Report]) -> bool:
        """Take in a few reports without a turn of the event loop; return False if they must come in their turn."""
        # Many at once go through the stream, where others on the loop get their turns in between.
        if self._carrying or len(reports) > SLICE or self.broken:
            return False
        try:
            self._take_in(reports)
        except BaseException as error:  # noqa: BLE001 - as where a task carries them
            self._break(error)
        return True

    def _wake_in_time(self) -> None:
        """Move the alarm forward if something is due earlier; it is never moved back, as an early tick does no harm."""
        deadline = self._dispatch.next_deadline(self._time())
        if deadline < self._alarm:
            self._alarm = deadline
            self._rearm.set()

    def _break(self, error: BaseException) -> None:
        broken = (
            error
            if isinstance(error, BackendError)
            else BackendError(f"{self._backend!r} failed: {error!r}")
        )
        if broken is not error:
            broken.__cause__ = error
        self._dispatch.fail(broken, self._time())
        self._wake_in_time()
