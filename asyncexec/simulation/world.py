"""Model workers on a virtual clock, under the real scheduler: events in order of their time, and nothing waits.

The scheduler's own :class:`~asyncexec.scheduler.dispatch.Dispatch` decides everything; this is what the driver and a
backend are in a real run. One attempt is a batch of its own.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection
from heapq import heappop, heappush
from itertools import count
from typing import Any

from asyncexec.backends.contract import Batch, Job, Program, Report, Started
from asyncexec.errors import BackendError, StalledError, UsageError
from asyncexec.events.outcome import ErrorInfo, Outcome, Status
from asyncexec.scheduler.dispatch import Dispatch
from asyncexec.simulation.cluster import Cluster, Workforce
from asyncexec.simulation.draws import Draws
from asyncexec.simulation.trace import Bar, Trace

_TELL_SECONDS = 0.02
_FAILURE = ErrorInfo(
    "builtins.ConnectionError", ("builtins.OSError", "builtins.Exception"), "simulated"
)
# So many losses for each worker without a success between, and there will be none.
_MOST_LOST_IN_VAIN = 1000
_EPOCH = 1.0
"""Outcomes say when they started by the time of day, in which 0.0 means never."""


class _Running:
    """An attempt on a worker."""

    __slots__ = ("alive", "begin", "begun", "end", "fails", "job", "program", "stage", "worker")

    def __init__(self, job: Job, program: Program, stage: int, worker: int, begin: float) -> None:
        self.job = job
        self.program = program
        self.stage = stage
        self.worker = worker
        self.begin = begin
        self.begun = False
        self.end = math.inf
        self.fails = False
        self.alive = True


class World:
    """The backend's side of a simulated run.

    Parameters
    ----------
    cluster : Cluster
    draws : Draws
    stages : dict of str to int
        Positions of the plan's stages by name.
    seed : int
    trace : Trace
        Takes note of what happened.

    Attributes
    ----------
    now : float
        The clock, in seconds from the start of the run.
    events : int
        How many events there were.
    natural_slowness : array of float64, shape (workers,)
        How many times as long each worker takes by nature.
    """

    def __init__(
        self, cluster: Cluster, draws: Draws, stages: dict[str, int], *, seed: int, trace: Trace
    ) -> None:
        self.now = 0.0
        self.events = 0
        self.dispatch: Dispatch | None = None
        self._cluster = cluster
        self._draws = draws
        self._stages = stages
        self._trace = trace
        self._force = Workforce(cluster, seed)
        self._slowness = self._force.slowness.tolist()
        self.natural_slowness = self._force.natural_slowness
        self._heap: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._order = count()
        self._queue: deque[Batch] = deque()
        self._idle: list[int] = []
        self._hired = [0.0] * cluster.workers
        self._lost_in_vain = 0
        self._running: dict[int, _Running] = {}
        self._starts: dict[tuple[int, int], int] = {}
        self._up = 0
        self._held = 0
        self._next_start = 0.0
        self._reports: list[Report] = []
        self._lost: set[int] = set()
        self._occupied: dict[int, _Running] = {}
        self._avoided: frozenset[int] = frozenset()
        self._resting: list[int] = []
        self._come_up()

    # -- what the dispatch asks

    def slots(self) -> int:
        """How many attempts can run at once, now; at least 1, so that work comes."""
        return max(1, self._up - self._held - len(self._avoided))

    def send(self, batch: Batch) -> None:
        """Take an attempt in: it starts as soon as a worker is free."""
        if self._cluster.latency_seconds:
            self._at(self.now + self._cluster.latency_seconds, self._arrived, batch)
        else:
            self._arrived(batch)

    def withdraw(self, attempts: Collection[int]) -> set[int]:
        """Take back none: what was sent is on its way."""
        return set()

    def cancel(self, attempts: Collection[int]) -> None:
        """Drop what waits; stop what runs, or give it up."""
        for attempt in attempts:
            running = self._running.pop(attempt, None)
            if running is None:
                self._dropped(attempt)
            elif self._cluster.kills:
                running.alive = False
                end = self.now + self._cluster.kill_seconds
                self._at(end, self._killed, running)
            else:
                running.alive = False
                self._held += 1
                self._tell(self._outcome(running, Status.CANCELLED, self.now))

    def avoid(self, workers: Collection[str]) -> None:
        """Let these workers rest, and no others."""
        self._avoided = frozenset(int(worker.removeprefix("w")) for worker in workers)
        rested = [worker for worker in self._resting if worker not in self._avoided]
        self._resting = [worker for worker in self._resting if worker in self._avoided]
        self._idle.extend(rested)
        self._serve()

    # -- the clock

    def run(self, finished: Callable[[], bool]) -> None:
        """Let time pass until ``finished``.

        Raises
        ------
        BackendError
            If every worker is held by an attempt that hangs and cannot be stopped, or all are lost for good, or lost
            faster than tasks end.
        StalledError
            If nothing will ever happen again for another reason.
        """
        dispatch = self.dispatch
        if dispatch is None:
            raise UsageError("a World runs under a Dispatch: set its attribute first")
        heap = self._heap
        while not finished():
            if self._reports:
                reports, self._reports = self._reports, []
                dispatch.take_in(reports, self.now)
                continue
            deadline = dispatch.next_deadline()
            if heap and heap[0][0] <= deadline:
                self.now, _, act, subject = heappop(heap)
                self.events += 1
                act(subject)
            elif deadline < math.inf:
                self.now = max(self.now, deadline)
                dispatch.tick(self.now)
            elif not self._up:
                raise BackendError(
                    f"simulation: after {self.now:g} s every worker is lost, and none takes its place. Give "
                    f"Cluster(replaced=True), or more workers"
                )
            elif self._held:
                raise BackendError(
                    f"simulation: after {self.now:g} s every worker is held by an attempt that hangs and cannot be "
                    f"killed. Give Cluster(kills=True), or more workers"
                )
            else:
                raise StalledError(
                    f"simulation: after {self.now:g} s nothing happens any more: an attempt hangs, and neither a "
                    f"timeout nor a backup ends it. Give timeout=... (runs.timeout)"
                )

    def close(self) -> None:
        """Count what is left behind on workers when the run has ended: it runs to its end, if it has one."""
        for running in self._occupied.values():
            until = running.end if running.end < math.inf else self.now
            if running.begun and not running.alive and not self._cluster.kills:
                self._trace.occupied(until - running.begin, wasted=True)
        for hired in self._hired:
            if hired < self.now:
                self._trace.was_up(self.now - hired)

    def _at(self, time: float, act: Callable[[Any], None], subject: Any) -> None:
        heappush(self._heap, (time, next(self._order), act, subject))

    # -- workers

    def _come_up(self) -> None:
        cluster = self._cluster
        for worker in range(cluster.workers):
            self._hire(worker, worker / cluster.arrival_per_second)

    def _hire(self, worker: int, at: float) -> None:
        self._hired[worker] = at
        ready = at + self._force.cold_start()
        if ready <= self.now and not self._cluster.loss_per_hour:
            self._up += 1
            self._idle.append(worker)
        else:
            self._at(ready, self._ready, worker)

    def _ready(self, worker: int) -> None:
        self._lost.discard(worker)
        self._up += 1
        self._idle.append(worker)
        lifetime = self._force.lifetime()
        if lifetime < math.inf:
            self._at(self.now + lifetime, self._lose, worker)
        self._serve()
        self._wake()

    def _lose(self, worker: int) -> None:
        """Take a worker away with what it runs; another, if one comes, takes its number."""
        self._up -= 1
        self._trace.lost_workers += 1
        self._trace.was_up(self.now - self._hired[worker])
        self._lost_in_vain += 1
        if self._lost_in_vain > _MOST_LOST_IN_VAIN * self._cluster.workers:
            raise BackendError(
                f"simulation: after {self.now:g} s no attempt ends any more: {self._lost_in_vain:,} workers were lost "
                f"since the last success. Give a smaller Cluster(loss_per_hour=...), or shorter tasks"
            )
        running = self._occupied.pop(worker, None)
        if running is None:
            (self._resting if worker in self._resting else self._idle).remove(worker)
        else:
            self._lost.add(worker)
            if running.alive:
                running.alive = False
                self._running.pop(running.job.attempt, None)
                lost = self._outcome(running, Status.LOST, self.now)
                # Preempted: as a backend says that it was not the task's doing.
                self._tell(lost._replace(worker="", started_at=0.0))
            else:
                self._gone(running)
        if self._cluster.replaced:
            self._hire(worker, self.now)
        else:
            self._hired[worker] = math.inf

    def _gone(self, running: _Running) -> None:
        """Count an attempt that was lost with its worker after it was given up, or while it was being killed."""
        seconds = self.now - running.begin
        if self._cluster.kills:
            self._trace.ended(seconds, Status.CANCELLED)
        else:
            self._held -= 1
        if running.begun:
            self._trace.occupied(seconds, wasted=True)

    # -- attempts

    def _arrived(self, batch: Batch) -> None:
        self._queue.append(batch)
        self._serve()

    def _serve(self) -> None:
        while self._queue and self._idle:
            if self._idle[-1] in self._avoided:
                self._resting.append(self._idle.pop())
                continue
            batch = self._queue.popleft()
            begin = max(self.now, self._next_start)
            if self._cluster.starts_per_second < math.inf:
                self._next_start = begin + 1.0 / self._cluster.starts_per_second
            (job,) = batch.jobs
            stage = self._stages[batch.program.stage]
            running = _Running(job, batch.program, stage, self._idle.pop(), begin)
            self._occupied[running.worker] = self._running[job.attempt] = running
            if begin > self.now:
                self._at(begin, self._begin, running)
            else:
                self._begin(running)

    def _begin(self, running: _Running) -> None:
        if self._occupied.get(running.worker) is not running:
            return  # Its worker was lost before it began, or it was stopped.
        if not running.alive:
            if not self._cluster.kills:
                self._held -= 1
                self._free(running)
            return
        running.begun = True
        key = running.stage, running.job.task
        number = self._starts[key] = self._starts.get(key, 0) + 1
        draw = self._draws.attempt(*key, number)
        running.fails = draw.fails
        seconds = draw.seconds * self._slowness[running.worker]
        if seconds > _TELL_SECONDS:
            self._tell(Started(running.job.attempt, f"w{running.worker}"))
        if seconds < math.inf:
            running.end = self.now + seconds
            self._at(running.end, self._end, running)

    def _end(self, running: _Running) -> None:
        if running.worker in self._lost or self._occupied.get(running.worker) is not running:
            return
        if running.alive:
            self._running.pop(running.job.attempt, None)
            status = Status.FAILED if running.fails else Status.SUCCEEDED
            if not running.fails:  # It will not start again: what is kept grows with what runs.
                self._starts.pop((running.stage, running.job.task), None)
                self._lost_in_vain = 0
            self._tell(self._outcome(running, status, self.now))
        else:
            if self._cluster.kills:
                return  # Being killed: its outcome comes with that.
            self._held -= 1
            self._trace.occupied(self.now - running.begin, wasted=True)
        self._free(running)

    def _killed(self, running: _Running) -> None:
        if self._occupied.get(running.worker) is running:
            self._tell(self._outcome(running, Status.CANCELLED, self.now))
            self._free(running)
        else:
            self._tell(Outcome(running.job.attempt, Status.CANCELLED))

    def _free(self, running: _Running) -> None:
        del self._occupied[running.worker]
        self._idle.append(running.worker)
        self._serve()

    def _dropped(self, attempt: int) -> None:
        """Cancel what waits for a worker (or is on its way to the workers); unknown ones have just ended."""
        for place, batch in enumerate(self._queue):
            if batch.jobs[0].attempt == attempt:
                del self._queue[place]
                self._tell(Outcome(attempt, Status.CANCELLED))
                return
        for time, order, act, subject in self._heap:
            if act == self._arrived and subject.jobs[0].attempt == attempt:
                self._heap.remove((time, order, act, subject))
                self._heap.sort()
                self._tell(Outcome(attempt, Status.CANCELLED))
                return

    def _outcome(self, running: _Running, status: Status, now: float) -> Outcome:
        if not running.begun:
            return Outcome(running.job.attempt, status)
        seconds = max(0.0, now - running.begin)
        held_on = status is Status.CANCELLED and not self._cluster.kills
        self._trace.ended(seconds, status)
        if self._trace.keeps_bars:
            bar = Bar(running.stage, running.job.task, running.worker, running.begin, now, status)
            self._trace.bars.append(bar)
        if not held_on:
            self._trace.occupied(seconds, wasted=status is not Status.SUCCEEDED)
        error = _FAILURE if status is Status.FAILED else None
        return Outcome(
            running.job.attempt,
            status,
            f"w{running.worker}",
            _EPOCH + running.begin,
            seconds,
            error=error,
        )

    def _tell(self, report: Report) -> None:
        if self._cluster.latency_seconds:
            self._at(self.now + self._cluster.latency_seconds, self._told, report)
        else:
            self._reports.append(report)

    def _told(self, report: Report) -> None:
        self._reports.append(report)

    def _wake(self) -> None:
        """Have the dispatch see that there are more slots."""
        if self.dispatch is not None:
            self.dispatch.advance(self.now)
