"""A run that was recorded: its plan, its policies, and what each attempt took."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from asyncexec.errors import OptionError
from asyncexec.events.records import RunFigures
from asyncexec.histories.model_stages import known_late, model_stage
from asyncexec.plan.memory import Memory
from asyncexec.plan.plan import Plan
from asyncexec.plan.stage import Read, Stage
from asyncexec.policies.retry import Retry

if TYPE_CHECKING:
    from asyncexec.plan.box import Shape

RUNS_ON = 2.0
"""How long an attempt that was stopped would have taken, as a multiple of its time, where nothing else tells. Of those
beyond t half are beyond 2t under the Pareto distribution with exponent 1, as durations with heavy tails have."""

type Seconds = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attempts:
    """The attempts of a stage that started on a worker, as arrays of shape (attempts,).

    Attributes
    ----------
    task, number : array of int64
        Flat index of the task, and the number of the attempt of it, from 1.
    backup : array of bool
    status : array of str
        As spelled by :class:`asyncexec.events.outcome.Status`.
    worker : array of str
    started, seconds : array of float64
        Time of the start, in seconds since the run started, and the duration, at least a microsecond.
    nbytes : array of int64
        The bytes that were read and written.
    """

    task: NDArray[np.int64]
    number: NDArray[np.int64]
    backup: NDArray[np.bool_]
    status: NDArray[np.str_]
    seconds: NDArray[np.float64]
    worker: NDArray[np.str_]
    started: NDArray[np.float64]
    nbytes: NDArray[np.int64]

    @property
    def ended(self) -> NDArray[np.float64]:
        """Time of the end on the worker, in seconds since the run started."""
        return self.started + self.seconds

    @property
    def succeeded(self) -> NDArray[np.bool_]:
        """True for each that succeeded."""
        found: NDArray[np.bool_] = self.status == "succeeded"
        return found

    def __len__(self) -> int:
        return len(self.task)

    def by_task(self, figures: NDArray[np.float64], tasks: int) -> NDArray[np.float64]:
        """Return the least figure of those that succeeded by their tasks, shape (tasks,); NaN where none did."""
        found = np.full(tasks, np.nan)
        np.fmin.at(found, self.task[self.succeeded], figures[self.succeeded])
        return found

    def before(self) -> NDArray[np.int64]:
        """Return the place of the attempt before on the same worker, shape (attempts,); -1 for the first of each."""
        order = np.lexsort((self.started, self.worker))
        same = self.worker[order[1:]] == self.worker[order[:-1]]
        found = np.full(len(self), -1)
        found[order[1:][same]] = order[:-1][same]
        return found

    def rows(self, *names: str) -> Iterator[tuple[Any, ...]]:
        """Return these figures of each attempt as plain values, in the order of their starts."""
        order = np.argsort(self.started, kind="stable")
        return zip(*(getattr(self, name)[order].tolist() for name in names), strict=True)

    def where(self, chosen: NDArray[np.bool_]) -> Attempts:
        """Return the chosen attempts."""
        return Attempts(**{each.name: getattr(self, each.name)[chosen] for each in fields(self)})

    @classmethod
    def all_of(cls, parts: Sequence[Attempts]) -> Attempts:
        """Return the attempts of at least one part together."""
        return cls(**{n: np.concatenate([getattr(p, n) for p in parts]) for n in cls.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedStage:
    """A stage of a run; ``completed`` of its tasks were complete after the run, and ``resumed`` before it.

    It ``waits_for`` stages that had to be complete before its size was known; it is ``late`` if the run ended before.
    """

    name: str
    shape: Shape
    projected_bytes: int
    idempotent: bool
    reads: tuple[Read, ...]
    completed: int
    resumed: int
    attempts: Attempts
    operation: str = ""
    waits_for: tuple[str, ...] = ()
    late: bool = False

    @property
    def measured(self) -> bool:
        """True if an attempt succeeded, so that the durations of its tasks are known."""
        return bool(np.any(self.attempts.succeeded))

    @property
    def tasks(self) -> int:
        """The number of its tasks."""
        return math.prod(self.shape)

    @property
    def own_seconds(self) -> NDArray[np.float64]:
        """The duration of each task, shape (tasks,); NaN where no attempt succeeded."""
        return self.attempts.by_task(self.attempts.seconds, self.tasks)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRun:
    """A run that has ended, of which ``slots`` attempts could run at once.

    Its ``figures`` are the abilities of its backend, and its policies.
    """

    folder: Path
    plan: str
    executor: str
    slots: int
    status: str
    wall_seconds: float
    stages: tuple[RecordedStage, ...]
    figures: RunFigures = field(default_factory=RunFigures)
    fingerprint: str = ""

    def to_plan(self) -> Plan:
        """Return a plan of the same stages, with kernels that do nothing; late stages get their sizes late.

        Raises
        ------
        OptionError
            If the run ended before the size of a stage was known.
        """
        if late := [stage.name for stage in self.stages if stage.late]:
            raise OptionError(
                f"{self.folder}: the run ended before it was known how many tasks {', '.join(late)} had, so nobody "
                f"knows the shape of the plan: take the history of a run that got further"
            )
        waited_for = {name for stage in self.stages for name in stage.waits_for}
        made: dict[str, Stage] = {}
        for stage in self.stages:
            whole = model_stage(
                stage.name,
                stage.shape,
                stage.reads,
                memory=Memory(projected_bytes=stage.projected_bytes),
                operation=stage.operation or stage.name,
                idempotent=stage.idempotent,
                holds_values=stage.name in waited_for,
            )
            made[stage.name] = known_late(whole, stage.waits_for, made)
        return Plan(made.values(), self.plan, ())

    @property
    def retry(self) -> Retry:
        """The run's retry policy, with at least as many attempts as the run needed."""
        figures = self.figures
        failed = [stage.attempts.where(stage.attempts.status == "failed") for stage in self.stages]
        most = max((int(np.bincount(each.task).max()) for each in failed if len(each)), default=0)
        return Retry(
            attempts=max(figures.retry_attempts, most + 1),
            base_seconds=figures.retry_base_seconds,
            cap_seconds=figures.retry_cap_seconds,
        )

    @property
    def attempts(self) -> int:
        """The number of attempts that started."""
        return sum(len(stage.attempts) for stage in self.stages)

    @property
    def backups(self) -> int:
        """The number of backups among them."""
        return sum(int(stage.attempts.backup.sum()) for stage in self.stages)

    @property
    def resumed(self) -> int:
        """The number of tasks that an earlier run had completed."""
        return sum(stage.resumed for stage in self.stages)

    @property
    def completed(self) -> int:
        """The number of tasks that were complete when the run had ended."""
        return sum(stage.completed for stage in self.stages)

    @property
    def whole(self) -> bool:
        """True if the run did all tasks of the plan; otherwise its duration is not that of the plan."""
        return self.status == "succeeded" and not self.resumed

    @property
    def slot_seconds(self) -> float:
        """The time for which attempts occupied workers."""
        return sum(float(stage.attempts.seconds.sum()) for stage in self.stages)

    def succeeded_seconds(self, stage: str | None = None) -> NDArray[np.float64]:
        """Return the durations of the attempts that succeeded, of one stage or of all together.

        Raises
        ------
        OptionError
            If there is no such stage, or none of its attempts succeeded.
        """
        names = [each.name for each in self.stages]
        if stage is not None and stage not in names:
            raise OptionError(f"{self.folder} has no stage {stage!r}; it has {', '.join(names)}")
        chosen = [each.attempts for each in self.stages if stage in (None, each.name)]
        found = np.concatenate([np.zeros(0), *(each.seconds[each.succeeded] for each in chosen)])
        if not len(found):
            raise OptionError(
                f"{self.folder} holds no attempt{'' if stage is None else f' of stage {stage!r}'} that succeeded, so "
                f"how long its tasks take is not known: take the history of another run"
            )
        return found
