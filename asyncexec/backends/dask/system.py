"""A Dask cluster as a system that is called: one batch is one Dask task, on a worker that we choose.

We choose, because a task that is bound to one worker is not run again elsewhere when that worker dies: its death is the
loss of that one attempt, at once, also on clusters whose scheduler would try three more workers.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio

from asyncexec.backends.adapters.calls import CallContext
from asyncexec.backends.adapters.remote import RemoteCaller
from asyncexec.backends.contract import Batch, Capabilities
from asyncexec.backends.dask.background import Beside
from asyncexec.backends.dask.cluster import Access, open_access
from asyncexec.backends.dask.connection import Links
from asyncexec.backends.dask.options import DaskOptions
from asyncexec.backends.dask.remote_batch import DaskBatch
from asyncexec.backends.dask.scaling import Growth, Reminder
from asyncexec.backends.dask.shared_batch import SharedBatch
from asyncexec.backends.dask.worker_side import StartsFile, forget_topic, kill_worker
from asyncexec.backends.dask.workers import Census, Worker
from asyncexec.errors import BackendError
from asyncexec.events.outcome import Outcome
from asyncexec.worker.control import StopResult

LOOK_SECONDS = 0.25
RECOUNT_SECONDS = 5.0

APART_SECONDS = 1.0
"""How long a batch that is to run apart waits for a thread of another worker, while those it is to avoid may have one.

