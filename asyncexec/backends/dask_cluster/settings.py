"""What users say about the cluster, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """A cluster of our own on this machine.

    Attributes
    ----------
    workers : int
        How many to begin with.
    threads : int
        Of each.
    processes : bool
        Whether workers are processes, or threads of this one.
    memory_bytes : int or None
        Limit of each worker process.
    env_vars : dict of str to str
        For worker processes.
    encrypted : bool
        Whether its parts speak TLS, with certificates made for the occasion, so that nobody else can join.
    """

    workers: int
    threads: int
    processes: bool
    memory_bytes: int | None
    env_vars: Mapping[str, str]
    encrypted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LentSettings:
    """A cluster that is somebody else's, or that a function of the user's makes.

    Attributes
    ----------
    address, scheduler_file : str or None
    client, cluster : object or None
        Of Dask's.
    make_cluster : callable or None
        Makes a cluster, which is then closed on leaving.
    security : object or None
        Dask's ``Security``.
    """

    address: str | None = None
    scheduler_file: str | None = None
    client: Any = None
    cluster: Any = None
    make_cluster: Callable[[], Any] | None = None
    security: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DaskSettings:
    """How the backend uses a cluster.

    Attributes
    ----------
    source : LocalSettings or LentSettings
        Where it comes from.
    name : str
        Of the executor, for messages.
    kills : bool
        Whether the worker of a task that is cancelled is killed; its nanny starts another.
    adaptive : tuple of int or None
        The fewest and the most workers.
    resources : dict of str to float
        Named resources of a cluster of our own.
    connect_seconds : float
        How long to wait for a scheduler to answer.
    patience : float
        How long work waits while there is no worker at all.
    batch_limit : int
        How many tasks may go into one Dask task.
    metered : bool
        Whether worker time is billed.
    """

    source: LocalSettings | LentSettings
    name: str = "dask"
    kills: bool = False
    adaptive: tuple[int, int] | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    connect_seconds: float = 30.0
    patience: float = 60.0
    batch_limit: int = 512
    metered: bool = False
