"""The connection that the batches on one cluster share: client, mailboxes, submitting and watching Dask tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import anyio
from anyio.abc import TaskGroup

from asyncexec.backends.adapters.remote import RemoteCaller
from asyncexec.backends.dask.worker_side import StartsFile
from asyncexec.backends.dask.workers import DaskWorker
from asyncexec.errors import BackendError
from asyncexec.plan.memory import format_bytes

LARGE_BYTES = 5_000_000

REASON_SECONDS = 0.5
"""The seconds by which a nanny's word on why its worker has ended may come after the end."""

type Mailbox = asyncio.Queue[bytes | Exception | None]


class WorkerGoneError(Exception):
    """The worker has left the cluster or died."""


class WorkerMemoryError(WorkerGoneError, MemoryError):
    """The worker's nanny has ended it, because it held more memory than it may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConnection:
    """The client, and the state that all batches on a cluster share."""

    client: Any
    name: str
    """The name of the executor, for messages."""
    topic: str
    """The topic of the events by which workers report."""
    starts: StartsFile
    same_machine: bool
    """True if all workers are on this machine, so that their starts are in the file."""
    tasks: TaskGroup
    """Runs the tasks that watch and stop batches."""
    caller: RemoteCaller
    call_numbers: Iterator[int]
    """Numbers for calls."""
    kill: Callable[[DaskWorker], Awaitable[None]] | None
    """Kills a worker; None where that is not allowed."""
    mailboxes: dict[int, Mailbox] = field(default_factory=dict)
    """The mailboxes of running calls, by number: frames, the error that ended the call, or None at its end."""

    def measures(self, worker: DaskWorker) -> bool:
        """Return whether the memory of the worker's process is that of one task at a time.

        That is so if it has one thread and no abandoned task computes on in it: cancelled tasks are killed.
        """
        return self.kill is not None and worker.threads == 1

    def on_event(self, event: tuple[float, Any]) -> None:
        """Put the frame of a worker's event into the mailbox of its call."""
        said = event[1]
        mailbox = self.mailboxes.get(said["call"])
        if mailbox is not None:
            mailbox.put_nowait(None if said["end"] else said["frame"])

    def submit(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        worker: DaskWorker,
        wanted: dict[str, float],
        size: int = 0,
    ) -> Any:
        """Submit a Dask task that is bound to ``worker``, and return its future."""
        from dask import config

        # Dask warns of large arguments, because they might be loaded on the worker instead. Chunks of arrays are loaded
        # there; other inputs have to be sent.
        quiet = {"distributed.admin.large-graph-warning-threshold": 2**62}
        with config.set(quiet if size > LARGE_BYTES else {}):
            return self.client.submit(
                function,
                *arguments,
                key=f"asyncexec-{uuid4().hex}",
                workers=[worker.address],
                allow_other_workers=False,
                resources=wanted or None,
                retries=0,
                pure=False,
            )

    async def wait_for_end(self, future: Any, worker: DaskWorker) -> Exception | None:
        """Wait until a Dask task has ended or its worker is gone; return the error that this means, or None."""
        error: Exception | None = None
        async with anyio.create_task_group() as tasks:

            async def until_gone() -> None:
                nonlocal error
                await worker.gone.wait()
                error = await loss_of(worker, "died or left")
                tasks.cancel_scope.cancel()

            tasks.start_soon(until_gone)
            failed = await future.exception()
            error = None if failed is None else await self._meaning_of(failed, worker)
            tasks.cancel_scope.cancel()
        return error

    async def _meaning_of(self, error: Exception, worker: DaskWorker) -> Exception:
        """Return the error of worker or cluster that a failed Dask task means; what it runs never raises."""
        from distributed.client import FutureCancelledError
        from distributed.scheduler import KilledWorker, NoValidWorkerError

        status = self.client.status
        if isinstance(error, KilledWorker | NoValidWorkerError):
            return await loss_of(worker, f"died: {error}")
        if status != "running":
            return BackendError(
                f"executor {self.name!r}: the connection to the Dask scheduler was lost ({status}): {error}"
            )
        if isinstance(error, FutureCancelledError | OSError):
            return await loss_of(worker, f"died or left: {error}")
        return BackendError(
            f"executor {self.name!r}: Dask worker {worker.address} cannot run tasks of asyncexec: "
            f"{type(error).__name__}: {error}. "
            f"Scheduler and workers need the same asyncexec, Python and packages as here"
        )


async def loss_of(worker: DaskWorker, how: str) -> WorkerGoneError:
    """Return the error for a worker that is gone: of memory, if its nanny has ended it for that."""
    if worker.nanny and worker.memory_bytes:
        with anyio.move_on_after(REASON_SECONDS):
            await worker.over_memory.wait()
    if worker.over_memory.is_set():
        limit = "" if worker.memory_bytes is None else f" of {format_bytes(worker.memory_bytes)}"
        return WorkerMemoryError(
            f"Dask ended the worker {worker.address}, which held nearly all of its memory limit{limit} or more"
        )
    return WorkerGoneError(f"Dask worker {worker.address} {how}")
