"""The backups of a stage that run now: what they show, and which of them are to be stopped."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

from asyncexec.events.outcome import Status
from asyncexec.straggler.copy_ledger import CopyFigures, CopyLedger, wins_expected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncexec.events.outcome import Outcome
    from asyncexec.straggler.decision import BackupDecision
    from asyncexec.straggler.watched import WatchedAttempt

# Backups of what seems to hang may cost this share of the work, where they run on. What has run for long is expected to
# run for as long again.
_PAID_SHARE = 0.08
_EXPECTED_AGES = 2.0


class ShareLonger(Protocol):
    """A function that returns the share of a stage's attempts that run longer, by what is known now."""

    def __call__(self, seconds: float, task: int, /) -> float:
        """Return the share, from 0 to 1, that run longer than an attempt of ``task`` that has run for ``seconds``."""
        ...


class _Running[A](NamedTuple):
    attempt: A
    # How old the task's oldest attempt was when the backup started.
    overtaking_seconds: float
    on_idle_slot: bool


class CopyWatch[A: WatchedAttempt]:
    """The backups of a stage.

    Parameters
    ----------
    like : CopyLedger
        The account of all backups of tasks that call the same function; these are added to it.
    kills : bool
        Whether an attempt that runs can be stopped.
    longer : ShareLonger

    Attributes
    ----------
    sent : int
        Backups that were sent to the backend and have not ended.
    ended : int
        Backups that have ended.
    for_idle_slots : set of int
        The tasks whose next backup is for an idle slot, while nothing of the stage is queued.
    """

    __slots__ = (
        "_kills",
        "_like",
        "_longer",
        "_own",
        "_running",
        "ended",
        "for_idle_slots",
        "sent",
    )

    def __init__(self, like: CopyLedger, *, kills: bool, longer: ShareLonger) -> None:
        self.sent = 0
        self.ended = 0
        self.for_idle_slots: set[int] = set()
        self._like = like
        self._own = CopyLedger()
        self._kills = kills
        self._longer = longer
        self._running: dict[int, _Running[A]] = {}

    def started(self, attempt: A, now: float) -> None:
        """Record that a backup has started on a worker."""
        on_idle_slot = attempt.task in self.for_idle_slots
        self.for_idle_slots.discard(attempt.task)
        self._running[attempt.id] = _Running(attempt, _oldest_age(attempt, now), on_idle_slot)

    def ended_with(self, attempt: A, outcome: Outcome, now: float) -> None:
        """Record that a backup that was sent has ended; its task's record still has it among its attempts."""
        self.sent -= 1
        self.ended += 1
        running = self._running.pop(attempt.id, None)
        if not outcome.started:
            return
        record, seconds = attempt.task_record, outcome.seconds
        expected = wins_expected(self._longer(seconds, attempt.task))
        if outcome.status is Status.SUCCEEDED and record is not None and not record.complete:
            if (
                len(record.alive) > 1
            ):  # Else the task has failed meanwhile, which says nothing of its duration.
                overtaken = _oldest_age(attempt, now)
                for ledger in (self._own, self._like):
                    ledger.won(seconds, expected=expected, overtaken_seconds=overtaken)
            return
        if not self._kills and running is not None:
            seconds += running.overtaking_seconds
        for ledger in (self._own, self._like):
            ledger.lost(seconds, expected=expected)

    def figures(self, now: float) -> tuple[CopyFigures, CopyFigures]:
        """Return the accounts of the stage's backups, and of those of other stages like it."""
        own = self._own.figures
        like = self._like.figures.minus(own)
        if self._running:
            seconds = expected = 0.0
            for attempt, before, _ in self._running.values():
                age = now - attempt.started
                seconds += age if self._kills else age + before
                expected += wins_expected(self._longer(age, attempt.task))
            own = replace(own, expected=own.expected + expected, running_seconds=seconds)
        return own, like

    def paid_by(self, work_seconds: float, age: float, *, queued: int, now: float) -> bool:
        """Return whether the stage's work pays for one more backup that runs on if it loses.

        Once any has won, it does: what the task's attempt met is likely to be an accident.

        Parameters
        ----------
        work_seconds : float
            The worker time of the stage's attempts so far, those of backups that run included.
        age : float
            That of the attempt that it is for.
        queued : int
            The backups that are to be sent, for attempts of about that age.
        now : float
        """
        copies, _ = self.figures(now)
        further = queued + 1 + self.sent - len(self._running)
        cost = copies.vain_seconds + copies.won_seconds + copies.running_seconds
        cost += _EXPECTED_AGES * age * further
        work = work_seconds - copies.running_seconds + copies.overtaken_seconds
        return copies.won > 0 or cost <= _PAID_SHARE * work

    def to_stop(self, decision: BackupDecision, now: float, *, idle_slots: int = 0) -> list[A]:
        """Return the backups that are to be stopped, none of which is its task's only attempt.

        They have run in vain for as long as the decision says, or tasks wait for slots (``idle_slots`` is negative),
        and those that took idle ones yield them: the youngest first.
        """
        running = list(self._stops(decision))
        stopped = [attempt for attempt, due in running if now >= due]
        wanted = max(0, -idle_slots - len(stopped))
        young = (
            attempt
            for attempt, due in reversed(running)
            if now < due
            and self._running[attempt.id].on_idle_slot
            and _oldest_age(attempt, now) < decision.yields_below_seconds
        )
        return stopped + list(islice(young, wanted))

    def yields(self, decision: BackupDecision) -> bool:
        """Return whether any backup may have to leave its slot to another task."""
        return decision.yields_below_seconds > 0 and bool(self._running)

    def next_stop(self, decision: BackupDecision) -> float:
        """Return the earliest time at which a backup is to be stopped; infinity if none is."""
        return min((due for _, due in self._stops(decision)), default=math.inf)

    def _stops(self, decision: BackupDecision) -> Iterator[tuple[A, float]]:
        """Yield the backups that can be stopped, with the times at which they are to be."""
        if not self._kills or decision.stop_seconds == math.inf:
            return
        for attempt, overtaking, _ in self._running.values():
            record = attempt.task_record
            if record is None or record.complete or len(record.alive) < 2:
                continue
            if not (attempt.given_up or attempt.timed_out):
                seconds = max(decision.stop_seconds, decision.stop_share * overtaking)
                yield attempt, attempt.started + seconds


def _oldest_age(attempt: WatchedAttempt, now: float) -> float:
    """Return the age of the oldest attempt of the same task that has started."""
    record = attempt.task_record
    starts = () if record is None else (a.started for a in record.alive.values() if a.started >= 0)
    return now - min(starts, default=now)
