"""The options of the executor ``processes``."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Annotated

from asyncexec.backends.contract import StageProgram
from asyncexec.backends.named_resources import NamedResources
from asyncexec.backends.option_fields import check_options
from asyncexec.config.checks import Amount, Count, EnvVars, Seconds, memory_bytes
from asyncexec.errors import OptionError

ALLOWED = "allowed"


def _limit(value: float | str, where: str) -> int | str | None:
    if sys.platform != "linux":
        raise OptionError(f"{where} works on Linux only: leave it out on {sys.platform}")
    return ALLOWED if value == ALLOWED else memory_bytes(value, where)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessesOptions:
    """Options of the executor ``processes``."""

    max_workers: Count | None = None
    """How many tasks run at once; default: the cores this process may use."""

    memory_limit: Annotated[int | str, _limit] | None = None
    """How much memory a worker may hold (``2_000_000_000`` or ``"2GB"``), or ``"allowed"`` for what each stage says its
    tasks may hold. A task that asks for more gets a ``MemoryError``. Linux only."""

    gpus: Amount | None = None
    """What stages may request under this name, in all; a task that has one is not bound to a device."""

    resources: NamedResources | None = None
    """The same for other names (``{"licence": 2}``)."""

    env_vars: EnvVars | None = field(default=None, repr=False)
    """Environment variables of the workers, beside the driver's. Workers run single-threaded libraries
    (``OMP_NUM_THREADS=1`` and its like) unless they are set here."""

    max_tasks_per_worker: Count | None = None
    """After how many tasks a worker is replaced by a fresh one."""

    start_timeout: Seconds = 60.0
    """Seconds that a worker may take to start."""

    def __post_init__(self) -> None:
        check_options(self, executor="processes")

    @property
    def limit_bytes(self) -> int | None:
        """The limit of every worker; None where there is none, or each stage has its own."""
        return self.memory_limit if isinstance(self.memory_limit, int) else None

    def allowed_bytes(self, program: StageProgram) -> int | None:
        """Return what a worker may hold while it runs a program; None where there is no limit."""
        if self.memory_limit != ALLOWED or program.memory_bytes is None:
            return self.limit_bytes
        return program.slot_bytes
