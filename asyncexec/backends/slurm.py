"""A SLURM cluster as a backend: job arrays, submitted by submitit."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from asyncexec.backends.adapters.calls import CallsBackend
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.extras import need
from asyncexec.backends.options import (
    environment,
    mapping,
    memory_bytes,
    optional_text,
    path,
    seconds,
    whole_number,
)
from asyncexec.backends.slurm_jobs.desk import Desk
from asyncexec.backends.slurm_jobs.request import JobRequest
from asyncexec.backends.slurm_jobs.system import SlurmSystem
from asyncexec.errors import OptionError

_NAME = "slurm"


class SlurmBackend(CallsBackend):
    """Run tasks as jobs of a SLURM cluster.

    Each job runs one batch of tasks at a time, and is kept for a while when it has nothing to do; jobs that are needed
    at the same time are one job array. Jobs are told what to do, and tell what they did, by files in a folder that
    they share with the driver. Used from a machine that can submit jobs.

    Parameters
    ----------
    partition, account, qos : str, optional
        Where and on whose account jobs run; default: the cluster's.
    cpus : int
        Processors of each job.
    gpus : int
        GPUs of each job.
    memory : int or str, optional
        Memory of each job, such as "4GB"; default: the cluster's. Plans that are allowed more are refused.
    time_limit : float
        Seconds after which SLURM ends a job; rounded up to whole minutes. A job gets no new batch after half of it.
    max_workers : int
        How many jobs are in the queue or running at once.
    env_vars : mapping of str to str, optional
        Environment variables of the jobs, beside those of the driver, which SLURM passes on.
    folder : str or Path, optional
        A folder that jobs see under the same path; default: ``~/.asyncexec/slurm``. What is made in it is removed.
    python : str, optional
        The command that starts Python in a job; default: this Python, by its path. It needs asyncexec and submitit.
    linger_seconds : float
        How long a job is kept that has nothing to do: the next batch then need not wait in the queue. 0: each batch
        is a job of its own.
    poll_seconds : float
        How often the queue is asked whether jobs are still there.
    slurm_additional_parameters : mapping, optional
        Further options of ``sbatch`` by their long names: ``{"constraint": "skylake", "exclusive": True}``.

    Raises
    ------
    OptionError
        If an option is not what it should be; on entering, if SLURM refuses such jobs.
    MissingExtraError
        If submitit is not installed.
    """

    features: ClassVar[Capabilities] = Capabilities(
        name=_NAME,
        kills=True,
        isolated=True,
        measures_memory=True,
        batch_limit=1_000,
        loss_seconds=10.0,
        native_retry="requeueing: by SLURM off with --no-requeue, by submitit with max_num_timeout=0",
        call_seconds=0.3,
    )

    def __init__(
        self,
        *,
        partition: str | None = None,
        account: str | None = None,
        qos: str | None = None,
        cpus: int = 1,
        gpus: int = 0,
        memory: int | str | None = None,
        time_limit: float = 3600.0,
        max_workers: int = 64,
        env_vars: Mapping[str, str] | None = None,
        folder: str | os.PathLike[str] | None = None,
        python: str | None = None,
        linger_seconds: float = 10.0,
        poll_seconds: float = 4.0,
        slurm_additional_parameters: Mapping[str, Any] | None = None,
    ) -> None:
        need(_NAME, "slurm", "submitit")
        slots = whole_number(max_workers, executor=_NAME, option="max_workers")
        most_bytes = memory_bytes(memory, executor=_NAME, option="memory")
        poll = seconds(poll_seconds, executor=_NAME, option="poll_seconds")
        linger = seconds(linger_seconds, executor=_NAME, option="linger_seconds")
        request = JobRequest(
            partition=optional_text(partition, executor=_NAME, option="partition"),
            account=optional_text(account, executor=_NAME, option="account"),
            qos=optional_text(qos, executor=_NAME, option="qos"),
            cpus=whole_number(cpus, executor=_NAME, option="cpus"),
            gpus=whole_number(gpus, executor=_NAME, option="gpus", least=0),
            memory_bytes=most_bytes,
            limit_seconds=seconds(time_limit, executor=_NAME, option="time_limit"),
            more=_checked(slurm_additional_parameters),
        )
        place = (
            "~/.asyncexec/slurm"
            if folder is None
            else path(folder, executor=_NAME, option="folder")
        )
        desk = Desk(
            request=request,
            env_vars=environment(env_vars, executor=_NAME),
            folder=Path(place).expanduser().absolute(),
            python=optional_text(python, executor=_NAME, option="python"),
            most=slots,
            poll_seconds=poll,
            linger_seconds=linger,
        )
        can = replace(self.features, worker_bytes=most_bytes, loss_seconds=poll + 6.0)
        system = SlurmSystem(
            desk,
            can,
            slots=slots,
            linger_seconds=linger,
            young_seconds=request.limit_seconds / 2,
        )
        super().__init__(system)
        self._slurm = system

    def avoid(self, workers: Collection[str]) -> None:
        """Give these workers nothing more until told otherwise: a job ends its batch, and gets no other."""
        self._slurm.avoid(workers)
        self._dispatch()


def _checked(more: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return further options of ``sbatch``, without those that the executor sees to."""
    given = mapping(more, executor=_NAME, option="slurm_additional_parameters")
    for name in given:
        if name.startswith("-") or "=" in name:
            raise OptionError(
                f"executor 'slurm': slurm_additional_parameters maps long names of sbatch's options, "
                f"without dashes in front, to values; {name!r} is none"
            )
        if name.replace("-", "_") in {"array", "job_name", "output", "error", "requeue", "wrap"}:
            raise OptionError(
                f"executor 'slurm': {name!r} is the executor's own to set, and not to be given in "
                f"slurm_additional_parameters"
            )
    return given
