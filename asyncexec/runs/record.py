"""The record of a run: its state, stages, times, result or error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

type RunStatus = Literal["running", "succeeded", "failed", "cancelled", "lost"]
"""The state of a run. ``"lost"``: it was running when its process ended, so that nobody recorded its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRecord:
    """The figures of a stage of a recorded run; times are seconds since the epoch, 0.0 before."""

    name: str
    tasks: int = 0
    completed: int = 0
    resumed: int = 0
    attempts: int = 0
    retries: int = 0
    failures: int = 0
    backups: int = 0
    busy_seconds: float = 0.0
    started_at: float = 0.0
    ended_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run, as a :class:`~asyncexec.runs.RunStore` keeps it.

    Attributes
    ----------
    id : str
        Unique, 32 hexadecimal digits.
    name : str
        For people; the name of the execution.
    plan, executor, workflow, namespace, fingerprint : str
        Empty where a run has none.
    status : str
        ``"running"``, ``"succeeded"``, ``"failed"``, ``"cancelled"``, or ``"lost"`` where its process ended first.
    started_at, ended_at, updated_at : float
        Seconds since the epoch; ``ended_at`` is 0.0 while it runs.
    stages : tuple of StageRecord
    result : object
        The value, where it is JSON of at most 64 kB; None otherwise.
    result_text : str
        The value as text, shortened.
    error_type, error : str
        The class and the message of the error that ended the run.
    history : str
        The folder that :class:`~asyncexec.History` wrote of it.
    source : mapping
        What was run, as its starter described it (file, inputs, work directory); plain data.
    host : str
    pid : int
        The machine and the process that ran it.
    """

    id: str
    name: str
    plan: str
    status: RunStatus
    started_at: float
    executor: str = ""
    workflow: str = ""
    namespace: str = ""
    fingerprint: str = ""
    ended_at: float = 0.0
    updated_at: float = 0.0
    stages: tuple[StageRecord, ...] = ()
    result: Any = None
    result_text: str = ""
    error_type: str = ""
    error: str = ""
    history: str = ""
    source: Mapping[str, Any] = field(default_factory=dict[str, Any])
    host: str = ""
    pid: int = 0

    @property
    def wall_seconds(self) -> float:
        """The time from the start to the end, or to the last sign of life."""
        return max(0.0, (self.ended_at or self.updated_at) - self.started_at)

    @property
    def tasks(self) -> int:
        """The number of tasks, as far as was known."""
        return sum(stage.tasks for stage in self.stages)

    @property
    def completed(self) -> int:
        """The number of complete tasks."""
        return sum(stage.completed for stage in self.stages)

    def as_json(self) -> dict[str, Any]:
        """Return everything in plain types."""
        return asdict(self) | {
            "tasks": self.tasks,
            "completed": self.completed,
            "wall_seconds": self.wall_seconds,
        }
