"""The reasons for a backup of a task of a recorded run, or for none: the run is replayed, and the rule decides again.

Every attempt is replayed when it started, on its worker, with the time that it took; the scheduler, its rule and its
figures are those of real runs. So the rule, and the detector of slow workers, know at each moment what they knew then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from asyncexec.errors import OptionError
from asyncexec.events.records import BackupStarted
from asyncexec.histories.decisions import (
    Considered,
    SlowWorker,
    TaskExplanation,
    attempts_of,
    task_named,
)
from asyncexec.histories.recorded import RecordedRun
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


def explain_task(run: RecordedRun, task: str, *, rule: str | None = None) -> TaskExplanation:
    """Return when and why the rule decided for or against a backup of a task.

    Parameters
    ----------
    run : RecordedRun
    task : str
        As for :func:`asyncexec.histories.decisions.task_named`.
    rule : str, optional
        The name of a straggler rule; by default that of the run.

    Raises
    ------
    OptionError
        If there is no such task, or nothing of its stage was measured.
    """
    stage, index = task_named(run, task)
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
        recorded=attempts_of(stage, index),
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
