"""The parts of a stage that only its attempts need, and what makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from asyncexec.straggler.watched import WatchedAttempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncexec.backends.contract import StageProgram
    from asyncexec.scheduler.batching import BatchSize
    from asyncexec.straggler.monitor import AttemptMonitor
    from asyncexec.straggler.slow_workers import SlowWorkers


class RunningParts[A: WatchedAttempt](NamedTuple):
    """The parts that the attempts of a stage need, besides its program.

    Attributes
    ----------
    inputs : callable
        ``inputs(task)`` gathers what the kernel gets of a task.
    batch : BatchSize
    monitor : AttemptMonitor
        The monitor of the attempts that run, which finds slow ones.
    """

    inputs: Callable[[int], tuple[Any, ...]]
    batch: BatchSize
    monitor: AttemptMonitor[A]


class MakesParts[S, A: WatchedAttempt](Protocol):
    """Makes the parts of a stage ``S``, which it is given, with attempts ``A``."""

    @property
    def slow_workers(self) -> SlowWorkers:
        """The workers of the run on which every task takes long."""
        ...

    def program(self, stage: S, /) -> StageProgram:
        """Return the program of its tasks."""
        ...

    def running(self, stage: S, /) -> RunningParts[A]:
        """Return the others."""
        ...
