"""Start a cluster on this machine, make one by a function of the user, or connect to an existing one."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import os
import signal
import tempfile
from concurrent.futures import Future
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from asyncexec.backends.adapters.system_thread import future_of
from asyncexec.backends.dask.options import DaskOptions
from asyncexec.backends.environment import kept_variables
from asyncexec.errors import BackendError

FILE_SECONDS = 0.1
CLOSE_SECONDS = 10.0
CANCELLED_CLOSE_SECONDS = 0.5

logger = logging.getLogger(__name__)

# The Dask configuration of local clusters.
_CONFIG = {
    # Values that are kept go to disk when they take so much of a worker's memory; for what its tasks take, a worker is
    # neither spilled nor paused. The nanny ends one that is over its limit.
    "distributed.worker.memory.target": 0.4,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    # The profiler's thread samples every other thread a hundred times a second, for a dashboard that is switched off.
    "distributed.worker.profile.enabled": False,
}

# A nanny sets these in its own process, which is this one, so that the workers it spawns inherit them.
_IMPORTED = (
    ". Its worker processes import the script that starts them, and do again what that does as it is imported: start "
    'the engine below `if __name__ == "__main__":`'
)
_SET_BY_NANNIES = (
    "MALLOC_TRIM_THRESHOLD_",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PYTHONHASHSEED",
)


@dataclass(slots=True, eq=False, kw_only=True)
class ClusterHandle:
    """A cluster, and the client that is connected to it."""

    client: Any
    """The asynchronous client, made for this handle."""
    cluster: Any
    """The cluster object, if there is one that can be scaled."""
    directory: str
    """A temporary directory."""
    ours: bool
    """True for a cluster that was made for this engine."""
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def planned(self) -> int:
        """The number of workers planned for a cluster that was made for this engine; 0 where it plans by itself."""
        if self.ours and isinstance(self.cluster, _library().SpecCluster):
            with suppress(RuntimeError):  # The plan changes in another thread meanwhile.
                return len(self.cluster.plan)
        return 0

    async def close(self) -> None:
        """Disconnect, and end the cluster if it was made for this engine."""
        await self.stack.aclose()


async def open_cluster(options: DaskOptions, *, executor: str) -> ClusterHandle:
    """Start or find the cluster, and connect to it; raises BackendError if it cannot be started, or does not answer."""
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="asyncexec-dask-", ignore_cleanup_errors=True)
        )
        if options.own:
            cluster = await _local_cluster(options, directory, stack, executor=executor)
            target: dict[str, Any] = {"address": cluster.scheduler_address}
            target["security"] = cluster.security
        else:
            cluster, target = await _existing_cluster(options, stack)
        client = await _connect(target, options, executor=executor)
        stack.push_async_callback(_close_client, client)
        return ClusterHandle(
            client=client,
            cluster=cluster,
            directory=directory,
            ours=options.own or options.made,
            stack=stack.pop_all(),
        )


async def _connect(target: dict[str, Any], options: DaskOptions, *, executor: str) -> Any:
    began = anyio.current_time()
    if options.scheduler_file is not None:
        await _wait_for_file(options.scheduler_file, options.connect_timeout, executor=executor)
    left = max(1.0, options.connect_timeout - (anyio.current_time() - began))
    client = _library().Client(
        **target,
        asynchronous=True,
        set_as_default=False,
        timeout=left,
        name="asyncexec",
    )
    try:
        with anyio.fail_after(left + 1):
            return await client
    except Exception as error:
        # Also MemoryError: what answers may be another server, whose words are taken for lengths.
        await _close_client(client)
        where = target.get("address") or target.get("scheduler_file")
        raise BackendError(
            f"executor {executor!r}: no Dask scheduler answers at {where!r} within "
            f"{options.connect_timeout:g} s: {_reason(error)}. Check that it runs, that this machine may "
            f"connect to it, and whether it needs security=distributed.Security(...)"
        ) from error
    except asyncio.CancelledError:
        with anyio.CancelScope(shield=True):
            await _close_client(client, CANCELLED_CLOSE_SECONDS)
        raise


def _reason(error: Exception) -> str:
    if isinstance(error, OSError | TimeoutError | ValueError):
        return str(error) or "it gives no answer"
    return (
        f"what answers there does not speak as a scheduler does ({type(error).__name__}: {error})"
    )


async def _wait_for_file(name: str, seconds: float, *, executor: str) -> None:
    """Wait until a scheduler has written its file; Dask would do so without end, and give no reason.

    Raises BackendError if it has not, or if the file is not that of a scheduler.
    """
    why = "cannot be read: its file system does not answer"
    with anyio.move_on_after(seconds):
        while True:  # There is nothing but the file to wait for.
            why = await asyncio.wrap_future(_reading(name))
            if not why:
                return
            await anyio.sleep(FILE_SECONDS)
    if why:
        raise BackendError(
            f"executor {executor!r}: scheduler_file={name!r} {why}, and has not become one that can be used within "
            f"{seconds:g} s. Start a scheduler with `dask scheduler --scheduler-file {name}`, and give "
            f"the path by which this machine sees the file"
        )


def _reading(name: str) -> Future[str]:
    """Return the future of what is wrong with a scheduler's file, as a file system may hang; empty if nothing is."""
    return future_of(partial(_fault_of_file, name), name="asyncexec-dask-file")


