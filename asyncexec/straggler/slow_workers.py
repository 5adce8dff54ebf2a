"""The detection of slow workers: those on which every task takes long are left idle for a while if there are others.

A slow task gets a backup; a slow *worker* makes every task slow, and each would have to be detected anew. So the tasks
of each worker are compared with the typical duration of their stages. After the blacklists of Apache Flink's
speculative execution and G. Ananthanarayanan et al., "Mantri", OSDI 2010.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SLOW_FACTOR = 1.8
"""A worker is slow if its tasks take so many times the typical duration, on (geometric) average,"""

LEAST_TASKS = 3
"""over at least so many tasks."""

AVOID_SECONDS = 120.0
MOST_SHARE = 0.25
"""No more than this share of the workers is avoided: if all are slow, none is."""

_WEIGHT = 0.3
_MOST_EVIDENCE = math.log(3.0)
"""The most that one task counts for: a single straggler does not make its worker slow."""

LEAST_SECONDS = 0.05
"""Durations below this are ignored: they depend on messages more than on workers."""


@dataclass(slots=True)
class _Record:
    tasks: int = 0
    log_ratio: float = 0.0
    evidence: float = 0.0
    until: float = -math.inf


class SlowWorkers:
    """The durations of tasks by worker, relative to what is typical; O(1) for each.

    Attributes
    ----------
    changed : bool
        Whether the workers to avoid have changed since :meth:`avoided` was last called.
    found : dict of str to float
        Every worker that was ever found slow, with the ratio of its durations to typical ones.
    """

    def __init__(self) -> None:
        self.changed = False
        self.found: dict[str, float] = {}
        self._records: dict[str, _Record] = {}
        self._avoided: dict[str, _Record] = {}
        self._next_end = math.inf

    def ran(self, worker: str, seconds: float, typical_seconds: float, now: float) -> None:
        """Record that a task took ``seconds`` where ``typical_seconds`` are typical for its stage."""
        if seconds < LEAST_SECONDS or typical_seconds < LEAST_SECONDS or not worker:
            return
        record = self._records.get(worker)
        if record is None:
            record = self._records[worker] = _Record()
        ratio = math.log(seconds / typical_seconds)
        # A plain mean of the first few, then an exponential one, so that a worker may recover or decline.
        weight = max(_WEIGHT, 1.0 / (record.tasks + 1))
        record.log_ratio += (ratio - record.log_ratio) * weight
        record.evidence += (min(ratio, _MOST_EVIDENCE) - record.evidence) * weight
        record.tasks += 1
        if record.tasks >= LEAST_TASKS and record.evidence > math.log(SLOW_FACTOR):
            self._avoid(worker, record, now)

    def avoided(self, now: float) -> frozenset[str]:
        """Return the workers to leave idle now."""
        self.changed = False
        if now >= self._next_end:
            for worker in [w for w, r in self._avoided.items() if r.until <= now]:
                # It gets a new chance: only tasks from now on count.
                self._avoided.pop(worker)
                self._records[worker] = _Record()
            self._next_end = min((r.until for r in self._avoided.values()), default=math.inf)
        return frozenset(self._avoided)

    @property
    def next_change(self) -> float:
        """The time at which a worker is tried again; infinity while none is avoided."""
        return self._next_end

    def _avoid(self, worker: str, record: _Record, now: float) -> None:
        if worker in self._avoided or len(self._avoided) + 1 > MOST_SHARE * len(self._records):
            return
        record.until = now + AVOID_SECONDS
        self._avoided[worker] = record
        self._next_end = min(self._next_end, record.until)
        self.found[worker] = math.exp(record.log_ratio)
        self.changed = True
