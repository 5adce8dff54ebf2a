"""The arguments of every job; None leaves a value to the cluster."""

from __future__ import annotations

import math
from typing import Any

from asyncexec.backends.slurm.options import SlurmOptions


def parameters(options: SlurmOptions) -> dict[str, Any]:
    """Return the arguments that submitit has names for, by these names."""
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
    """Return the other arguments; SLURM must not requeue a job, because retries are the engine's."""
    return {"no_requeue": True, **(options.slurm_additional_parameters or {})}


def flags(options: SlurmOptions) -> list[str]:
    """Return all arguments as flags of ``sbatch``."""
    given: list[str] = []
    for name, value in {**parameters(options), **additional(options)}.items():
        flag = f"--{name.replace('_', '-')}"
        given.append(flag if value is True else f"{flag}={value}")
    return given
