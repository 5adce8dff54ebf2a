"""The reasons for a backup of a task of a recorded run, or for none: the run is replayed, and the rule decides again.

Every attempt is replayed when it started, on its worker, with the time that it took; the scheduler, its rule and its
figures are those of real runs. So the rule, and the detector of slow workers, know at each moment what they knew then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from itertools import starmap
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncexec.config.fields import nearest
from asyncexec.errors import OptionError
from asyncexec.events.records import BackupStarted
from asyncexec.histories.recorded import RecordedRun, RecordedStage
from asyncexec.plan.box import ravel
from asyncexec.simulation.as_json import attributes
from asyncexec.simulation.cluster import Cluster
from asyncexec.simulation.replay import ReplayBackend
from asyncexec.simulation.simulate import simulate
from asyncexec.simulation.what_if import as_it_was
from asyncexec.straggler.decision import BackupVerdict

if TYPE_CHECKING:
    from asyncexec.events.records import AnyEvent
    from asyncexec.scheduler.run import Run
    from asyncexec.straggler.statistics import DurationStatistics

_QUANTILES = np.linspace(0.0025, 0.9975, 200)
_SAME_TIME = 1e-6
_GIVEN = str(BackupVerdict.BACKUP)


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


def explain_task(run: RecordedRun, task: str, *, rule: str | None = None) -> TaskExplanation:
    """Return when and why the rule decided for or against a backup of a task.

    Parameters
    ----------
    run : RecordedRun
    task : str
        ``STAGE:INDEX``; the index is flat, or one number for each axis (``mean:3,0``). Where there is one stage, its
        name can be left out.
    rule : str, optional
        The name of a straggler rule; by default that of the run.

    Raises
    ------
    OptionError
        If there is no such task, or nothing of its stage was measured.
    """
    stage, index = _found(run, task)
    if unmeasured := [each.name for each in run.stages if each.tasks and not each.measured]:
        raise OptionError(
            f"the history holds no attempt of stage {unmeasured[0]!r} that succeeded, so it cannot be replayed: take "
            f"the history of a run that got further"
        )
    variant, figures = as_it_was(run), run.figures
    probe = _Probe(stage.name, index)
    simulate(
        run.to_plan(),
        Cluster(
            workers=run.slots, kills=figures.kills, avoids=figures.avoids, metered=figures.metered
        ),
        backend=partial(ReplayBackend, run=run, on_avoid=probe.avoid),
        straggler=rule or variant.rule,
        barriers=variant.barriers,
        retry=run.retry,
        observers=[probe],
        on_event=probe.look,
    )
    return TaskExplanation(
        stage=stage.name,
        task=index,
        rule=rule or variant.rule,
        recorded=_recorded(stage, index),
        considered=probe.considered(),
        slow_workers=tuple(
            SlowWorker(
                worker=worker,
                ratio=probe.ratios[worker],
                found=at,
                rested=tuple(probe.rests.get(worker, ())),
            )
            for worker, at in probe.slow_since.items()
        ),
    )


def _found(run: RecordedRun, task: str) -> tuple[RecordedStage, int]:
    """Return the stage and the flat index of a task as it is spelled."""
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


def _recorded(stage: RecordedStage, index: int) -> tuple[RecordedAttempt, ...]:
    own = stage.attempts.where(stage.attempts.task == index)
    rows = own.rows(*(each.name for each in fields(RecordedAttempt)))
    return tuple(starmap(RecordedAttempt, rows))


@dataclass(slots=True)
class _Probe:
    """Looks at the stage's monitor whenever the rule has decided, and notes the task's backups as an observer."""

    stage: str
    task: int
    checks: list[Considered] = field(default_factory=list[Considered])
    sent: list[float] = field(default_factory=list[float])
    ratios: Mapping[str, float] = field(default_factory=dict[str, float])
    slow_since: dict[str, float] = field(default_factory=dict[str, float])
    rests: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    _resting: frozenset[str] = frozenset()
    _checked_at: float = -math.inf

    def avoid(self, workers: frozenset[str], now: float) -> None:
        for worker in workers - self._resting:
            self.rests.setdefault(worker, []).append(now)
        self._resting = workers

    def observe(self, events: Sequence[AnyEvent]) -> None:
        for event in events:
            if isinstance(event, BackupStarted):
                attempt = event.attempt
                if (attempt.stage, attempt.task) == (self.stage, self.task):
                    self.sent.append(event.at)

    def look(self, run: Run, now: float) -> None:
        self.ratios = run.slow_workers.found
        for worker in self.ratios:
            self.slow_since.setdefault(worker, now)
        stage = next((each for each in run.stages if each.name == self.stage), None)
        # One that is complete has none any more.
        monitor = getattr(getattr(stage, "running", None), "monitor", None)
        if monitor is None or monitor.decision is None or monitor.checked_at <= self._checked_at:
            return
        self._checked_at = monitor.checked_at
        own = [each for each in monitor.attempts.values() if each.task == self.task]
        if not own:
            return
        newest = max(own, key=lambda each: each.id)
        decision = monitor.decision
        age = now - newest.started
        remaining, copy = _expected(monitor.known_durations, age)
        # Without one that this very check has sent.
        before = monitor.copies.sent - sum(at >= now - _SAME_TIME for at in self.sent)
        self.checks.append(
            Considered(
                at=now,
                until=now,
                age_seconds=age,
                slow_age_seconds=decision.age_seconds,
                remaining_seconds=remaining,
                copy_seconds=copy,
                attempts=len(own),
                copies=decision.copies,
                running_backups=before,
                backups=decision.backups,
                ground=str(decision.ground),
                verdict=str(monitor.verdict(newest, now)),
            )
        )

    def considered(self) -> tuple[Considered, ...]:
        """Return the checks, those with the same answer in a row as one; each backup is that of the check before it."""
        for at in self.sent:
            before = [place for place, each in enumerate(self.checks) if each.at <= at + _SAME_TIME]
            if before:
                given = self.checks[before[-1]]
                self.checks[before[-1]] = replace(given, started=True, verdict=_GIVEN)
        found: list[Considered] = []
        for each in self.checks:
            if found and found[-1].answer == each.answer:
                found[-1] = replace(found[-1], until=each.at, checks=found[-1].checks + 1)
            else:
                found.append(each)
        return tuple(found)


def _expected(known: DurationStatistics, age: float) -> tuple[float | None, float | None]:
    """Return the expected time that an attempt of this age still takes, and that of a new one; None if not known."""
    if not known.count:
        return None, None
    seconds = np.array([known.quantile(float(q)) for q in _QUANTILES])
    longer = seconds[seconds > age]
    return float(longer.mean() - age) if len(longer) else None, known.mean_seconds
