"""Takes note of when which attempt ran where, on some of the workers; for pictures."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import TYPE_CHECKING, NamedTuple

from asyncexec.events.outcome import Status
from asyncexec.events.records import AttemptEnded, AttemptStarted

if TYPE_CHECKING:
    from asyncexec.events.records import AnyEvent


class AttemptBar(NamedTuple):
    """An attempt on a worker; ``begin`` and ``end`` in seconds from the start of the run."""

    stage: str
    task: int
    worker: int
    begin: float
    end: float
    status: Status
    backup: bool


class AttemptBars:
    """An observer of simulated runs.

    Parameters
    ----------
    workers : container of int
        Of which attempts are kept; ``range(0, 1000, 20)``, say.
    """

    def __init__(self, workers: Container[int]) -> None:
        self.bars: list[AttemptBar] = []
        self._workers = workers
        self._began: dict[int, tuple[int, float]] = {}

    def observe(self, events: Sequence[AnyEvent]) -> None:
        """Take note of ``events``."""
        for event in events:
            if isinstance(event, AttemptStarted):
                self._began[event.attempt.id] = (int(event.worker.removeprefix("w")), event.at)
            elif isinstance(event, AttemptEnded):
                self._ended(event)

    def _ended(self, event: AttemptEnded) -> None:
        attempt = event.attempt
        worker, begin = self._began.pop(attempt.id, (-1, 0.0))
        if worker in self._workers:
            self.bars.append(
                AttemptBar(
                    attempt.stage,
                    attempt.task,
                    worker,
                    begin,
                    event.at,
                    event.outcome.status,
                    attempt.backup,
                )
            )


def sample_of(workers: int, most: int) -> range:
    """Return at most ``most`` of so many workers, evenly spread."""
    return range(0, workers, -(-workers // most))


def telling_sample(bars: Sequence[AttemptBar], workers: int, most: int) -> list[int]:
    """Return at most ``most`` workers: that of the last attempt, those of the longest (a quarter), others evenly."""
    if workers <= most:
        return list(range(workers))
    telling: dict[int, None] = {}
    if bars:
        telling[max(bars, key=lambda bar: bar.end).worker] = None
    for bar in sorted(bars, key=lambda bar: bar.begin - bar.end):
        telling[bar.worker] = None
        if len(telling) >= most // 4:
            break
    spread = sample_of(workers, most - len(telling))
    return sorted(telling.keys() | set(spread))
