"""A Dask cluster as a call system: one batch is one Dask task, bound to a worker that is chosen here.

Dask does not run a task elsewhere that is bound to one worker: when that worker dies, the attempt is lost at once, also
on clusters whose scheduler would try three more workers.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio

from asyncexec.backends.adapters.call_context import CallContext
from asyncexec.backends.adapters.remote import RemoteCaller
from asyncexec.backends.adapters.system_thread import future_of
from asyncexec.backends.contract import Batch, Capabilities
from asyncexec.backends.dask.background import BackgroundTasks
from asyncexec.backends.dask.cluster import ClusterHandle, open_cluster
from asyncexec.backends.dask.connection import ClusterConnection
from asyncexec.backends.dask.memory import DaskMemoryHost
from asyncexec.backends.dask.options import DaskOptions
from asyncexec.backends.dask.remote_batch import DaskBatch
from asyncexec.backends.dask.scaling import AdaptiveScaling, ScaleRetry
from asyncexec.backends.dask.shared_batch import SharedBatch
from asyncexec.backends.dask.values import DaskValues
from asyncexec.backends.dask.worker_side import StartsFile, forget_topic, kill_worker
from asyncexec.backends.dask.workers import DaskWorker, WorkerTable
from asyncexec.cluster_memory.settings import MemorySettings
from asyncexec.errors import BackendError
from asyncexec.events.outcome import Outcome
from asyncexec.plan.locality import Locality
from asyncexec.worker.control import StopResult

CHECK_SECONDS = 0.25
REFRESH_SECONDS = 5.0

MEMORY_TOPIC = "worker-restart-memory"
"""Dask's topic of the events by which nannies say that they end a worker because of its memory."""

APART_SECONDS = 1.0
"""The seconds that a batch with ``apart_from`` waits for a thread of a worker that is not in it.

Only tasks older than this get a backup, so the wait costs little beside what the task has taken. It is enough where
tasks are shorter than this; where they are longer, nothing tells when another thread will be free.
"""


