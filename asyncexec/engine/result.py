"""What a run leaves behind: its value and its figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from asyncexec.plan.memory import format_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """Figures of one stage.

    Attributes
    ----------
    name, operation : str
    tasks : int
        How many it has; ``completed`` of them are complete, ``resumed`` of those by an earlier run.
    attempts, retries, backups, failures : int
    read_bytes, written_bytes : int
        Chunk data, not encoded.
    projected_bytes, peak_bytes : int
        The most a task's process was projected to need, and the most measured (0 where it cannot be).
    busy_seconds : float
        Time workers spent in its attempts.
    wall_seconds : float
        From its first attempt handed out to its last task complete.
    """

    name: str
    operation: str
    tasks: int
    completed: int = 0
    resumed: int = 0
    attempts: int = 0
    retries: int = 0
    backups: int = 0
    failures: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    projected_bytes: int = 0
    peak_bytes: int = 0
    busy_seconds: float = 0.0
    wall_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run leaves behind.

    Attributes
    ----------
    value : object
        For ``Plan.map`` a list in the order of the items, for ``Plan.reduce`` what its function returned, for an
        array a NumPy array; for a plan that returns several stages a dict by stage name; None where a plan only
        stores.
    plan, execution, executor : str
    stages : tuple of StageResult
    abandoned : int
        Attempts given up that may still be running (backends that cannot kill).
    wall_seconds : float
    slow_workers : mapping of str to float
        Workers on which everything took longer, and how many times as long. Backends that can, leave them idle for two
        minutes.
    """

    value: Any = field(repr=False)
    plan: str
    execution: str
    executor: str
    stages: tuple[StageResult, ...]
    abandoned: int = 0
    wall_seconds: float
    slow_workers: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def tasks(self) -> int:
        """How many tasks are complete."""
        return sum(stage.completed for stage in self.stages)

    @property
    def attempts(self) -> int:
        """How many attempts were handed out."""
        return sum(stage.attempts for stage in self.stages)

    @property
    def retries(self) -> int:
        """How many attempts followed a failed one."""
        return sum(stage.retries for stage in self.stages)

    @property
    def backups(self) -> int:
        """How many attempts were started beside a slow one."""
        return sum(stage.backups for stage in self.stages)

    @property
    def failures(self) -> int:
        """How many attempts failed, timed out or were lost."""
        return sum(stage.failures for stage in self.stages)

    @property
    def peak_bytes(self) -> int:
        """The most memory measured in a task's process; 0 where it cannot be measured."""
        return max((stage.peak_bytes for stage in self.stages), default=0)

    @property
    def events(self) -> Mapping[str, int]:
        """How many events of each kind there were."""
        return {
            "AttemptStarted": self.attempts,
            "TaskSucceeded": self.tasks - sum(stage.resumed for stage in self.stages),
            "RetryScheduled": self.retries,
            "BackupStarted": self.backups,
            "StageCompleted": sum(stage.completed == stage.tasks for stage in self.stages),
        }

    def __repr__(self) -> str:
        peak = f", peak {format_bytes(self.peak_bytes)}" if self.peak_bytes else ""
        return (
            f"<Result of plan {self.plan!r} on {self.executor}: {self.tasks} tasks in {self.wall_seconds:.3g} s, "
            f"{self.attempts} attempts, {self.retries} retries, {self.backups} backups{peak}>"
        )
