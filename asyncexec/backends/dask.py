"""Dask: a cluster of our own on this machine, or anybody's anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from asyncexec.backends.contract import Capabilities
from asyncexec.backends.dask_cluster.backend import NATIVE_RETRY, ClusterBackend
from asyncexec.backends.dask_cluster.options import (
    adaptive_range,
    lent_settings,
    local_settings,
    named_resources,
    refuse_own_options,
)
from asyncexec.backends.dask_cluster.settings import DaskSettings, LentSettings, LocalSettings
from asyncexec.backends.extras import need
from asyncexec.backends.options import flag, seconds
from asyncexec.errors import OptionError


class DaskBackend(ClusterBackend):
    """Run tasks on a Dask cluster: one of our own on this machine, or one that is there already.

    Without ``cluster_address``, ``scheduler_file``, ``client`` or ``cluster`` a cluster is started on this machine, and
    ended on leaving. A cluster that is lent is not closed, and nothing about it is changed.

    Parameters
    ----------
    cluster_address : str, optional
        Of a scheduler: ``"tcp://host:8786"``.
    scheduler_file : str, optional
        What ``dask scheduler --scheduler-file`` has written.
    client, cluster : object, optional
        A ``distributed.Client`` or a cluster, which stay the caller's. Or, as ``cluster``, a function that makes a
        cluster (``lambda: SLURMCluster(..., asynchronous=True)``), which is closed on leaving.
    security : distributed.Security, optional
        To connect with, where the cluster asks for it.
    max_workers : int, optional
        How many tasks run at once on a cluster of our own; default: ``cpus``, or the cores this process may use.
    threads : int, optional
        Of each worker; default: 1 in processes, and otherwise ``max_workers`` in one worker.
    processes : bool
        Whether workers are processes, or threads of this process, which then share its memory.
    memory : int or str, optional
        Limit of each worker process (``"2GB"``), looked at by Dask ten times a second; the worker is ended over it.
    cpus, gpus : float, optional
        What stages may ask for under these names, in all. Default of ``cpus`` for a cluster of our own: as many as
        tasks run at once.
    resources : mapping of str to float, optional
        The same for other names. What the workers of a lent cluster say that they have is known without.
    env_vars : mapping of str to str, optional
        Environment variables of worker processes.
    adaptive : bool or tuple of int
        The fewest and the most workers; they come when work waits. True: from 1 to as many as ``max_workers`` needs.
    kill_workers : bool, optional
        Whether the worker of a running task that is cancelled is killed, with all it holds; its nanny starts another.
        Default: in single-threaded processes of our own. Otherwise such a task is given up, and does not save.
    encrypted : bool
        Whether the parts of a cluster of our own speak TLS, so that nobody else on this machine can join it.
    connect_timeout : float
        Seconds to wait for a scheduler.
    patience : float
        Seconds that work waits while there is no worker at all.

    Raises
    ------
    MissingExtraError
        If Dask is not installed.
    OptionError
        If an option is not what it should be, or does not go with another.
    """

    features: ClassVar[Capabilities] = Capabilities(
        name="dask",
        kills=True,
        local=True,
        isolated=True,
        measures_memory=True,
        batch_limit=512,
        loss_seconds=1.0,
        native_retry=NATIVE_RETRY,
        call_seconds=0.01,
    )

    def __init__(
        self,
        *,
        cluster_address: str | None = None,
        scheduler_file: str | None = None,
        client: Any = None,
        cluster: Any = None,
        security: Any = None,
        max_workers: int | None = None,
        threads: int | None = None,
        processes: bool = True,
        memory: int | str | None = None,
        cpus: float | None = None,
        gpus: float | None = None,
        resources: Mapping[str, float] | None = None,
        env_vars: Mapping[str, str] | None = None,
        adaptive: bool | tuple[int, int] = False,
        kill_workers: bool | None = None,
        encrypted: bool = True,
        connect_timeout: float = 30.0,
        patience: float = 60.0,
    ) -> None:
        need("dask", "dask", "dask", "distributed")
        lent = lent_settings(
            cluster_address=cluster_address,
            scheduler_file=scheduler_file,
            client=client,
            cluster=cluster,
            security=security,
        )
        own = {
            "max_workers": max_workers,
            "threads": threads,
            "processes": processes,
            "memory": memory,
            "cpus": cpus,
            "gpus": gpus,
            "resources": resources,
            "env_vars": env_vars,
            "encrypted": encrypted,
        }
        if lent is not None:
            refuse_own_options(own)
        source = local_settings(**own) if lent is None else lent
        if isinstance(source, LocalSettings) and source.processes and source.encrypted:
            need("dask", "dask", "cryptography")
        super().__init__(
            DaskSettings(
                source=source,
                kills=_kills(kill_workers, source),
                adaptive=adaptive_range(adaptive, source),
                resources=_cpus(source)
                | named_resources(cpus=cpus, gpus=gpus, resources=resources),
                connect_seconds=seconds(connect_timeout, executor="dask", option="connect_timeout"),
                patience=seconds(patience, executor="dask", option="patience"),
            )
        )


def _cpus(source: LocalSettings | LentSettings) -> dict[str, float]:
    """Return what is known of a cluster's ``cpus`` without being told."""
    if isinstance(source, LentSettings):
        return {}
    return {"cpus": float(source.workers * source.threads)}


def _kills(wanted: object, source: LocalSettings | LentSettings) -> bool:
    can = isinstance(source, LentSettings) or (source.processes and source.threads == 1)
    if wanted is None:
        return can and isinstance(source, LocalSettings)
    kills = flag(wanted, executor="dask", option="kill_workers")
    if kills and not can:
        raise OptionError(
            "executor 'dask': kill_workers needs worker processes of one thread (processes=True, threads=1)"
        )
    return kills
