"""The options of the executor ``futures``."""

from __future__ import annotations

import sys
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Annotated

from asyncexec.backends.futures.system import PoolSource
from asyncexec.backends.option_fields import check_options
from asyncexec.config.checks import Count, Memory, Seconds, bytes_of
from asyncexec.errors import OptionError


def _pool(value: object, where: str) -> object:
    if not isinstance(value, Executor) and not callable(value):
        raise OptionError(
            f"{where} must be a concurrent.futures.Executor or a function "
            f"that makes one (lambda: ProcessPoolExecutor(4)), not {value!r}"
        )
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class FuturesOptions:
    """Options of the executor ``futures``."""

    executor: Annotated[PoolSource, _pool]
    """A pool, which stays the caller's: it is not shut down, and when it breaks the run fails. Or a function that makes
    a pool, which is then shut down on leaving, and made anew when it breaks."""

    max_workers: Count | None = None
    """How many tasks to run at once; default: what the pool says."""

    batch_limit: Count = 256
    """How many tasks may go into one call: as many short ones as make up 100 ms of work. Their outcomes come together
    when the last has ended, and only the start of the first is known. Where one of them does not end, the call is given
    up, and the others are done by another; those of a broken pool all count as having run, and are tried again one by
    one. With 1, each task has a call of its own."""

    memory: Memory | None = None
    """How much memory a worker may hold while it runs tasks (``2_000_000_000`` or ``"2GB"``): a task that asks for more
    gets a ``MemoryError``. Plans that are allowed more are refused. For pools of processes on Linux."""

    patience: Seconds = 30.0
    """Seconds that work waits while given-up tasks hold every worker, before the pool counts as broken."""

    def __post_init__(self) -> None:
        check_options(self, executor="futures")
        if self.memory is not None and sys.platform != "linux":
            raise OptionError(
                f"executor 'futures': memory works on Linux only: leave it out on {sys.platform}"
            )

    @property
    def limit_bytes(self) -> int | None:
        """The bytes that a worker may hold; None for no limit."""
        return bytes_of(self.memory)
