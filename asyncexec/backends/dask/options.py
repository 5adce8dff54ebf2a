"""The options of the executor ``dask``, and the values derived from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

from asyncexec.backends.cores import usable_cores
from asyncexec.backends.option_fields import check_options
from asyncexec.config.checks import (
    Address,
    Count,
    EnvVars,
    Memory,
    Port,
    Seconds,
    amount,
    amounts,
    bytes_of,
)
from asyncexec.errors import OptionError

# For what a scheduler is asked once it has answered.
SPARE_SECONDS = 10.0
_SOURCES = ("cluster_address", "scheduler_file", "client", "cluster")
_EXISTING = "cluster_address, scheduler_file, client or cluster"
_OF_OWN_CLUSTERS = (
    *("max_workers", "threads", "processes", "memory", "env_vars", "encrypted"),
    *("scheduler_port", "dashboard_port"),
)


def _client(value: object, where: str) -> object:
    if not hasattr(value, "scheduler"):
        raise OptionError(f"{where} must be a distributed.Client, not {value!r}")
    return value


def _cluster(value: object, where: str) -> object:
    if not hasattr(value, "scheduler_address") and not callable(value):
        raise OptionError(
            f"{where} must be a Dask cluster or a function that makes one, not {value!r}"
        )
    return value


def _range(value: object, where: str) -> bool | tuple[int, int]:
    match value:
        case bool():
            return value
        case (int(least), int(most)) if 0 <= least <= most and most >= 1:
            return least, most
        case _:
            raise _no_range(value, where)


def _no_range(value: object, where: str) -> OptionError:
    return OptionError(f"{where} must be (fewest, most) workers such as (1, 20), not {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DaskOptions:
    """Options of the executor ``dask``."""

    cluster_address: Address | None = None
    """Of a scheduler: ``"tcp://host:8786"``."""

    scheduler_file: str | None = None
    """What ``dask scheduler --scheduler-file`` has written."""

    client: Annotated[Any, _client] | None = None
    """A ``distributed.Client``, which stays the caller's."""

    cluster: Annotated[Any, _cluster] | None = None
    """A cluster, which stays the caller's. Or a function that makes a cluster
    (``lambda: SLURMCluster(..., asynchronous=True)``), which is closed on leaving."""

    security: Any = None
    """A ``distributed.Security`` to connect with, where the cluster asks for it."""

    max_workers: Count | None = None
    """How many tasks run at once on a cluster of our own; default: ``cpus``, or the cores this process may use."""

    threads: Count | None = None
    """Of each worker; default: 1 in processes, and otherwise ``max_workers`` in one worker."""

    processes: bool = True
    """Whether workers are processes, or threads of this process, which then share its memory."""

    memory: Memory | None = None
    """Limit of each worker process (``"2GB"``), looked at by Dask ten times a second; the worker is ended over it."""

    cpus: Annotated[float, amount] | None = None
    """What stages may ask for under this name, in all; default for a cluster of our own: as many as tasks run at
    once."""

    gpus: Annotated[float, amount] | None = None
    """What stages may ask for under this name, in all."""

    resources: Annotated[Mapping[str, float], amounts] | None = None
    """The same for other names. What the workers of a lent cluster say that they have is known without."""

    env_vars: EnvVars | None = field(default=None, repr=False)
    """Environment variables of worker processes."""

    adaptive: Annotated[bool | tuple[int, int], _range] = False
    """The fewest and the most workers; they come when work waits. True: from 1 to as many as ``max_workers`` needs."""

    kill_workers: bool | None = None
    """Whether the worker of a running task that is cancelled is killed, with all it holds; its nanny starts another.
    Default: in single-threaded processes of our own. Otherwise such a task is given up, and does not save."""

    scheduler_port: Port | None = None
    """The port of the scheduler of a cluster of our own, on loopback; default: a free one."""

    dashboard_port: Port | None = None
    """The port of the dashboard of a cluster of our own, on loopback; default: there is none. It needs Bokeh."""

    encrypted: bool = True
    """Whether the parts of a cluster of our own speak TLS, so that nobody else on this machine can join it."""

    connect_timeout: Seconds = 30.0
    """Seconds to wait for a scheduler, or for its file."""

    start_timeout: Seconds = 300.0
    """Seconds that a cluster of our own, or one that a function makes, may take to start."""

    patience: Seconds = 60.0
    """Seconds that work waits while there is no worker at all."""

    def __post_init__(self) -> None:
        check_options(self, executor="dask")
        _check_source(self)
        if self.own:
            _check_own(self)
        else:
            _check_existing(self)
        if self.kill_workers and not self._can_kill:
            raise OptionError(
                "executor 'dask': kill_workers needs worker processes of one thread (processes=True, threads=1)"
            )

    @property
    def own(self) -> bool:
        """True if the cluster is a local one, started for this engine."""
        return all(getattr(self, name) is None for name in _SOURCES)

    @property
    def made(self) -> bool:
        """True if the cluster is made by a function of the user."""
        return self.cluster is not None and not hasattr(self.cluster, "scheduler_address")

    @property
    def opening_seconds(self) -> float:
        """The seconds that entering may take in all."""
        starts = self.start_timeout if self.own or self.made else 0.0
        return starts + self.connect_timeout + SPARE_SECONDS

    @property
    def slots(self) -> int:
        """The number of tasks that run at once on a local cluster."""
        if self.max_workers is not None:
            return self.max_workers
        return usable_cores() if self.cpus is None else max(1, math.floor(self.cpus))

    @property
    def threads_each(self) -> int:
        """The number of threads of each worker of a local cluster."""
        return self.threads or (1 if self.processes else self.slots)

    @property
    def workers(self) -> int:
        """The number of workers that a local cluster starts with."""
        return self.slots // self.threads_each

    @property
    def memory_bytes(self) -> int | None:
        """The memory limit of each worker process, in bytes."""
        return bytes_of(self.memory)

    @property
    def budget_bytes(self) -> int | None:
        """The memory that all workers of a local cluster may have together, where each is limited."""
        most = self.workers if self.scale_range is None else self.scale_range[1]
        return None if self.memory_bytes is None else self.memory_bytes * most

    @property
    def scale_range(self) -> tuple[int, int] | None:
        """The bounds of the number of workers; None if it is fixed."""
        if isinstance(self.adaptive, bool):
            return (1, self.workers) if self.adaptive else None
        return self.adaptive

    @property
    def kills(self) -> bool:
        """True if the worker of a cancelled task is killed."""
        return self.own and self._can_kill if self.kill_workers is None else self.kill_workers

    @property
    def resource_amounts(self) -> dict[str, float]:
        """The total of each resource that stages may request."""
        known = {"cpus": float(self.workers * self.threads_each)} if self.own else {}
        named = {"cpus": self.cpus, "gpus": self.gpus}
        given = {name: value for name, value in named.items() if value is not None}
        return known | dict(self.resources or {}) | given

    @property
    def _can_kill(self) -> bool:
        return not self.own or (self.processes and self.threads_each == 1)


