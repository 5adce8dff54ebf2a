"""Watches attempts that have started: which are over their time, and which are slow enough for a backup.

A stage's started attempts are kept oldest first, so a look costs what is overdue, not what runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from asyncexec.policies.timeout import hang_seconds
from asyncexec.scheduler.patience import Patience
from asyncexec.straggler.rule import EVIDENCE, StageView, steady
from asyncexec.straggler.statistics import DurationStatistics

if TYPE_CHECKING:
    from asyncexec.backends.contract import Capabilities
    from asyncexec.scheduler.attempts import Running, Trouble
    from asyncexec.scheduler.stage import StageState

HANG_LOOK_SECONDS = 10.0
LOOK_SECONDS = 0.1
"""How often thresholds, which move with the statistics, are looked at."""


_NONE = DurationStatistics()


class Seen(NamedTuple):
    """What a stage looked like, and what its rule said to that."""

    completed: int
    draining: bool
    threshold: float | None
    copies: int


class Lookout:
    """Finds overdue and slow attempts of a stage.

    Attributes
    ----------
    cold_start_seconds : float
        What an attempt on a worker that was not known yet has taken to start, at the least; infinity before there was
        any.
    """

    def __init__(self, capabilities: Capabilities) -> None:
        self._capabilities = capabilities
        self.cold_start_seconds = math.inf

    @property
    def _cold_start(self) -> float:
        return 0.0 if self.cold_start_seconds == math.inf else self.cold_start_seconds

    def overdue(self, stage: StageState, now: float) -> Iterator[Running]:
        """Iterate over attempts that have run longer than the stage's task timeout, and were not stopped yet."""
        limit = stage.settings.timeout.task
        if limit is None:
            yield from self._hung(stage, now)
            return
        for running in stage.started.values():
            # The same sum as in `next_look`: rounded otherwise, it would be due and not overdue for ever.
            if now < running.started + limit:
                return
            if not running.timed_out:
                yield running

    def _hung(self, stage: StageState, now: float) -> Iterator[Running]:
        """Iterate over attempts that run so much longer than others that they are taken for hung."""
        statistics = _statistics(stage)
        if not stage.watches_hangs or statistics.count < EVIDENCE:
            return
        quantile = statistics.quantile(0.99)
        limit = stage.hang_seconds = hang_seconds(quantile)
        for running in stage.started.values():
            if now < running.started + limit:
                return
            stopped = 0 if running.trouble is None else running.trouble.hangs
            over = now >= running.started + hang_seconds(quantile, stopped)
            if over and not running.timed_out:
                yield running

    def slow(self, stage: StageState, now: float, idle_slots: int) -> list[Running]:
        """Return the attempts whose tasks get a backup now, oldest first."""
        view = self._view(stage, now, idle_slots)
        threshold = stage.settings.straggler.threshold(view)
        copies = stage.settings.straggler.copies(view)
        stage.seen = Seen(stage.completed, view.draining, threshold, copies)
        if threshold is None:
            return []
        allowed = (
            stage.settings.straggler.backups(view) - stage.running_backups - len(stage.backups)
        )
        if allowed <= 0:
            return []
        patience = self._patience(stage, threshold)
        return list(islice(self._overage(stage, patience, now, copies), allowed))

    def next_look(self, stage: StageState, idle_slots: int) -> float:
        """Return when to look again."""
        limit = stage.settings.timeout.task
        due = float("inf")
        if limit is not None:
            due = next((r.started + limit for r in stage.started.values() if not r.timed_out), due)
        elif stage.watches_hangs:
            due = self._next_hang(stage)
        if stage.settings.straggler.name == "off":
            return due
        return min(due, self._next_backup(stage, idle_slots))

    @staticmethod
    def _next_hang(stage: StageState) -> float:
        """Return when some attempt may count as hung, as far as was known at the last look."""
        if _statistics(stage).count < EVIDENCE:
            return math.inf  # Nothing is known, and only a report can change that.
        oldest = next((r.started for r in stage.started.values() if not r.timed_out), math.inf)
        return max(oldest + stage.hang_seconds, stage.looked_at + HANG_LOOK_SECONDS)

    def _next_backup(self, stage: StageState, idle_slots: int) -> float:
        """Return when some attempt may be slow, as far as is known now."""
        soon = stage.looked_at + LOOK_SECONDS
        seen = stage.seen
        if (
            seen is None
            or seen.completed != stage.completed
            or seen.draining != _drains(stage, idle_slots)
            or not steady(stage.settings.straggler)
        ):
            return soon
        if seen.threshold is None:
            return math.inf
        patience = self._patience(stage, seen.threshold)
        least, due = patience.least, math.inf
        for running in self._candidates(stage, seen.copies):
            if running.started + least >= due:
                break
            due = min(due, running.started + patience.with_task(running.task))
        return max(soon, due)

    def _patience(self, stage: StageState, threshold: float) -> Patience:
        floor = stage.settings.straggler.floor_seconds + self._cold_start
        return Patience(threshold_seconds=threshold, floor_seconds=floor, sizes=stage.sizes)

    def _overage(
        self, stage: StageState, patience: Patience, now: float, copies: int
    ) -> Iterator[Running]:
        """Iterate over attempts that have run for so long that their tasks may have a backup."""
        least = patience.least
        for running in self._candidates(stage, copies):
            if now < running.started + least:
                return
            if patience.sizes is None or now >= running.started + patience.with_task(running.task):
                yield running

    def _candidates(self, stage: StageState, copies: int) -> Iterator[Running]:
        """Iterate over attempts whose tasks may have a backup if these are slow, oldest first."""
        for running in stage.started.values():
            if not running.timed_out and running.task not in stage.backups:
                trouble = running.trouble
                if trouble is None or _may_have_another(trouble, running, copies):
                    yield running

    def _view(self, stage: StageState, now: float, idle_slots: int) -> StageView:
        return StageView(
            tasks=stage.tasks,
            completed=stage.completed,
            draining=_drains(stage, idle_slots),
            slots=stage.slots(),
            running_backups=stage.running_backups,
            cancels=self._capabilities.kills,
            metered=self._capabilities.metered,
            statistics=_statistics(stage),
            cold_start_seconds=self._cold_start,
            started_backups=stage.backed_up,
            settled_backups=stage.backups_settled,
            won_backups=stage.backups_won,
            outlook=stage.outlook,
            elapsed_seconds=0.0 if stage.first_at is None else now - stage.first_at,
            completions=stage.completions or _NONE,
        )


def _statistics(stage: StageState) -> DurationStatistics:
    """Return the stage's own durations where there are enough to go by, and those of tasks like its own otherwise."""
    enough = stage.statistics.count >= min(EVIDENCE, stage.tasks / 2)
    return stage.statistics if enough or not stage.experience.count else stage.experience


def _drains(stage: StageState, idle_slots: int) -> bool:
    # With every slot taken and nothing queued, as in the middle of a pipelined plan as wide as the backend, a backup
    # takes a slot that some chain would take a moment later; and that chain is not the one all wait for.
    return idle_slots >= 0 and not stage.launchable


def _may_have_another(trouble: Trouble, newest: Running, copies: int) -> bool:
    """Whether ``newest`` is the task's newest attempt and one more is allowed.

    A task that is complete has losers that still run until they are stopped: they get no backup.
    """
    alive = trouble.alive
    return not trouble.complete and len(alive) < copies and next(reversed(alive)) == newest.id