def _fault_of_file(name: str) -> str:
    try:
        address = json.loads(Path(name).read_bytes())["address"]
    except FileNotFoundError:
        return "does not exist"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    except (ValueError, KeyError, TypeError):
        return "is not what a scheduler writes: JSON with its address"
    return "" if isinstance(address, str) else "holds no address"


async def _close_client(client: Any, seconds: float = CLOSE_SECONDS) -> None:
    """Disconnect; a scheduler that does not answer is not waited for."""
    with suppress(Exception), anyio.move_on_after(seconds):
        await client.close()


async def _local_cluster(
    options: DaskOptions, directory: str, stack: AsyncExitStack, *, executor: str
) -> Any:
    from dask import config

    if options.processes:
        stack.enter_context(kept_variables(_SET_BY_NANNIES))
    scheduler, worker, security = _parts(options, directory)
    number = options.workers if options.scale_range is None else options.scale_range[0]
    cluster = _library().SpecCluster(
        scheduler=scheduler,
        worker=worker,
        workers=dict.fromkeys(range(number), worker),
        security=security,
        asynchronous=True,
        silence_logs=logging.CRITICAL,
    )
    stack.push_async_callback(_close_local, cluster)
    try:
        with config.set(_CONFIG):
            return await cluster
    except Exception as error:
        hint = _IMPORTED if options.processes else ""
        raise BackendError(
            f"executor {executor!r}: its local cluster does not start: {str(error).rstrip('.')}{hint}"
        ) from error


def _parts(options: DaskOptions, directory: str) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """Return the specifications of scheduler and workers, and their security.

    Dask's ``LocalCluster`` is made of the same parts, but its HTTP servers listen on all interfaces.
    """
    dask = _library()
    encrypted = options.encrypted and options.processes
    security = dask.Security.temporary() if encrypted else dask.Security()
    every: dict[str, Any] = {
        "security": security,
        "dashboard": False,
        "dashboard_address": "127.0.0.1:0",
        "protocol": ("tls://" if options.encrypted else "tcp://")
        if options.processes
        else "inproc://",
    }
    if options.processes:
        every["host"] = "127.0.0.1"
    worker = every | {
        "nthreads": options.threads_each,
        "memory_limit": options.memory_bytes or 0,
        "local_directory": directory,
        "silence_logs": logging.CRITICAL,
    }
    if options.processes:
        worker |= {"env": dict(options.env_vars or {}), "config": _CONFIG}
    # Without this, the scheduler would try a lost task on three more workers, and end each of them.
    scheduler = every | {"port": options.scheduler_port or 0, "allowed_failures": 0}
    if options.dashboard_port is not None:
        address = f"127.0.0.1:{options.dashboard_port}"
        scheduler |= {"dashboard": True, "dashboard_address": address}
    return (
        {"cls": dask.Scheduler, "options": scheduler},
        {"cls": dask.Nanny if options.processes else dask.Worker, "options": worker},
        security,
    )


def _library() -> Any:
    """Return the package ``distributed``, untyped: most of its functions have no annotations."""
    import distributed

    return distributed


async def _close_local(cluster: Any) -> None:
    """End a local cluster, killing the tasks that still run in it."""
    for nanny in cluster.workers.values():
        pid = getattr(nanny, "pid", None)
        if pid is not None:
            nanny.close_gracefully(
                reason="asyncexec-close"
            )  # Its process is not to be started again.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    await cluster.close()


async def _existing_cluster(
    options: DaskOptions, stack: AsyncExitStack
) -> tuple[Any, dict[str, Any]]:
    """Return the cluster, if there is one that can be scaled, and the client's arguments to connect to it."""
    client, cluster, security = options.client, options.cluster, options.security
    if client is not None:
        return client.cluster, {"address": client.scheduler.address, "security": client.security}
    if cluster is None:
        where = {"address": options.cluster_address, "scheduler_file": options.scheduler_file}
        return None, {k: v for k, v in where.items() if v is not None} | {"security": security}
    if options.made:
        made: Any = cluster()
        cluster = (await made) if getattr(made, "asynchronous", inspect.isawaitable(made)) else made
        stack.push_async_callback(_close_made, cluster)
    return cluster, {
        "address": cluster.scheduler_address,
        "security": security or getattr(cluster, "security", None),
    }


async def _close_made(cluster: Any) -> None:
    try:
        if getattr(cluster, "asynchronous", False):
            await cluster.close()
        else:
            await asyncio.wrap_future(future_of(cluster.close, name="asyncexec-dask-close"))
    except Exception:
        # This must not hide the error that led to closing: a cluster whose jobs were refused may not close well.
        logger.warning(
            "a Dask cluster that was made for an engine did not close well", exc_info=True
        )
