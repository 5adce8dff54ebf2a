"""The result of a run: its value and its figures."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from asyncexec.engine.stage_values import StageValues
from asyncexec.events.stage_result import StageResult
from asyncexec.observers.formatting import over_memory
from asyncexec.plan.memory import format_bytes

if TYPE_CHECKING:
    from asyncexec.scheduler.run import Run


logger = logging.getLogger("asyncexec")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The value and the figures of a run that succeeded.

    >>> async with ax.Engine(executor="serial") as engine:
    ...     result = await engine.execute(ax.Plan.map(abs, [-1, 2]).reduce(sum))
    >>> result.value, result.tasks, result.retries
    (3, 3, 0)
    >>> [(stage.name, stage.tasks) for stage in result.stages]
    [('abs', 2), ('sum', 1)]

    Attributes
    ----------
    value : object
        For ``Plan.map`` a list in the order of the items, for ``Plan.reduce`` its function's last value, for an
        array a NumPy array; for a plan that returns several stages a dict by stage name; None where a plan only
        stores.
    values : StageValues
        The same by stage name, and those of further stages that the plan ``keeps``, opened when they are asked
        for: ``result.values["fetch"]``.
    plan, execution, executor : str
    stages : tuple of StageResult
    abandoned : int
        Attempts that were abandoned and may still be running (on backends that cannot kill).
    wall_seconds : float
    slow_workers : mapping of str to float
        Workers on which every stage took longer than on others, and how many times as long. Backends that can choose
        a worker leave them idle for two minutes.
    notes : tuple of str
        What was done otherwise than is usual, a sentence or two each; logged as warnings, too, before it is done: an
        array, say, that ``overwrite=True`` could not keep until the new one was complete.
    """

    value: Any = field(repr=False)
    values: StageValues = field(repr=False)
    plan: str
    execution: str
    executor: str
    stages: tuple[StageResult, ...]
    abandoned: int = 0
    wall_seconds: float
    slow_workers: Mapping[str, float] = field(default_factory=dict[str, float])
    notes: tuple[str, ...] = ()

    @property
    def tasks(self) -> int:
        """The number of tasks that are complete."""
        return sum(stage.completed for stage in self.stages)

    @property
    def failed_tasks(self) -> int:
        """The number of tasks that failed for good, and whose failure was kept (``on_failure="keep"``)."""
        return sum(stage.failed_tasks for stage in self.stages)

    @property
    def skipped_tasks(self) -> int:
        """The number of tasks that were not run, because a value that they read is missing."""
        return sum(stage.skipped_tasks for stage in self.stages)

    @property
    def attempts(self) -> int:
        """The number of attempts that have ended."""
        return sum(stage.attempts for stage in self.stages)

    @property
    def retries(self) -> int:
        """The number of attempts that followed a failed one."""
        return sum(stage.retries for stage in self.stages)

    @property
    def backups(self) -> int:
        """The number of attempts that were started while a slow one was still running."""
        return sum(stage.backups for stage in self.stages)

    @property
    def recomputed(self) -> int:
        """The number of tasks that ran again because what they had put out was lost or damaged."""
        return sum(stage.recomputed for stage in self.stages)

    @property
    def failures(self) -> int:
        """The number of attempts that failed, timed out or were lost."""
        return sum(stage.failures for stage in self.stages)

    @property
    def peak_bytes(self) -> int:
        """The most memory measured in a task's process; 0 where it cannot be measured."""
        return max((stage.peak_bytes for stage in self.stages), default=0)

    @property
    def events(self) -> Mapping[str, int]:
        """The number of events of each kind, as counted from the figures of the stages."""
        not_run = self.failed_tasks + self.skipped_tasks + sum(s.resumed for s in self.stages)
        return {
            "AttemptStarted": self.attempts - sum(stage.unstarted for stage in self.stages),
            "AttemptEnded": self.attempts,
            "TaskSucceeded": self.tasks - not_run,
            "TaskFailed": self.failed_tasks,
            "TaskSkipped": self.skipped_tasks,
            "OutputLost": self.recomputed,
            "RetryScheduled": self.retries,
            "BackupStarted": self.backups,
            "StageCompleted": sum(stage.completed == stage.tasks for stage in self.stages),
        }

    def close(self) -> None:
        """Delete the values that the plan ``keeps``, now rather than with this object."""
        self.values.close()

    def __repr__(self) -> str:
        peak = f", peak {format_bytes(self.peak_bytes)}" if self.peak_bytes else ""
        missing = {"failed": self.failed_tasks, "skipped": self.skipped_tasks}
        notes = "".join(f"; {note}" for note in self.notes)
        some = ", ".join(f"{count} {what}" for what, count in missing.items() if count)
        return (
            f"<Result of plan {self.plan!r} on {self.executor}: {self.tasks} tasks{some and f' ({some})'} "
            f"in {self.wall_seconds:.3g} s, "
            f"{self.attempts} attempts, {self.retries} retries, {self.backups} backups{peak}{notes}>"
        )


def result_of(
    run: Run,
    *,
    value: Any,
    values: StageValues,
    executor: str,
    wall_seconds: float,
    notes: tuple[str, ...] = (),
) -> Result:
    """Return the result of a run that has succeeded; tasks that took more memory than they may are noted and logged."""
    figures = tuple(stage.figures for stage in run.stages)
    over = tuple(over_memory(stage) for stage in figures if stage.over_memory)
    for note in over:
        logger.warning("execution %s: %s", run.name, note)
    return Result(
        value=value,
        values=values,
        plan=run.plan.name,
        execution=run.name,
        executor=executor,
        stages=figures,
        abandoned=run.status.abandoned,
        wall_seconds=wall_seconds,
        slow_workers=dict(run.slow_workers.found),
        notes=(*notes, *over),
    )
