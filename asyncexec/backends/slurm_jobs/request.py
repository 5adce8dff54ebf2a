"""What every job asks SLURM for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What a job asks for; what is None is left to the cluster.

    Attributes
    ----------
    partition, account, qos : str or None
        As ``sbatch`` takes them.
    cpus : int
        Processors of a job.
    gpus : int
        GPUs of a job.
    memory_bytes : int or None
        Memory of a job.
    limit_seconds : float
        After which SLURM ends a job.
    more : mapping
        Further options of ``sbatch``, by their long names.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    cpus: int = 1
    gpus: int = 0
    memory_bytes: int | None = None
    limit_seconds: float = 3600.0
    more: Mapping[str, Any] = field(default_factory=dict)

    def parameters(self) -> dict[str, Any]:
        """Return it in submitit's words."""
        known = {
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "cpus_per_task": self.cpus,
            "gpus_per_node": self.gpus or None,
            # In megabytes of 2^20, as SLURM counts.
            "mem": None if self.memory_bytes is None else f"{-(-self.memory_bytes // 2**20)}M",
            "time": max(1, math.ceil(self.limit_seconds / 60)),
        }
        return {name: value for name, value in known.items() if value is not None}

    def additional(self) -> dict[str, Any]:
        """Return what submitit has no word for; nothing is put into the queue again by SLURM itself."""
        return {"no_requeue": True, **self.more}

    def flags(self) -> list[str]:
        """Return it as arguments of ``sbatch``."""
        options = {**self.parameters(), **self.additional()}
        flags: list[str] = []
        for name, value in options.items():
            flag = f"--{name.replace('_', '-')}"
            flags.append(flag if value is True else f"{flag}={value}")
        return flags