class DaskSystem:
    """A Dask cluster.

    Parameters
    ----------
    options : DaskOptions
    capabilities : Capabilities
        Those that are known before the cluster is open; the attribute of this name is complete once it is.
    """

    def __init__(self, options: DaskOptions, capabilities: Capabilities) -> None:
        self.on_change: Callable[[], None] = _nothing
        self.waiting: Callable[[], int] = int
        self._options = options
        self._before = self.capabilities = capabilities
        self._table = WorkerTable()
        self._handle: ClusterHandle | None = None
        self._connection: ClusterConnection | None = None
        self._background = BackgroundTasks()
        self._stale = anyio.Event()
        self._placed = self._unplaced = 0
        self.values: DaskValues | None = None
        """The store of large values, while the cluster is open."""

    @property
    def slots(self) -> int:
        """The number of threads that can have work now.

        At least 1: with 0 no work would arrive, and a cluster without workers would never be found out.
        """
        return max(1, self._table.threads)

    def avoid(self, workers: Collection[str]) -> None:
        """Leave the workers of these names idle, if others can do their work."""
        self._table.avoid(workers)
        self.on_change()

    def memory_host(self, settings: MemorySettings) -> DaskMemoryHost | None:
        """Return the place of cluster memories, with the nanny of a worker; None where this machine's is as good."""
        if self.capabilities.locality.on_this_host:
            return None
        worker = next(iter(self._table.workers.values()), None)
        holder = None if worker is None else worker.nanny or worker.address
        return DaskMemoryHost(self._open_handle.client, holder, settings.quota_bytes)

    async def open(self) -> None:
        """Open the cluster, and fetch its workers."""
        self._handle = await open_cluster(self._options, executor=self._before.name)
        try:
            await self._enter(self._handle)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.close()
            raise

    async def _enter(self, handle: ClusterHandle) -> None:
        client, topic = handle.client, f"asyncexec-{uuid4().hex}"
        await self._background.start()
        self._connection = ClusterConnection(
            client=client,
            name=self._before.name,
            topic=topic,
            starts=StartsFile(str(Path(handle.directory) / "starts")),
            same_machine=self._options.own,
            tasks=self._background.tasks,
            caller=RemoteCaller(),
            call_numbers=itertools.count(1),
            kill=self._kill if self._before.kills else None,
        )
        client.subscribe_topic(topic, self._connection.on_event)
        client.subscribe_topic(MEMORY_TOPIC, self._on_memory_event)
        client.subscribe_topic("all", self._on_scheduler_event)
        await self._refresh_workers()
        if self.capabilities.locality is not Locality.SAME_PROCESS:
            self.values = DaskValues(client, f"{topic}-value", own=self._options.own)
        if self._options.scale_range is not None and handle.cluster is not None:
            self._background.tasks.start_soon(self._scale_adaptively, *self._options.scale_range)
        elif handle.ours:
            self._background.tasks.start_soon(self._replace_lost, handle)
        self._background.tasks.start_soon(self._keep_refreshing)

    def _known_capabilities(self) -> Capabilities:
        """Return the capabilities, completed by those of the workers."""
        table, before = self._table, self._before
        resources = table.resources() | self._options.resource_amounts
        if self._options.own:
            return replace(before, resources=resources)
        shared = self._open_handle.client.scheduler.address.startswith("inproc://")
        return replace(
            before,
            resources=resources,
            worker_bytes=table.memory_bytes,
            locality=Locality.SAME_PROCESS if shared else before.locality,
            measures_memory=not shared
            and all(map(self._open_connection.measures, table.workers.values())),
            isolated=not shared,
        )

    async def call(self, batch: Batch, context: CallContext, /) -> Sequence[Outcome]:
        """Run ``batch`` on a worker with a free thread, once there is one."""
        wanted = self._wanted(batch)
        worker = await self._acquire_worker(wanted, batch.apart_from, context)
        shared = worker.address.startswith("inproc://")
        self._placed += 1
        try:
            run = (SharedBatch if shared else DaskBatch)(
                self._open_connection, batch, context, worker
            )
            await run.run(wanted)
        finally:
            self._placed -= 1
            self._table.release(worker, wanted)
        return ()

    def _wanted(self, batch: Batch) -> dict[str, float]:
        """Return the batch's resources that some worker declares: only these can be requested of Dask."""
        workers = self._table.workers.values()
        known = {name for worker in workers for name in worker.resources}
        wanted = {name: n for name, n in batch.program.resources.items() if name in known}
        if wanted and not any(worker.has(wanted) for worker in workers):
            raise BackendError(
                f"executor {self._before.name!r}: a task of stage {batch.program.stage!r} wants {wanted}, which no "
                f"worker of the cluster has alone. Start workers with more (dask worker --resources), or ask for less"
            )
        return wanted

    async def _acquire_worker(
        self, wanted: dict[str, float], apart_from: frozenset[str], context: CallContext
    ) -> DaskWorker:
        """Wait for a worker with a free thread, and reserve it: one not in ``apart_from``, if it comes soon."""
        self._unplaced += 1
        try:
            with context.stopped_by(_WaitingBatch(context)):
                if apart_from:
                    with anyio.move_on_after(APART_SECONDS):
                        return await self._wait_for_worker(wanted, apart_from)
                return await self._wait_for_worker(wanted)
        finally:
            self._unplaced -= 1

    async def _wait_for_worker(
        self, wanted: dict[str, float], apart_from: frozenset[str] = frozenset()
    ) -> DaskWorker:
        while (worker := self._table.acquire(wanted, apart_from)) is None:
            await self._wait_for_change()
        return worker

    async def _wait_for_change(self) -> None:
        """Wait until a thread may be free; raise if there is no worker at all for too long."""
        table, patience = self._table, self._options.patience
        if table.workers:
            await table.changed.wait()
            return
        with anyio.move_on_after(patience) as scope:
            while not table.workers:  # A refresh sets the event too.
                await table.changed.wait()
        if scope.cancelled_caught:
            raise BackendError(
                f"executor {self._before.name!r}: the cluster has had no worker for {patience:g} s while work "
                f"waits. Start workers, or wait longer for them with the option patience (seconds)"
            )

    async def close(self) -> None:
        """Disconnect from the cluster, and end it if it was started here."""
        handle = self._handle
        if handle is None:
            return
        try:
            await self._background.end()
            if self._connection is not None:
                await self._leave_scheduler(handle, self._connection)
        finally:
            self._handle = self._connection = None
            if self.values is not None:
                self.values.close()
            self.values = None
            await handle.close()

    async def _leave_scheduler(self, handle: ClusterHandle, connection: ClusterConnection) -> None:
        """Remove the traces of this engine from a scheduler that lives on."""
        connection.starts.close()
        with suppress(Exception), anyio.move_on_after(5):
            handle.client.unsubscribe_topic("all")
            handle.client.unsubscribe_topic(MEMORY_TOPIC)
            handle.client.unsubscribe_topic(connection.topic)
            if not self._options.own:
                await handle.client.run_on_scheduler(forget_topic, topic=connection.topic)
                if self._options.scale_range is not None:
                    await self._scale(self._options.scale_range[0])

    # Workers that come and go.

    def _on_scheduler_event(self, event: tuple[float, Any]) -> None:
        """Update the table of workers by the scheduler's events."""
        said = event[1]
        if not isinstance(said, dict):
            return
        if said.get("action") == "remove-worker":
            self._table.remove(said["worker"])
            self._stale.set()  # An answer of the scheduler that is on its way may still include it.
        elif said.get("action") == "add-worker":
            self._stale.set()

    def _on_memory_event(self, event: tuple[float, Any]) -> None:
        """Note the worker that its nanny ends because of its memory."""
        if isinstance(event[1], dict):
            self._table.mark_over_memory(str(event[1].get("worker")))

    async def _keep_refreshing(self) -> None:
        """Refresh after events, and regularly, because the first events may be missed."""
        client = self._open_handle.client
        while True:
            with anyio.move_on_after(REFRESH_SECONDS):
                await self._stale.wait()
            self._stale = anyio.Event()
            if client.status == "running":
                with suppress(OSError):
                    await self._refresh_workers()
                self.on_change()

    async def _refresh_workers(self) -> None:
        told = await self._open_handle.client.scheduler.identity(n_workers=-1)
        self._table.update(told["workers"])
        self.capabilities = self._known_capabilities()

    async def _kill(self, worker: DaskWorker) -> None:
        """Kill a worker's process; its nanny starts another."""
        if worker.gone.is_set():
            return
        self._table.mark_killed(worker)
        with suppress(Exception):  # It may be gone by now.
            await self._open_handle.client.run(
                kill_worker, workers=[worker.address], nanny=True, on_error="ignore"
            )

    # Scaling.

    async def _scale_adaptively(self, minimum: int, maximum: int) -> None:
        there = len(self._table.workers)
        if there < minimum:
            await self._scale(minimum)
        scaling = AdaptiveScaling(minimum=minimum, maximum=maximum, requested=max(minimum, there))
        while True:
            await anyio.sleep(CHECK_SECONDS)
            there = len(self._table.workers)
            requested = scaling.target(
                time.monotonic(),
                waiting=self.waiting() + self._unplaced,
                running=self._placed,
                workers=there,
            )
            if requested is not None and not await self._scale(requested):
                scaling.requested = there  # The next round requests it again.

    async def _replace_lost(self, handle: ClusterHandle) -> None:
        """Replace lost workers, up to the number at first or the one that the user has scaled the cluster to since."""
        retry = ScaleRetry()
        while True:
            await anyio.sleep(CHECK_SECONDS)
            waiting = self.waiting() + self._unplaced
            planned = handle.planned if waiting else 0
            if retry.due(time.monotonic(), missing=len(self._table.workers) < planned):
                await self._scale(planned)

    async def _scale(self, workers: int) -> bool:
        """Scale the cluster to so many workers; return False if it cannot be scaled now."""
        cluster = self._open_handle.cluster
        try:
            if not getattr(cluster, "asynchronous", False):
                await asyncio.wrap_future(
                    future_of(partial(cluster.scale, workers), name="asyncexec-dask-scale")
                )
            elif inspect.isawaitable(requested := cluster.scale(workers)):
                await requested
        except Exception:  # noqa: BLE001 - a cloud may refuse for a while; work goes on with the workers there are
            return False
        return True

    @property
    def _open_handle(self) -> ClusterHandle:
        if self._handle is None:
            raise BackendError(f"executor {self._before.name!r} is not open")
        return self._handle

    @property
    def _open_connection(self) -> ClusterConnection:
        if self._connection is None:
            raise BackendError(f"executor {self._before.name!r} is not open")
        return self._connection


def _nothing() -> None:
    pass


class _WaitingBatch:
    """A batch that waits for a worker: nothing of it has started."""

    def __init__(self, context: CallContext) -> None:
        self._context = context

    def stop(self, attempts: frozenset[int]) -> StopResult:
        if attempts >= self._context.pending:
            self._context.interrupt([])  # Nothing is left to run, so the wait ends.
        return StopResult(sorted(attempts), [])
