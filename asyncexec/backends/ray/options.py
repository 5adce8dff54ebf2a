"""The options of the executor ``ray``, and the values derived from them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from asyncexec.backends.cores import usable_cores
from asyncexec.backends.named_resources import NamedResources
from asyncexec.backends.option_fields import check_options
from asyncexec.backends.ray.actor_options import ActorOptions, actor_options, check_place
from asyncexec.config.checks import (
    Count,
    CountFromZero,
    EnvVars,
    Memory,
    Place,
    Places,
    Port,
    Seconds,
    Texts,
    bytes_of,
    mapping,
    memory_bytes,
)
from asyncexec.errors import OptionError

# The minimum that Ray accepts.
LEAST_OBJECT_STORE_BYTES = 80_000_000
# Ray's own limit for a runtime environment, and the time that a worker may take to start.
INSTALL_SECONDS = 600.0
WORKER_SECONDS = 30.0
_OF_A_START = ("object_store_memory", "dashboard_port")


def _address(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise OptionError(f"{where} must be 'host:port', not {value!r}")
    if "://" in value:
        raise OptionError(
            f"{where}={value!r} would go through Ray Client, which cannot "
            f"tell what tasks do while they run. Give 'host:port' (or 'auto') on a machine of the "
            f"cluster, or submit the program as a Ray job"
        )
    return value


def _object_store(value: float | str, where: str) -> int:
    size = memory_bytes(value, where)
    if size is None or size < LEAST_OBJECT_STORE_BYTES:
        raise OptionError(f"{where} must be at least 80MB, not {value!r}")
    return size


def _conda(value: object, where: str) -> str | dict[str, Any]:
    if isinstance(value, str) and value:
        return value
    if not isinstance(value, Mapping):
        raise OptionError(
            f"{where} must be the name of an environment, a file or what such a file holds, not {value!r}"
        )
    return mapping(value, where)


@dataclass(frozen=True, slots=True, kw_only=True)
class RayOptions:
    """Options of the executor ``ray``."""

    cluster_address: Annotated[str, _address] | None = None
    """``"host:port"`` of a cluster to connect to, ``"auto"`` for the one that runs on this machine, ``"local"`` to
    start one whatever the environment says."""

    max_workers: Count | None = None
    """How many tasks may be with Ray at once; default: the cluster's CPUs, as nodes come and go. Say more where a
    cluster is to grow because of what waits."""

    cpus: Count | None = None
    """CPUs of a Ray that is started here (default: the cores this process may use); of one that runs already: how many
    it must have at least."""

    gpus: CountFromZero | None = None
    """The same of GPUs; default: those Ray finds."""

    memory: Memory | None = None
    """The same of memory (``"8GB"``), and the most that all tasks in flight are given together. Tasks whose stage does
    not say get equal shares. A task that asks for more than it was given gets a ``MemoryError`` (on Linux)."""

    task_memory: Memory | None = None
    """What one task may use (``"2GB"``), where its stage does not say; plans that allow more are refused. Limits tasks
    as ``memory`` does. Default: an equal share of ``memory``."""

    resources: NamedResources | None = None
    """The same of custom resources (``{"licence": 2}``)."""

    cluster_memory_actor: Annotated[ActorOptions | Mapping[str, Any], actor_options] | None = None
    """The actor that holds cluster memory: ``name`` (``RayClusterMemoryActor``), ``num_cpus`` (1) and ``resources``
    that it takes of the cluster, ``max_concurrency`` (1000)."""

    object_store_memory: Annotated[int | str, _object_store] | None = None
    """Of a Ray that is started here; default: 512 MiB, beyond which Ray spills to disk."""

    env_vars: EnvVars | None = field(default=None, repr=False)
    """Environment variables of tasks."""

    pip: Texts | None = None
    """Packages to install for tasks."""

    conda: Annotated[str | Mapping[str, Any], _conda] | None = None
    """A conda environment for tasks, instead of ``pip``."""

    runtime_env_config: Annotated[Mapping[str, Any], mapping] | None = None
    """What Ray calls ``config`` of a runtime environment (``{"setup_timeout_seconds": 600}``)."""

    working_dir: Place | None = None
    """A directory to send to the workers, in which tasks run."""

    py_modules: Places | None = None
    """Directories of packages to send to the workers."""

    log_to_driver: bool = False
    """Whether what tasks print is shown here."""

    max_calls: Count | None = None
    """After how many batches a worker process is replaced, for tasks that leak."""

    max_tasks_per_worker: Count | None = None
    """After how many tasks a worker process is replaced; each task is then a call of its own."""

    connect_timeout: Seconds = 60.0
    """Seconds that a cluster may take to answer, or a Ray to start here."""

    dashboard_port: Port | None = None
    """The port of Ray's dashboard, which is started on loopback; default: there is none. It needs ``ray[default]``."""

    def __post_init__(self) -> None:
        check_options(self, executor="ray")
        if self.cluster_address is None and (found := os.environ.get("RAY_ADDRESS")):
            # As Ray itself does; inside a Ray job it is set.
            address = _address(found, "executor 'ray': cluster_address")
            object.__setattr__(self, "cluster_address", address)
        for name in _OF_A_START:
            if getattr(self, name) is not None and self.address is not None:
                raise OptionError(
                    f"executor 'ray': {name} is for a Ray that is started here; the cluster at "
                    f"cluster_address has its own"
                )
        if self.conda is not None and self.pip is not None:
            raise OptionError("executor 'ray': only one of pip and conda can be given")
        if self.max_calls is not None and self.max_tasks_per_worker is not None:
            raise OptionError(
                "executor 'ray': only one of max_calls and max_tasks_per_worker can be given"
            )
        if self.actor is not None and self.address is None:
            check_place(self.actor, self.own_resources, cluster="the Ray that is started for it")

    @property
    def address(self) -> str | None:
        """The address of a cluster to connect to; None to start a Ray here."""
        return None if self.cluster_address == "local" else self.cluster_address

    @property
    def actor(self) -> ActorOptions | None:
        """The actor that holds cluster memory, where its options were given."""
        return (
            None
            if self.cluster_memory_actor is None
            else actor_options(self.cluster_memory_actor, "")
        )

    @property
    def own_cpus(self) -> int:
        """The CPUs of a Ray that is started here."""
        return usable_cores() if self.cpus is None else self.cpus

    @property
    def own_resources(self) -> dict[str, float]:
        """The resources of a Ray that is started here, by the names of asyncexec; GPUs as far as they are given."""
        return {
            "cpus": float(self.own_cpus),
            "gpus": float(self.gpus or 0),
            **(self.resources or {}),
        }

    def left_for_tasks(self, has: Mapping[str, float]) -> dict[str, float]:
        """Return the resources of a cluster without what the actor takes."""
        takes = {} if self.actor is None else self.actor.takes
        return {name: max(0.0, amount - takes.get(name, 0.0)) for name, amount in has.items()}

    @property
    def memory_bytes(self) -> int | None:
        """The memory that all tasks in flight may have together, in bytes."""
        return bytes_of(self.memory)

    @property
    def limits(self) -> bool:
        """True if each task is kept within its memory."""
        return self.memory is not None or self.task_memory is not None

    @property
    def most_task_bytes(self) -> int | None:
        """The memory that one task may be allowed at most; None if it is not said."""
        return self.memory_bytes if self.task_memory is None else bytes_of(self.task_memory)

    def task_bytes(self, slots: int) -> int:
        """Return the memory of a task whose stage does not say, where so many run at once; 0 if it is not said."""
        if self.task_memory is not None:
            return bytes_of(self.task_memory) or 0
        return (self.memory_bytes or 0) // slots

    @property
    def object_store_bytes(self) -> int | None:
        """Memory of the object store of a Ray that is started here."""
        return bytes_of(self.object_store_memory)

    @property
    def required(self) -> dict[str, float]:
        """The resources that a running Ray must have in total, by the names of asyncexec."""
        named = {"cpus": self.cpus, "gpus": self.gpus, **(self.resources or {})}
        return {name: float(amount) for name, amount in named.items() if amount}

    @property
    def calls_per_worker(self) -> int | None:
        """After how many calls a worker process is replaced."""
        return self.max_calls or self.max_tasks_per_worker

    @property
    def opening_seconds(self) -> float:
        """The seconds that entering may take in all, with what Ray installs for tasks."""
        installs = self.pip or self.conda or self._sent
        setup = (self.runtime_env_config or {}).get("setup_timeout_seconds", INSTALL_SECONDS)
        # An address is tried first, then connected to; then a worker is.
        return 2 * self.connect_timeout + WORKER_SECONDS + (float(setup) if installs else 0.0)

    @property
    def runtime_env(self) -> dict[str, Any]:
        """The part of Ray's ``runtime_env`` that goes with the connection."""
        return {name: value for name, value in self._sent.items() if not _is_fetched(value)}

    @property
    def task_env(self) -> dict[str, Any]:
        """The part of Ray's ``runtime_env`` that goes with each task."""
        env: dict[str, Any] = {}
        if self.env_vars is not None:
            env["env_vars"] = dict(self.env_vars)
        if self.pip is not None:
            env["pip"] = list(self.pip)
        if self.conda is not None:
            env["conda"] = self.conda
        if self.runtime_env_config is not None:
            env["config"] = dict(self.runtime_env_config)
        return env | {name: value for name, value in self._sent.items() if _is_fetched(value)}

    @property
    def _sent(self) -> dict[str, str | list[str]]:
        env: dict[str, str | list[str]] = {}
        if self.working_dir is not None:
            env["working_dir"] = str(self.working_dir)
        if self.py_modules is not None:
            env["py_modules"] = [str(place) for place in self.py_modules]
        return env


def _is_fetched(value: str | list[str]) -> bool:
    """Return whether workers fetch all of it: then it goes with tasks, also to a Ray that runs already."""
    places = [value] if isinstance(value, str) else value
    return bool(places) and all("://" in place for place in places)