def _check_source(options: DaskOptions) -> None:
    given = [name for name in _SOURCES if getattr(options, name) is not None]
    if len(given) > 1:
        raise OptionError(f"executor 'dask': only one of {_EXISTING} can be given, not {given}")
    if not given and options.security is not None:
        raise OptionError(f"executor 'dask': security goes with {_EXISTING}")


def _check_own(options: DaskOptions) -> None:
    if not options.processes and (options.memory is not None or options.env_vars):
        raise OptionError(
            "executor 'dask': memory and env_vars are for worker processes; with processes=False tasks run in this "
            "process. Leave them out, or let processes be True"
        )
    if not options.processes and options.scheduler_port is not None:
        raise OptionError(
            "executor 'dask': scheduler_port needs worker processes: threads of this process use no port"
        )
    if options.slots % options.threads_each:
        raise OptionError(
            f"executor 'dask': max_workers ({options.slots}) must be a multiple of threads ({options.threads_each}): "
            f"it is how many tasks run at once in all workers together"
        )


def _check_existing(options: DaskOptions) -> None:
    for each in fields(options):
        given = getattr(options, each.name) or None
        if each.name in _OF_OWN_CLUSTERS and given != each.default:
            raise OptionError(
                f"executor 'dask': {each.name} is for a cluster of our own, and does not go with {_EXISTING}: say it "
                f"where that cluster's workers are started"
            )
    if options.adaptive is False:
        return
    if options.cluster is None:
        raise OptionError(
            "executor 'dask': adaptive needs a cluster object that can be scaled: give it as cluster"
        )
    if options.adaptive is True:
        raise _no_range(options.adaptive, "executor 'dask': adaptive")
