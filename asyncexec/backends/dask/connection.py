"""What the batches on one cluster share: the client, the mail, and how a Dask task is submitted and watched."""

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
from asyncexec.backends.dask.workers import Worker
from asyncexec.errors import BackendError

LARGE_BYTES = 5_000_000

type Mailbox = asyncio.Queue[bytes | Exception | None]


class WorkerGoneError(Exception):
    """The worker has left or died."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """What batches share.

    Attributes
    ----------
    client : distributed.Client
    name : str
        Of the executor, for messages.
    topic : str
        Of the events in which workers tell of our batches.
    starts : StartsFile
    same_machine : bool
        Whether workers certainly write down their starts where we see it.
    tasks : TaskGroup
        For what goes on beside a batch.
    caller : RemoteCaller
    numbers : iterator of int
        For calls.
    kill : callable or None
        Kills a worker, where that is allowed.
    mail : dict
        Of the calls that run, by number: frames, the error that ended it, or None at its end.
    """

    client: Any
    name: str
    topic: str
    starts: StartsFile
    same_machine: bool
    tasks: TaskGroup
    caller: RemoteCaller
    numbers: Iterator[int]
    kill: Callable[[Worker], Awaitable[None]] | None
    mail: dict[int, Mailbox] = field(default_factory=dict)

    def measures(self, worker: Worker) -> bool:
        """Whether what a worker's process holds is held by one task.

        So where it has one thread, and none that was given up computes on beside: what is cancelled is killed.
        """
        return self.kill is not None and worker.threads == 1

    def hear(self, event: tuple[float, Any]) -> None:
        """Pass on what a worker tells of a call."""
        said = event[1]
        mailbox = self.mail.get(said["call"])
        if mailbox is not None:
            mailbox.put_nowait(None if said["end"] else said["frame"])

    def submit(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        worker: Worker,
        wanted: dict[str, float],
        size: int = 0,
    ) -> Any:
        """Return the future of a Dask task that is bound to ``worker``."""
        from dask import config

        # Dask warns those who send large arguments, because they might load them on the worker instead. Chunks of
        # arrays are loaded there; what is sent has to be.
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

    async def end_of(self, future: Any, worker: Worker) -> Exception | None:
        """Wait until a Dask task has ended or its worker is gone; return what that means, where it is bad."""
        error: Exception | None = None
        async with anyio.create_task_group() as tasks:

            async def until_gone() -> None:
                nonlocal error
                await worker.gone.wait()
                error = WorkerGoneError(f"Dask worker {worker.address} died or left")
                tasks.cancel_scope.cancel()

            tasks.start_soon(until_gone)
            failed = await future.exception()
            error = None if failed is None else self._meaning(failed, worker)
            tasks.cancel_scope.cancel()
        return error

    def _meaning(self, error: Exception, worker: Worker) -> Exception:
        """Return what an error of a Dask task of ours, which never raises, says of its worker or the cluster."""
        from distributed.client import FutureCancelledError
        from distributed.scheduler import KilledWorker, NoValidWorkerError

        status = self.client.status
        if isinstance(error, KilledWorker | NoValidWorkerError):
            return WorkerGoneError(f"Dask worker {worker.address} died: {error}")
        if status != "running":
            return BackendError(
                f"executor {self.name!r}: the connection to the Dask scheduler was lost ({status}): {error}"
            )
        if isinstance(error, FutureCancelledError | OSError):
            return WorkerGoneError(f"Dask worker {worker.address} died or left: {error}")
        return BackendError(
            f"executor {self.name!r}: Dask worker {worker.address} cannot run tasks of asyncexec: "
            f"{type(error).__name__}: {error}. "
            f"Scheduler and workers need the same asyncexec, Python and packages as here"
        )
