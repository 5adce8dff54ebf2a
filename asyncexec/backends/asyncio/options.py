"""The options of the executor that runs coroutine tasks on the caller's event loop."""

from __future__ import annotations

from dataclasses import dataclass

from asyncexec.backends.option_fields import check_options
from asyncexec.config.checks import Count, CountFromZero, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncioOptions:
    """Options of the executor ``asyncio``."""

    concurrency: Count = 1000
    """How many coroutine tasks run at once in all; a stage with ``concurrency`` runs no more of its own than that."""

    max_threads: Count | None = None
    """How many plain functions run at once, in threads; default: the cores this process may use, and 4 more."""

    max_abandoned: CountFromZero | None = None
    """How many threads that were given up are replaced at a time; beyond it each takes its place until it ends.
    Default: 4 x ``max_threads``."""

    patience: Seconds = 30.0
    """Seconds that plain functions wait while given-up threads hold every place, before the run fails with
    ``BackendError``."""

    def __post_init__(self) -> None:
        check_options(self, executor="asyncio")
