"""The detection of slow workers: those on which every task takes long are left idle for a while if that gains anything.

A slow task gets a backup; a slow *worker* makes every task slow, and each would have to be detected anew. The nodes
that M. Zaharia et al. ("LATE", OSDI 2008) and G. Ananthanarayanan et al. ("Mantri", OSDI 2010) avoid, and the block
lists of Hadoop and Flink, are beyond a factor or a quantile. Where durations spread by themselves, some worker always
is: of a hundred that are alike, one has the longest tasks. So this is a test, in three steps.

- The p-value of an attempt is the share of the attempts of other workers that take as long or longer: its rank, so that
  the distribution does not matter (:mod:`asyncexec.straggler.duration_ranks`). What sizes of tasks and a drift along
  the stage explain is taken out before.
- A worker's p-values are put together to evidence that may be looked at after every report
  (:mod:`asyncexec.straggler.evidence`); attempts that run count by their ages.
- There are many workers. One is slow when its evidence exceeds their number, with the hosts, divided by ``ERROR`` (C.
  Bonferroni): of all runs in which all workers are alike, no more than this share finds any worker slow. Where the
  evidence of most others is great as well, it is the work that has changed, and the bar is as much higher.

Workers of one host have evidence in common: a machine that swaps, or stops, is found by all of its attempts together,
in one decision for all of its workers.

A slow worker is left idle only if others get done sooner what it would do: if they would have taken its next task from
the queue and ended it by the time at which it would, or if a backup was the first to end its last one, so that it works
in vain. Before that it does its share, however slowly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from asyncexec.straggler.evidence import Evidence
from asyncexec.straggler.worker_hosts import WorkerHosts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

ERROR = 0.01
"""The greatest probability that, of workers that are all alike, any is found slow in a run."""

LEAST_RATIO = 1.3
"""No worker is slow whose attempts take less than so many times the level of its stage, on (geometric) average."""

MOST_SHARE = 0.25
"""No more than this share of the workers is slow: if all are, none is. Of hosts, it is half."""

LEAST_REST, MOST_REST = 1.0, 120.0
"""The bounds in seconds of a pause; each is twice as long as the one before of the same worker."""

_MOST_DOUBLINGS = 3
# Of workers that are like the others, one in so many is a suspect at most.
_SUSPECT = 20.0
# What is found again needs this share of the evidence in addition.
_AGAIN = 0.01
_WEIGHT = 0.3
# A slow worker that works on is let back after so many tasks that took no longer than others, one after another.
_RECOVERED_TASKS = 3
_HOST_SHARE = 0.5


@dataclass(slots=True, eq=False)
class _Record:
    """A worker: its evidence, its average ratio, and since it was found slow, how it is dealt with."""

    evidence: Evidence = field(default_factory=Evidence)
    tasks: int = 0
    log_ratio: float = 0.0
    running_ratio: float = 0.0
    pauses: int = 0
    rests: bool = False
    well: int = 0
    rest_seconds: float = LEAST_REST
    until: float = -math.inf
    beaten: bool = False

    def averaged(self, log_ratio: float) -> None:
        # A plain mean of the first few, then an exponential one, so that a worker may recover or decline.
        self.tasks += 1
        self.running_ratio = 0.0
        self.log_ratio += (log_ratio - self.log_ratio) * max(_WEIGHT, 1.0 / self.tasks)

    @property
    def ratio(self) -> float:
        return math.exp(max(self.log_ratio, self.running_ratio))


class SlowWorkers:
    """The evidence that workers of a run are slow, and those that are; O(1) for each attempt.

    Parameters
    ----------
    hosts : WorkerHosts, optional
        The workers' hosts, kept by whoever first sees a worker.

    Attributes
    ----------
    changed : bool
        Whether the workers to leave idle may have changed since :meth:`resting` was last called.
    found : dict of str to float
        Every worker that was ever found slow, with the ratio of its durations to those of others.
    suspects : set of str
        The workers with some evidence, and those that are slow: no standard for others.
    hosts : WorkerHosts
        The workers' hosts.
    """

    def __init__(self, hosts: WorkerHosts | None = None) -> None:
        self.changed = False
        self.found: dict[str, float] = {}
        self.suspects: set[str] = set()
        self.hosts = WorkerHosts() if hosts is None else hosts
        self._records: dict[str, _Record] = {}
        self._host_evidence: dict[str, Evidence] = {}
        self._slow: dict[str, _Record] = {}
        self._next_end = math.inf

    # -- reports

    def ended(
        self,
        worker: str,
        p: float | None,
        log_ratio: float,
        *,
        rest_seconds: float,
        beaten: bool,
        now: float,
    ) -> None:
        """Record that an attempt on a worker has ended.

        Parameters
        ----------
        worker : str
        p : float or None
            The share of the attempts of other workers that take as long; None while too few are known.
        log_ratio : float
            The natural logarithm of its duration divided by the level.
        rest_seconds : float
            The time that the worker is left idle if it is found slow.
        beaten : bool
            Whether it was stopped, as another attempt of its task had succeeded.
        now : float
        """
        record = self._records.get(worker)
        if record is None:
            record = self._records[worker] = _Record()
            self.hosts.add(worker)
        record.averaged(log_ratio)
        record.rest_seconds, record.beaten = rest_seconds, beaten
        if worker in self._slow:
            self._ended_on_slow(worker, record, math.exp(log_ratio), now)
            return
        if p is None:
            return
        record.evidence.add(p)
        self._suspect(worker, record.evidence.amount)
        self._judge(worker, record.evidence.amount, now)
        if host := self.hosts.shared(worker):
            evidence = self._host_evidence.setdefault(host, Evidence())
            evidence.add(p)
            self._judge_host(host, evidence.amount, now)

    def _ended_on_slow(self, worker: str, record: _Record, ratio: float, now: float) -> None:
        if record.beaten and (host := self.hosts.shared(worker)):
            for other in self.hosts.on(host) & self._slow.keys():
                self._slow[other].beaten = True
        record.well = record.well + 1 if ratio < LEAST_RATIO else 0
        if record.well >= _RECOVERED_TASKS:
            self._let_back(worker, record, now)
        else:
            self.found[worker] = max(self.found[worker], record.ratio)

    @property
    def wants_ages(self) -> bool:
        """True where attempts that run may decide: some worker is a suspect, or several share a host."""
        return bool(self.suspects) or len(self.hosts) > 1

    def running(
        self, ages: Mapping[str, Iterable[tuple[float, float]]], *, rest_seconds: float, now: float
    ) -> None:
        """Take into account the attempts that have run for long, by their workers.

        Parameters
        ----------
        ages : mapping of str to iterable of (float, float)
            For each attempt the share of others that take longer than its age, and the logarithm of the age divided by
            the level.
        rest_seconds, now : float
        """
        of_hosts: dict[str, list[float]] = {}
        for worker, known in ages.items():
            record = self._records.get(worker)
            if record is None:
                continue
            record.running_ratio = max(log_ratio for _, log_ratio in known)
            if worker in self._slow:
                continue
            shares = [share for share, _ in known]
            record.rest_seconds = rest_seconds
            self._judge(worker, record.evidence.with_running(shares), now)
            if host := self.hosts.shared(worker):
                of_hosts.setdefault(host, []).extend(shares)
        for host, shares in of_hosts.items():
            evidence = self._host_evidence.setdefault(host, Evidence())
            self._judge_host(host, evidence.with_running(shares), now)

    # -- questions

    @property
    def next_change(self) -> float:
        """The time at which a worker is tried again; infinity while none is left idle."""
        return self._next_end

    def is_due(self, now: float) -> bool:
        """Return whether the workers to leave idle may be others now: of one that works on, the tasks left decide."""
        if self.changed or now >= self._next_end:
            return True
        return any(not record.rests for record in self._slow.values())

    @property
    def slow(self) -> Collection[str]:
        """The workers that are slow now, resting or not."""
        return self._slow.keys()

    def resting(self, now: float, tasks_each: float) -> frozenset[str]:
        """Return the workers to leave idle now.

        Parameters
        ----------
        now : float
        tasks_each : float
            The number of tasks that wait, for each worker.
        """
        self.changed = False
        if now >= self._next_end:
            for worker in [w for w, r in self._slow.items() if r.until <= now]:
                self._let_back(worker, self._slow[worker], now)
            self.changed = False
        for record in self._slow.values():
            # By the end of its next task, others would have ended that; or it works in vain, as they do so already.
            if not record.rests and (record.beaten or record.ratio > 1.0 + tasks_each):
                self._begin_rest(record, now)
        return frozenset(worker for worker, record in self._slow.items() if record.rests)

    def apart_from(self, workers: Iterable[str]) -> frozenset[str]:
        """Return the workers that a backup keeps apart from: the hosts of those that run its task, and slow ones."""
        apart = frozenset[str]().union(*(self.hosts.neighbours(worker) for worker in workers))
        return apart.union(self._slow) if self._slow else apart

    # -- decisions

    def _suspect(self, worker: str, amount: float) -> None:
        if amount >= _SUSPECT:
            self.suspects.add(worker)
        else:
            self.suspects.discard(worker)

    def _bar(self) -> float:
        """Return the evidence to exceed: as many tests are made as there are workers and hosts."""
        return (len(self._records) + len(self._host_evidence)) / ERROR

    def _judge(self, worker: str, amount: float, now: float) -> None:
        bar = self._bar()
        if amount < bar or self._records[worker].ratio < LEAST_RATIO:
            return
        known = {worker, *self._slow}
        others = [r.evidence.amount for w, r in self._records.items() if w not in known]
        if amount >= bar * _of_most(others) and self._within(MOST_SHARE, 1):
            self._found(worker, now)

    def _judge_host(self, host: str, amount: float, now: float) -> None:
        bar = self._bar()
        if amount < bar:
            return
        others = [e.amount for h, e in self._host_evidence.items() if h != host]
        workers = [w for w in self.hosts.on(host) if w in self._records and w not in self._slow]
        ratio = sum(self._records[worker].ratio for worker in workers) / max(1, len(workers))
        if (
            amount >= bar * _of_most(others)
            and ratio >= LEAST_RATIO
            and self._within(_HOST_SHARE, len(workers))
        ):
            for worker in workers:
                record = self._records[worker]
                record.log_ratio = max(record.log_ratio, math.log(ratio))
                self._found(worker, now)
            self._host_evidence[host] = Evidence(_AGAIN * bar)

    def _within(self, share: float, further: int) -> bool:
        return len(self._slow) + further <= share * len(self._records)

    def _found(self, worker: str, now: float) -> None:
        record = self._records[worker]
        record.rests, record.well, record.until = False, 0, math.inf
        self._slow[worker] = record
        self.suspects.add(worker)
        self.found[worker] = record.ratio
        self.changed = True

    def _begin_rest(self, record: _Record, now: float) -> None:
        doubled = 2.0 ** min(record.pauses, _MOST_DOUBLINGS)
        record.rests = True
        record.pauses += 1
        record.until = now + doubled * min(max(record.rest_seconds, LEAST_REST), MOST_REST)
        self._next_end = min(self._next_end, record.until)

    def _let_back(self, worker: str, record: _Record, now: float) -> None:
        """Give a worker a new chance: only tasks from now on count, but not as many are needed."""
        del self._slow[worker]
        self.suspects.discard(worker)
        record.evidence = Evidence(_AGAIN * self._bar())
        record.tasks, record.log_ratio, record.rests, record.beaten = 0, 0.0, False, False
        self._next_end = min((r.until for r in self._slow.values()), default=math.inf)
        self.changed = True


def _of_most(amounts: list[float]) -> float:
    """Return the evidence that three quarters of the others do not exceed, and at least 1."""
    if not amounts:
        return 1.0
    return max(1.0, sorted(amounts)[math.ceil(0.75 * len(amounts)) - 1])