No backup is made of what is younger. So to wait as long costs little beside what the task has taken, and is enough
where tasks are shorter; where they are longer, nobody knows when another thread will be free.
"""


class DaskSystem:
    """A cluster.

    Parameters
    ----------
    options : DaskOptions
    capabilities : Capabilities
        Before it is open.
    """

    def __init__(self, options: DaskOptions, capabilities: Capabilities) -> None:
        self.on_change: Callable[[], None] = _nothing
        self.waiting: Callable[[], int] = int
        self._options = options
        self._before = self._capabilities = capabilities
        self._census = Census()
        self._access: Access | None = None
        self._links: Links | None = None
        self._beside = Beside()
        self._stale = anyio.Event()
        self._placed = self._unplaced = 0

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._capabilities

    @property
    def slots(self) -> int:
        """How many threads may have work now; at least 1, so that work comes and finds out."""
        return max(1, self._census.threads)

    def avoid(self, workers: Collection[str]) -> None:
        """Leave these workers idle, by their names, where others can do their work."""
        self._census.avoid(workers)
        self.on_change()

    async def open(self) -> None:
        """Have the cluster, and get to know its workers."""
        self._access = await open_access(self._options, executor=self._before.name)
        try:
            await self._enter(self._access)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.close()
            raise

    async def _enter(self, access: Access) -> None:
        client, topic = access.client, f"asyncexec-{uuid4().hex}"
        await self._beside.start()
        self._links = Links(
            client=client,
            name=self._before.name,
            topic=topic,
            starts=StartsFile(str(Path(access.directory) / "starts")),
            same_machine=self._options.own,
            tasks=self._beside.tasks,
            caller=RemoteCaller(),
            numbers=itertools.count(1),
            kill=self._kill if self._capabilities.kills else None,
        )
        client.subscribe_topic(topic, self._links.hear)
        client.subscribe_topic("all", self._notice)
        await self._count()
        if self._options.growth is not None and access.cluster is not None:
            self._beside.tasks.start_soon(self._grow, *self._options.growth)
        elif access.ours:
            self._beside.tasks.start_soon(self._replace, access)
        self._beside.tasks.start_soon(self._keep_count)

    def _told(self) -> Capabilities:
        """Return the capabilities with what only the workers tell."""
        census, before = self._census, self._before
        resources = census.resources() | self._options.resource_amounts
        if self._options.own:
            return replace(before, resources=resources)
        shared = self._the_access.client.scheduler.address.startswith("inproc://")
        return replace(
            before,
            resources=resources,
            worker_bytes=census.memory_bytes,
            shares_memory=shared,
            measures_memory=not shared
            and all(map(self._the_links.measures, census.workers.values())),
            isolated=not shared,
        )

    async def call(self, batch: Batch, context: CallContext, /) -> Sequence[Outcome]:
        """Run ``batch`` on a worker with a free thread, once there is one."""
        wanted = self._wanted(batch)
        worker = await self._place(wanted, batch.apart_from, context)
        self._placed += 1
        try:
            await self._run(batch, context, worker, wanted)
        finally:
            self._placed -= 1
            self._census.give_back(worker, wanted)
        return ()

    async def _run(
        self, batch: Batch, context: CallContext, worker: Worker, wanted: dict[str, float]
    ) -> None:
        links = self._the_links
        jobs = [job for job in batch.jobs if job.attempt in context.pending]
        batch = replace(batch, jobs=jobs)
        if worker.address.startswith("inproc://"):
            await SharedBatch(links, batch, context, worker).run(wanted)
        else:
            await DaskBatch(links, batch, context, worker).run(wanted)

    def _wanted(self, batch: Batch) -> dict[str, float]:
        """Return what Dask is to count of the batch's resources: those that some worker says it has."""
        workers = self._census.workers.values()
        known = {name for worker in workers for name in worker.resources}
        wanted = {name: n for name, n in batch.program.resources.items() if name in known}
        if wanted and not any(worker.has(wanted) for worker in workers):
            raise BackendError(
                f"executor {self._before.name!r}: a task of stage {batch.program.stage!r} wants {wanted}, which no "
                f"worker of the cluster has alone. Start workers with more (dask worker --resources), or ask for less"
            )
        return wanted

    async def _place(
        self, wanted: dict[str, float], apart_from: frozenset[str], context: CallContext
    ) -> Worker:
        """Wait for a worker with a free thread, and take it: one that is not in ``apart_from``, if it comes soon."""
        self._unplaced += 1
        try:
            with context.stopped_by(_Unplaced(context)):
                if apart_from:
                    with anyio.move_on_after(APART_SECONDS):
                        return await self._take(wanted, apart_from)
                return await self._take(wanted)
        finally:
            self._unplaced -= 1

    async def _take(
        self, wanted: dict[str, float], apart_from: frozenset[str] = frozenset()
    ) -> Worker:
        while (worker := self._census.take(wanted, apart_from)) is None:
            await self._wait_for_change()
        return worker

    async def _wait_for_change(self) -> None:
        """Wait until a worker comes or has a free thread, but not for ever for the first."""
        census, patience = self._census, self._options.patience
        if census.workers:
            await census.changed.wait()
            return
        with anyio.move_on_after(patience) as scope:
            while not census.workers:  # That they have been counted again brings none.
                await census.changed.wait()
        if scope.cancelled_caught:
            raise BackendError(
                f"executor {self._before.name!r}: the cluster has had no worker for {patience:g} s while work "
                f"waits. Start workers, or wait longer for them with the option patience (seconds)"
            )

    async def close(self) -> None:
        """Let go of the cluster, and end it if it is ours."""
        access = self._access
        if access is None:
            return
        try:
            await self._beside.end()
            if self._links is not None:
                await self._take_leave(access, self._links)
        finally:
            self._access = self._links = None
            await access.close()

    async def _take_leave(self, access: Access, links: Links) -> None:
        """Have a scheduler that lives on forget us."""
        links.starts.close()
        with suppress(Exception), anyio.move_on_after(5):
            access.client.unsubscribe_topic("all")
            access.client.unsubscribe_topic(links.topic)
            if not self._options.own:
                await access.client.run_on_scheduler(forget_topic, topic=links.topic)
                if self._options.growth is not None:
                    await self._scale(self._options.growth[0])

    # Who is there.

    def _notice(self, event: tuple[float, Any]) -> None:
        """Hear what the scheduler tells everybody."""
        said = event[1]
        if not isinstance(said, dict):
            return
        if said.get("action") == "remove-worker":
            self._census.lose(said["worker"])
            self._stale.set()  # A count that is on its way may still have it.
        elif said.get("action") == "add-worker":
            self._stale.set()

    async def _keep_count(self) -> None:
        """Count when something is said to have changed, and now and then, as the first that is said may be missed."""
        client = self._the_access.client
        while True:
            with anyio.move_on_after(RECOUNT_SECONDS):
                await self._stale.wait()
            self._stale = anyio.Event()
            if client.status == "running":
                with suppress(OSError):
                    await self._count()
                self.on_change()

    async def _count(self) -> None:
        told = await self._the_access.client.scheduler.identity(n_workers=-1)
        self._census.learn(told["workers"])
        self._capabilities = self._told()

    async def _kill(self, worker: Worker) -> None:
        """End a worker's process; its nanny starts another."""
        if worker.gone.is_set():
            return
        self._census.condemn(worker)
        with suppress(Exception):  # Gone meanwhile.
            await self._the_access.client.run(
                kill_worker, workers=[worker.address], nanny=True, on_error="ignore"
            )

    # How many there are to be.

    async def _grow(self, least: int, most: int) -> None:
        there = len(self._census.workers)
        if there < least:
            await self._scale(least)
        growth = Growth(least=least, most=most, asked=max(least, there))
        while True:
            await anyio.sleep(LOOK_SECONDS)
            there = len(self._census.workers)
            asked = growth.look(
                time.monotonic(),
                waiting=self.waiting() + self._unplaced,
                running=self._placed,
                workers=there,
            )
            if asked is not None and not await self._scale(asked):
                growth.asked = there  # To be asked again.

    async def _replace(self, access: Access) -> None:
        """Have as many workers as there were at first, or as the user has asked the cluster for since."""
        reminder = Reminder()
        while True:
            await anyio.sleep(LOOK_SECONDS)
            waiting = self.waiting() + self._unplaced
            planned = access.planned if waiting else 0
            if reminder.due(time.monotonic(), missing=len(self._census.workers) < planned):
                await self._scale(planned)

    async def _scale(self, workers: int) -> bool:
        """Ask the cluster for so many workers; False if it cannot be asked now."""
        cluster = self._the_access.cluster
        try:
            if not getattr(cluster, "asynchronous", False):
                await asyncio.to_thread(cluster.scale, workers)
            elif inspect.isawaitable(asked := cluster.scale(workers)):
                await asked
        except Exception:  # noqa: BLE001 - a cloud may refuse for a while; work goes on with the workers there are
            return False
        return True

    @property
    def _the_access(self) -> Access:
        if self._access is None:
            raise BackendError(f"executor {self._before.name!r} is not open")
        return self._access

    @property
    def _the_links(self) -> Links:
        if self._links is None:
            raise BackendError(f"executor {self._before.name!r} is not open")
        return self._links


def _nothing() -> None:
    pass


class _Unplaced:
    """A batch that waits for a worker."""

    def __init__(self, context: CallContext) -> None:
        self._context = context

    def stop(self, attempts: frozenset[int]) -> StopResult:
        if attempts >= self._context.pending:
            self._context.interrupt([])  # Nothing is left to wait for.
        return StopResult(sorted(attempts), [])
