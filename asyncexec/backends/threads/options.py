"""The options of the executors that run tasks in threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from asyncexec.backends.named_resources import NamedResources
from asyncexec.backends.option_fields import check_options
from asyncexec.config.checks import Amount, Count, CountFromZero, Seconds
from asyncexec.errors import OptionError


def _one(value: object, where: str) -> int:
    if isinstance(value, bool) or value != 1:
        raise OptionError(
            f"{where} is 1, as it runs one task at a time, and not {value!r}: leave it out, or choose 'threads'"
        )
    return 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadsOptions:
    """Options of the executor ``threads``."""

    max_workers: Count | None = None
    """How many tasks run at once; default: the cores this process may use."""

    gpus: Amount | None = None
    """What stages may request under this name, in all; a task that has one is not bound to a device."""

    resources: NamedResources | None = None
    """The same for other names (``{"licence": 2}``)."""

    max_abandoned: CountFromZero | None = None
    """How many threads that were given up are replaced at a time; beyond it each takes a slot with it until it ends.
    Default: 4 x ``max_workers``."""

    patience: Seconds = 30.0
    """Seconds that work waits while given-up threads hold every slot, before the run fails with ``BackendError``."""

    def __post_init__(self) -> None:
        check_options(self, executor="threads")


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialOptions:
    """Options of the executor ``serial``."""

    max_workers: Annotated[int, _one] = 1
    """How many tasks run at once: 1, as that is what it is for; so that ``threads`` can be replaced by it."""

    max_abandoned: CountFromZero = 4
    """How many threads that were given up are replaced at a time."""

    patience: Seconds = 30.0
    """Seconds that work waits while a given-up thread holds the slot, before the run fails with ``BackendError``."""

    def __post_init__(self) -> None:
        check_options(self, executor="serial")
