"""The comparison of workers by the attempts of one stage: it passes ranks of durations on to the run's evidence.

Nothing here reads a clock: times are arguments.
"""

from __future__ import annotations

from itertools import islice, takewhile
from typing import TYPE_CHECKING, Protocol

from asyncexec.straggler.duration_ranks import DurationRanks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from asyncexec.straggler.rule import Rule
    from asyncexec.straggler.slow_workers import SlowWorkers
    from asyncexec.straggler.task_sizes import TaskSizes

LEAST_SECONDS = 0.05
"""Stages whose tasks typically take less say nothing: such durations depend on messages more than on workers."""

REST_TASKS = 20.0
"""A slow worker is left idle for as long as so many typical tasks take."""

_LEAST_KNOWN = 8
# Attempts that have run for less than this multiple of the typical duration say little.
_OLD = 1.2
_MOST_LOOKED_AT = 256
# They are looked at so often in a typical duration, so that each costs no more than a few reports.
_LOOK_EACH = 1 / 8


class WorkingAttempt(Protocol):
    """An attempt that runs on a worker."""

    @property
    def task(self) -> int: ...

    @property
    def worker(self) -> str: ...

    @property
    def started(self) -> float:
        """The time at which it was reported to have started, by the scheduler's clock."""
        ...


class WorkerWatch[A: WorkingAttempt]:
    """Compares the workers of one stage's attempts.

    Parameters
    ----------
    slow_workers : SlowWorkers
        The run's, to which what is found is added.
    attempts : mapping of int to attempt
        Those that run, oldest first, kept by the stage's monitor.
    sizes : TaskSizes or None
        The sizes of the tasks, by which durations are divided.

    Attributes
    ----------
    ranks : DurationRanks or None
        None before the first task that takes long enough.
    """

    __slots__ = ("_attempts", "_next_look", "_sizes", "_slow_workers", "ranks")

    def __init__(
        self, slow_workers: SlowWorkers, attempts: Mapping[int, A], sizes: TaskSizes | None
    ) -> None:
        self._slow_workers = slow_workers
        self._attempts = attempts
        self._sizes = sizes
        self._next_look = 0.0
        self.ranks: DurationRanks | None = None

    def begin(self, typical_seconds: float) -> None:
        """Compare attempts from now on, if the stage's tasks typically take long enough."""
        if typical_seconds >= LEAST_SECONDS:
            self.ranks = DurationRanks(self._ages, self._slow_workers.suspects)

    def ended(
        self,
        worker: str,
        seconds: float,
        *,
        now: float,
        complete: bool = True,
    ) -> None:
        """Add an attempt that has ended, or was stopped (``complete`` is False) and would have run for longer.

        Parameters
        ----------
        worker : str
        seconds : float
            Its duration, scaled to a whole task.
        now : float
        complete : bool
        """
        ranks = self.ranks
        if ranks is None or not worker or seconds <= 0:
            return
        # It ran with others of its host, whose durations are no measure for it.
        group = self._slow_workers.hosts.shared(worker) or worker
        known = ranks.known >= _LEAST_KNOWN
        self._slow_workers.ended(
            worker,
            ranks.longer_share(group, seconds, now=now) if known else None,
            ranks.log_ratio(seconds) if known else 0.0,
            rest_seconds=REST_TASKS * ranks.typical_seconds,
            beaten=not complete,
            now=now,
        )
        ranks.add(group, seconds, now=now, ended=complete)

    def look(self, now: float) -> None:
        """Take into account the attempts that have run for longer than is typical."""
        ranks, sizes = self.ranks, self._sizes
        if ranks is None or now < self._next_look or not self._slow_workers.wants_ages:
            return
        if ranks.known < _LEAST_KNOWN:
            return
        self._next_look = now + _LOOK_EACH * ranks.typical_seconds
        least = _OLD * ranks.typical_seconds
        ages: dict[str, list[tuple[float, float]]] = {}
        old = takewhile(lambda a: now - a.started > least, self._attempts.values())
        for attempt in islice(old, _MOST_LOOKED_AT):
            seconds = now - attempt.started
            seconds /= 1.0 if sizes is None else sizes.of(attempt.task)
            if attempt.worker and seconds > least:
                group = self._slow_workers.hosts.shared(attempt.worker) or attempt.worker
                shared = ranks.longer_share(group, seconds, now=now), ranks.log_ratio(seconds)
                ages.setdefault(attempt.worker, []).append(shared)
        if ages:
            rest = REST_TASKS * ranks.typical_seconds
            self._slow_workers.running(ages, rest_seconds=rest, now=now)

    def _ages(self, now: float) -> Iterator[tuple[float, str]]:
        """Yield the ages of attempts, scaled to whole tasks, and their workers, oldest first; without suspects."""
        sizes, suspects, hosts = self._sizes, self._slow_workers.suspects, self._slow_workers.hosts
        for attempt in self._attempts.values():
            worker = attempt.worker
            if now > attempt.started and worker not in suspects:
                share = 1.0 if sizes is None else sizes.of(attempt.task)
                yield (now - attempt.started) / share, hosts.shared(worker) or worker


def rests_workers(rule: Rule) -> bool:
    """Return whether slow workers may be left idle: as the rule's attribute of this name says, and not with ``off``."""
    return bool(getattr(rule, "rests_workers", rule.name != "off"))
