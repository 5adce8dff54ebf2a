"""Decisions about backups of a task of a recorded run, and the attempts that it had."""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import starmap
from typing import Any

from asyncexec.config.fields import nearest
from asyncexec.errors import OptionError
from asyncexec.histories.as_json import attributes
from asyncexec.histories.recorded import RecordedRun, RecordedStage
from asyncexec.plan.box import ravel


@dataclass(frozen=True, slots=True)
class RecordedAttempt:
    """An attempt of the task as it was (see :class:`Attempts`); times are seconds since the run started."""

    number: int
    backup: bool
    worker: str
    started: float
    seconds: float
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """Moments in a row at which the rule decided alike about the stage while the task ran; times are seconds.

    Attributes
    ----------
    at, until : float
        The first moment and the last, since the run started.
    checks : int
        The number of moments; the figures are those of the first.
    age_seconds : float
        Time since the newest attempt of the task started.
    slow_age_seconds : float or None
        The age beyond which tasks got a backup; None if none did.
    remaining_seconds : float or None
        The time that the attempt was expected to take from there, by attempts of the stage that took longer; None if
        none did.
    copy_seconds : float or None
        The time that a backup was expected to take: the mean of the attempts so far.
    attempts, copies : int
        The attempts of the task that ran, and how many may run at once.
    running_backups, backups : int
        The backups of the stage that ran, and how many may run at once: the budget.
    ground, verdict : str
        The ground of the decision about the stage, and the answer for the task.
    started : bool
        True if a backup of the task was started.
    """

    at: float
    until: float
    checks: int = 1
    age_seconds: float
    slow_age_seconds: float | None
    remaining_seconds: float | None
    copy_seconds: float | None
    attempts: int
    copies: int
    running_backups: int
    backups: int
    ground: str
    verdict: str
    started: bool = False

    @property
    def answer(self) -> tuple[str, str, int, bool]:
        """The part that is alike at all of the moments."""
        return self.ground, self.verdict, self.attempts, self.started


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowWorker:
    """A worker that was found slow in the replay.

    Attributes
    ----------
    worker : str
    ratio : float
        Its durations as a multiple of those of others, at most.
    found : float
        The time when it was found, in seconds since the run started.
    rested : tuple of float
        The times at which it was left idle; none where others would not have ended its tasks sooner.
    """

    worker: str
    ratio: float
    found: float
    rested: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskExplanation:
    """The answers of a rule about one task of a recorded run, and the slow workers, whatever ran on them."""

    stage: str
    task: int
    rule: str
    recorded: tuple[RecordedAttempt, ...]
    considered: tuple[Considered, ...]
    slow_workers: tuple[SlowWorker, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return everything in plain types."""
        lists = ("recorded", "considered", "slow_workers")
        return attributes(self, "stage", "task", "rule") | {
            name: [attributes(each) for each in getattr(self, name)] for name in lists
        }


def task_named(run: RecordedRun, task: str) -> tuple[RecordedStage, int]:
    """Return the stage and the flat index of a task, which is spelled ``STAGE:INDEX``.

    The index is flat, or one number for each axis (``mean:3,0``). Where there is one stage, its name can be left out.

    Raises
    ------
    OptionError
        If there is no such task.
    """
    name, _, place = task.rpartition(":")
    stages = {stage.name: stage for stage in run.stages}
    if not name and len(stages) == 1 and task[:1].isdigit():
        name = next(iter(stages))
    if name not in stages:
        near = nearest(name or task, stages)
        hint = f"did you mean {f'{near[0]}:{place}'!r}? " if near else ""
        raise OptionError(
            f"--explain {task}: the run has no stage {name or task!r}: {hint}write STAGE:INDEX; the stages are "
            f"{', '.join(stages)}"
        )
    stage = stages[name]
    axes = tuple(int(n) if n.strip().isdigit() else -1 for n in place.split(","))
    lengths = stage.shape if len(axes) == len(stage.shape) else (stage.tasks,)
    if len(axes) == len(lengths) and all(
        0 <= n < most for n, most in zip(axes, lengths, strict=True)
    ):
        return stage, ravel(axes, lengths)
    last = max(0, stage.tasks - 1)
    close = min(max(axes[0], 0), last) if len(axes) == 1 else last
    raise OptionError(
        f"--explain {task}: stage {name!r} (shape {stage.shape}) has tasks 0 to {last:,}, not {place!r}: did you "
        f"mean '{name}:{close}'?"
    )


def attempts_of(stage: RecordedStage, index: int) -> tuple[RecordedAttempt, ...]:
    """Return the attempts of a task, in the order of their starts."""
    own = stage.attempts.where(stage.attempts.task == index)
    rows = own.rows(*(each.name for each in fields(RecordedAttempt)))
    return tuple(starmap(RecordedAttempt, rows))
