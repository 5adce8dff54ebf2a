"""The parts of a stage that only one needs of which tasks run: made when they are first asked for, and let go of.

A plan may have thousands of stages, and an engine as many plans, of which most wait or are complete: what each of them
holds is gone through by the garbage collector again and again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from asyncexec.straggler.watched import WatchedAttempt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncexec.backends.contract import StageProgram
    from asyncexec.scheduler.batching import BatchSize
    from asyncexec.straggler.monitor import AttemptMonitor
    from asyncexec.straggler.slow_workers import SlowWorkers


class RunningParts(NamedTuple):
    """The parts that go with the attempts of a stage; see :class:`LateParts`."""

    inputs: Callable[[int], tuple[Any, ...]]
    batch: BatchSize
    monitor: AttemptMonitor[Any]


class MakesParts(Protocol):
    """Makes the parts of a stage, which it is given."""

    @property
    def slow_workers(self) -> SlowWorkers:
        """The workers of the run on which every task takes long."""
        ...

    def program(self, stage: Any, /) -> StageProgram:
        """Return the program of its tasks."""
        ...

    def running(self, stage: Any, /) -> RunningParts:
        """Return the others."""
        ...


class LateParts[A: WatchedAttempt]:
    """A stage as far as its parts go.

    Parameters
    ----------
    maker : MakesParts

    Attributes
    ----------
    program : StageProgram
    inputs : callable
        ``inputs(task)`` gathers what the kernel gets of a task.
    batch : BatchSize
    monitor : AttemptMonitor
        The monitor of its running attempts, which finds slow ones.
    backups : sequence of int
        The monitor's tasks that are to get a backup.
    runs : bool
        Whether all but the program are there.
    """

    __slots__ = ("_maker", "backups", "batch", "inputs", "monitor", "program", "runs")

    program: StageProgram
    inputs: Callable[[int], tuple[Any, ...]]
    batch: BatchSize
    monitor: AttemptMonitor[A]

    def __init__(self, maker: MakesParts) -> None:
        self._maker = maker
        self.backups: Sequence[int] = ()
        self.runs = False

    if not TYPE_CHECKING:  # or every name would be an attribute

        def __getattr__(self, name: str) -> Any:
            """Make a part, as it is not there; one that is there costs no call."""
            if name == "program":
                self.program = self._maker.program(self)
            elif name in RunningParts._fields:
                self.inputs, self.batch, self.monitor = self._maker.running(self)
                self.backups = self.monitor.backups
                self.runs = True
            else:
                raise AttributeError(f"{type(self).__name__} has no attribute {name!r}", obj=self)
            return getattr(self, name)

    def drop_parts(self, *, keeps_program: bool = False) -> None:
        """Let go of the parts, as no task is left; should one run again, they are made again."""
        if self.runs:
            self.runs = False
            self.backups = ()
            del self.inputs, self.batch, self.monitor
        if not keeps_program:
            try:
                del self.program
            except AttributeError:  # It was never asked for.
                return
