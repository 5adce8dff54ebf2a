"""The ``slurm`` executor: job arrays on a SLURM cluster, submitted by submitit."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import ClassVar

from asyncexec.backends.adapters.calls import CallsBackend
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.extras import require_extra
from asyncexec.backends.option_fields import takes_options
from asyncexec.backends.slurm.options import SlurmOptions
from asyncexec.backends.slurm.system import SlurmSystem

_NAME = "slurm"


class SlurmBackend(CallsBackend):
    """Run tasks as jobs of a SLURM cluster.

    Each job runs one batch of tasks at a time, and is kept for a while when it is idle; jobs that are needed at the
    same time are one job array. Jobs and driver exchange messages by files in a folder that they share. The driver runs
    on a machine that can submit jobs.

    Its options are the fields of :class:`SlurmOptions`.

    Raises
    ------
    OptionError
        If the value of an option is not allowed; on entering, if SLURM refuses such jobs.
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
        overlaps=True,
    )

    @takes_options(SlurmOptions)
    def __init__(self, options: SlurmOptions) -> None:
        require_extra(_NAME, "submitit")
        can = replace(
            self.features,
            worker_bytes=options.memory_bytes,
            guarantees_memory=options.memory_bytes is not None,
            loss_seconds=options.poll_seconds + 6.0,
            opening_seconds=options.start_timeout,
            opening_advice="`sbatch --test-only` does not answer: look at the controller (`scontrol ping`)",
        )
        self._slurm = SlurmSystem(options, can)
        super().__init__(self._slurm)

    def avoid(self, workers: Collection[str]) -> None:
        """Give these workers no more batches until the next call: their jobs finish the ones they have."""
        self._slurm.avoid(workers)
        self._dispatch()
