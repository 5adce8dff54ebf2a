"""The options of the executor ``ray``, and the values derived from them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from asyncexec.backends.option_fields import check_options
from asyncexec.config.checks import (
    Count,
    CountFromZero,
    EnvVars,
    Memory,
    Place,
    Places,
    Texts,
    amounts,
    bytes_of,
    memory_bytes,
)
from asyncexec.errors import OptionError

# The minimum that Ray accepts.
LEAST_OBJECT_STORE_BYTES = 80_000_000
_NOT_CUSTOM = frozenset({"cpus", "gpus", "CPU", "GPU", "memory", "object_store_memory"})


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


def _resources(value: object, where: str) -> dict[str, float]:
    given = amounts(value, where, above_zero=True)
    for name in given:
        if name in _NOT_CUSTOM:
            raise OptionError(
                f"{where}: {name!r} is not a custom resource; there are the options "
                f"cpus, gpus, memory and object_store_memory"
            )
    return given


def _object_store(value: float | str, where: str) -> int:
    size = memory_bytes(value, where)
    if size is None or size < LEAST_OBJECT_STORE_BYTES:
        raise OptionError(f"{where} must be at least 80MB, not {value!r}")
    return size


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
    """What one task may use (``"2GB"``). Reserved for it where its stage does not say; plans that allow more are
    refused. Default: what the largest node has."""

    resources: Annotated[Mapping[str, float], _resources] | None = None
    """The same of custom resources (``{"licence": 2}``)."""

    object_store_memory: Annotated[int | str, _object_store] | None = None
    """Of a Ray that is started here; default: 512 MiB, beyond which Ray spills to disk."""

    env_vars: EnvVars | None = field(default=None, repr=False)
    """Environment variables of tasks."""

    pip: Texts | None = None
    """Packages to install for tasks."""

    working_dir: Place | None = None
    """A directory to send to the workers, in which tasks run."""

    py_modules: Places | None = None
    """Directories of packages to send to the workers."""

    log_to_driver: bool = False
    """Whether what tasks print is shown here."""

    max_calls: Count | None = None
    """After how many batches a worker process is replaced, for tasks that leak."""

    def __post_init__(self) -> None:
        check_options(self, executor="ray")
        if self.cluster_address is None and (found := os.environ.get("RAY_ADDRESS")):
            # As Ray itself does; inside a Ray job it is set.
            address = _address(found, "executor 'ray': cluster_address")
            object.__setattr__(self, "cluster_address", address)
        if self.object_store_memory is not None and self.address is not None:
            raise OptionError(
                "executor 'ray': object_store_memory is for a Ray that is started here; the cluster at "
                "cluster_address has its own"
            )

    @property
    def address(self) -> str | None:
        """The address of a cluster to connect to; None to start a Ray here."""
        return None if self.cluster_address == "local" else self.cluster_address

    @property
    def memory_bytes(self) -> int | None:
        """The memory that one task may use, in bytes."""
        return bytes_of(self.memory)

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
