"""The options of the executor ``slurm``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from asyncexec.backends.option_fields import check_options
from asyncexec.config.checks import (
    AnyPath,
    Count,
    CountFromZero,
    EnvVars,
    Memory,
    Seconds,
    bytes_of,
    mapping,
)
from asyncexec.errors import OptionError

_DEFAULT_FOLDER = "~/.asyncexec/slurm"
_OWN = frozenset({"array", "job_name", "output", "error", "requeue", "wrap"})


def _additional(value: object, where: str) -> dict[str, Any]:
    """Check further options of ``sbatch``, which must not be any that the executor sets itself."""
    given = mapping(value, where)
    for name in given:
        if name.startswith("-") or "=" in name:
            raise OptionError(
                f"{where} maps long names of sbatch's options, "
                f"without dashes in front, to values; {name!r} is none"
            )
        if name.replace("-", "_") in _OWN:
            raise OptionError(f"{where}: {name!r} is the executor's own to set")
    return given


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmOptions:
    """Options of the executor ``slurm``; those that are None are left to the cluster."""

    partition: str | None = None
    """Where jobs run; default: the cluster's."""

    account: str | None = None
    """On whose account jobs run; default: the user's own."""

    qos: str | None = None
    """Quality of service of the jobs; default: the cluster's."""

    cpus: Count = 1
    """Processors of each job."""

    gpus: CountFromZero = 0
    """GPUs of each job."""

    memory: Memory | None = None
    """Memory of each job, such as "4GB"; default: the cluster's. Plans that are allowed more are refused."""

    time_limit: Seconds = 3600.0
    """Seconds after which SLURM ends a job; rounded up to whole minutes. A job gets no new batch after half of it."""

    max_workers: Count = 64
    """How many jobs are in the queue or running at once."""

    env_vars: EnvVars | None = field(default=None, repr=False)
    """Environment variables of the jobs, beside those of the driver, which SLURM passes on."""

    folder: AnyPath | None = None
    """A folder that jobs see under the same path; default: ``~/.asyncexec/slurm``. What is made in it is removed."""

    log_folder: AnyPath | None = None
    """A folder where the output of jobs is kept, a file each, with what tasks print; default: it is removed."""

    python: str | None = None
    """The command that starts Python in a job; default: this Python, by its path. It needs asyncexec and submitit."""

    linger_seconds: Seconds = 10.0
    """How long a job is kept that has nothing to do: the next batch then need not wait in the queue. 0: each batch is a
    job of its own."""

    poll_seconds: Seconds = 4.0
    """How often the queue is asked whether jobs are still there."""

    start_timeout: Seconds = 60.0
    """Seconds that SLURM's commands may take to answer on entering."""

    slurm_additional_parameters: Annotated[Mapping[str, Any], _additional] | None = None
    """Further options of ``sbatch`` by their long names: ``{"constraint": "skylake", "exclusive": True}``."""

    def __post_init__(self) -> None:
        check_options(self, executor="slurm")

    @property
    def memory_bytes(self) -> int | None:
        """The memory of each job, in bytes."""
        return bytes_of(self.memory)

    @property
    def shared_folder(self) -> Path:
        """The folder, as jobs and driver name it."""
        return Path(self.folder or _DEFAULT_FOLDER).expanduser().absolute()

    def job_arguments(self) -> dict[str, Any]:
        """Return the arguments of each job that submitit has names for, by these names; others are the cluster's."""
        size = self.memory_bytes
        known = {
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "cpus_per_task": self.cpus,
            "gpus_per_node": self.gpus or None,
            # In megabytes of 2^20, as SLURM counts.
            "mem": None if size is None else f"{-(-size // 2**20)}M",
            "time": max(1, math.ceil(self.time_limit / 60)),
        }
        return {name: value for name, value in known.items() if value is not None}

    def additional_arguments(self) -> dict[str, Any]:
        """Return the other arguments; SLURM must not requeue a job, because retries are the engine's."""
        return {"no_requeue": True, **(self.slurm_additional_parameters or {})}

    def sbatch_flags(self) -> list[str]:
        """Return all arguments as flags of ``sbatch``."""
        given: list[str] = []
        for name, value in {**self.job_arguments(), **self.additional_arguments()}.items():
            flag = f"--{name.replace('_', '-')}"
            given.append(flag if value is True else f"{flag}={value}")
        return given
