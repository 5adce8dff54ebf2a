"""What every job asks SLURM for; what is None is left to the cluster."""

from __future__ import annotations

import math
from typing import Any

from asyncexec.backends.slurm.options import SlurmOptions


def parameters(options: SlurmOptions) -> dict[str, Any]:
    """Return what submitit has words for, in these."""
    size = options.memory_bytes
    known = {
        "partition": options.partition,
        "account": options.account,
        "qos": options.qos,
        "cpus_per_task": options.cpus,
        "gpus_per_node": options.gpus or None,
        # In megabytes of 2^20, as SLURM counts.
        "mem": None if size is None else f"{-(-size // 2**20)}M",
        "time": max(1, math.ceil(options.time_limit / 60)),
    }
    return {name: value for name, value in known.items() if value is not None}


def additional(options: SlurmOptions) -> dict[str, Any]:
    """Return what submitit has no word for; nothing is put into the queue again by SLURM itself."""
    return {"no_requeue": True, **(options.slurm_additional_parameters or {})}


def flags(options: SlurmOptions) -> list[str]:
    """Return all of it as arguments of ``sbatch``."""
    given: list[str] = []
    for name, value in {**parameters(options), **additional(options)}.items():
        flag = f"--{name.replace('_', '-')}"
        given.append(flag if value is True else f"{flag}={value}")
    return given
