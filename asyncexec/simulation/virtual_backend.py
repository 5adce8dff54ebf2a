"""The backend of a simulation: a heap of events, processed in the order of their times.

The scheduler's own :class:`~asyncexec.scheduler.dispatch.Dispatch` decides everything; this module takes the place of
the driver and the backend of a real run. Each attempt is a batch of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Container
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any

from asyncexec.backends.contract import Batch, Report
from asyncexec.backends.model_workers import ModelAttempt, ModelWorkers
from asyncexec.backends.placement import idle_one
from asyncexec.errors import AsyncexecError, BackendError, StalledError, UsageError
from asyncexec.events.outcome import ErrorInfo, Outcome, Status
from asyncexec.plan.plan import Plan
from asyncexec.scheduler.dispatch import Dispatch
from asyncexec.simulation.cluster import Cluster, Workforce
from asyncexec.simulation.draws import Draws
from asyncexec.simulation.figures import Bar, Trace
from asyncexec.simulation.noise import SimulatedAttempt, seconds_of

if TYPE_CHECKING:
    from asyncexec.scheduler.late_stages import SizedStages
    from asyncexec.scheduler.run_handle import RunHandle

_FAILURE = ErrorInfo(
    "builtins.ConnectionError", ("builtins.OSError", "builtins.Exception"), "simulated"
)
# After so many losses for each worker without a success between, no attempt will ever succeed.
_MOST_LOST_IN_VAIN = 1000
# The time of day at which the simulated clock starts: 0.0 in an outcome means that the attempt never started.
_EPOCH = 1.0


@dataclass(slots=True, eq=False)
class _Worker:
    """A worker by its name; one that takes the place of another has the same."""

    number: int
    slowness: float
    up_since: float = 0.0
    times_up: int = 0
    warm: bool = False


class VirtualBackend:
    """The host of the model workers of a :class:`Cluster`.

    Attributes
    ----------
    now : float
        Its clock, in seconds since the run started.
    dispatch : Dispatch or None
        Decides everything; set before the run.
    watch : callable or None
        Called with the time whenever anything may have changed.
    """

    def __init__(
        self, plan: Plan, cluster: Cluster, draws: Draws, *, seed: int, bars: bool = False
    ) -> None:
        self.now = 0.0
        self.events = 0
        self.dispatch: Dispatch | None = None
        self.watch: Callable[[float], object] | None = None
        self.cluster = cluster
        self.trace = Trace(cluster, keeps_bars=bars)
        self._draws = draws
        self._stages = {stage.name: place for place, stage in enumerate(plan.stages)}
        self._force = Workforce(cluster, seed)
        self.natural_slowness = self._force.natural_slowness
        self._by_name = {
            cluster.worker_name(number): _Worker(number, slowness)
            for number, slowness in enumerate(self._force.slowness.tolist())
        }
        self._heap: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._order = count()
        self._workers: ModelWorkers = ModelWorkers(
            self,
            kills=cluster.kills,
            kill_seconds=cluster.kill_seconds,
            holds=cluster.holds,
            starts_per_second=cluster.starts_per_second,
        )
        self._idle: list[str] = []
        self._turning: set[str] = set()  # Between two attempts.
        self._left_idle: list[str] = []
        self._avoided: frozenset[str] = frozenset()
        self._up = 0
        self._lost_in_vain = 0
        self._reports: list[Report] = []
        for name, worker in self._by_name.items():
            self._come_up(name, cluster.lead_seconds + worker.number / cluster.arrival_per_second)

    # -- the backend that the dispatch sees

    def slots(self) -> int:
        """Return the number of attempts that can run at once now; at least 1, so that the dispatch sends work."""
        return max(1, self._up - self._workers.held - len(self._avoided))

    def send(self, batch: Batch) -> None:
        """Queue an attempt; it starts as soon as a worker is idle."""
        if self.cluster.latency_seconds:
            self.at(self.now + self.cluster.latency_seconds, self._workers.submit, batch)
        else:
            self._workers.submit(batch)

    def withdraw(self, attempts: Collection[int]) -> set[int]:
        """Return no attempts: what was sent cannot be taken back."""
        return set()

    def cancel(self, attempts: Collection[int]) -> None:
        """Drop attempts that wait; stop or abandon those that run."""
        for attempt in attempts:
            if not self._workers.cancel(attempt):
                self._recall(attempt)

    def avoid(self, workers: Collection[str]) -> None:
        """Leave exactly these workers idle."""
        self._avoided = frozenset(workers)
        back = [worker for worker in self._left_idle if worker not in self._avoided]
        self._left_idle = [worker for worker in self._left_idle if worker in self._avoided]
        self._idle.extend(back)
        self._workers.serve()

    def size(self, handle: RunHandle, find: Callable[[], SizedStages]) -> None:
        """Find the sizes of late stages, which takes no simulated time."""
        self.at(self.now, self._find_sizes, (handle, find))

    def _find_sizes(self, asked: tuple[RunHandle, Callable[[], SizedStages]]) -> None:
        handle, find = asked
        sized: SizedStages | Exception
        try:
            sized = find()
        except AsyncexecError as error:
            sized = error
        if self.dispatch is not None:
            self.dispatch.sized(handle, sized, self.now)

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
            raise UsageError("a VirtualBackend runs under a Dispatch: set its attribute first")
        heap = self._heap
        watch = self.watch
        while not finished():
            if watch is not None:
                watch(self.now)
            if self._reports:
                reports, self._reports = self._reports, []
                dispatch.take_in(reports, self.now)
                continue
            deadline = dispatch.next_deadline(self.now)
            if heap and heap[0][0] <= deadline:
                self.now, _, act, subject = heappop(heap)
                self.events += 1
                act(subject)
            elif deadline < math.inf:
                self.now = max(self.now, deadline)
                dispatch.tick(self.now)
            else:
                raise self._stalled()

    def _stalled(self) -> AsyncexecError:
        """Return the error for a run in which nothing will ever happen again."""
        after = f"simulation: after {self.now:g} s"
        if not self._up:
            return BackendError(
                f"{after} every worker is lost, and none takes its place. Give Cluster(replaced=True), or more workers"
            )
        if self._workers.held:
            return BackendError(
                f"{after} every worker is held by an attempt that hangs and cannot be killed. Give "
                f"Cluster(kills=True), or more workers"
            )
        return StalledError(
            f"{after} nothing happens any more: an attempt hangs, and neither a timeout nor a backup ends it. Give "
            f"timeout=... (runs.timeout)"
        )

    def close(self) -> None:
        """Account for abandoned attempts, which run on to their ends, and for the lifetimes of workers."""
        for batch in self._workers.busy.values():
            left = batch.running
            if left is not None and left.begun and not left.wanted and not self.cluster.kills:
                until = left.end if left.end < math.inf else self.now
                self.trace.occupied(until - left.begin, wasted=True)
        for worker in self._by_name.values():
            if worker.up_since < self.now:
                self.trace.was_up(self.now - worker.up_since)

    def at(self, time: float, act: Callable[[Any], None], subject: Any) -> None:
        """Call ``act(subject)`` when the clock stands at ``time``."""
        heappush(self._heap, (time, next(self._order), act, subject))

    def _recall(self, attempt: int) -> None:
        """Cancel an attempt that has not reached the workers yet; an unknown one has just ended."""
        for place, (_, _, act, subject) in enumerate(self._heap):
            if act == self._workers.submit and subject.jobs[0].attempt == attempt:
                del self._heap[place]
                heapify(self._heap)
                self.report(Outcome(attempt, Status.CANCELLED))
                return

    # -- workers

    def take_worker(self, apart_from: Container[str]) -> str | None:
        """Return an idle worker that is not avoided; one in ``apart_from`` only if no other is idle."""
        while self._idle and self._idle[-1] in self._avoided:
            self._left_idle.append(self._idle.pop())
        if not self._idle or self._idle[-1] not in apart_from:
            return self._idle.pop() if self._idle else None
        chosen = idle_one(self._idle, str, rests=self._avoided, apart_from=apart_from)
        if chosen is not None:
            self._idle.remove(chosen)
        return chosen

    def release(self, worker: str, *, dead: bool) -> None:
        """Take a worker back; the replacement of a killed one has its name."""
        if dead:
            self._by_name[worker].warm = False
        if self.cluster.between_seconds:
            self._turning.add(worker)
            self.at(self.now + self.cluster.between_seconds, self._turned, worker)
        else:
            self._idle.append(worker)

    def _turned(self, worker: str) -> None:
        if worker in self._turning:
            self._turning.discard(worker)
            self._idle.append(worker)
            self._workers.serve()

    def _come_up(self, worker: str, at: float) -> None:
        self._by_name[worker].up_since = at
        ready = at + self._force.cold_start()
        if ready <= self.now and not self.cluster.loss_per_hour:
            self._up += 1
            self._idle.append(worker)
        else:
            self.at(ready, self._ready, worker)

    def _ready(self, worker: str) -> None:
        self._up += 1
        self._by_name[worker].warm = False
        self._idle.append(worker)
        lifetime = self._force.lifetime()
        if lifetime < math.inf:
            self.at(self.now + lifetime, self._lose, worker)
        self._workers.serve()
        if self.dispatch is not None:  # There are more slots to send attempts to.
            self.dispatch.advance(self.now)

    def _lose(self, worker: str) -> None:
        """Remove a worker with its attempt; its replacement, if there is one, has its name."""
        self._up -= 1
        self.trace.lost_workers += 1
        self.trace.was_up(self.now - self._by_name[worker].up_since)
        self._lost_in_vain += 1
        if self._lost_in_vain > _MOST_LOST_IN_VAIN * self.cluster.workers:
            raise BackendError(
                f"simulation: after {self.now:g} s no attempt ends any more: {self._lost_in_vain:,} workers were lost "
                f"since the last success. Give a smaller Cluster(loss_per_hour=...), or shorter tasks"
            )
        attempt = self._workers.lose(worker)
        if worker in self._turning:
            self._turning.discard(worker)
        elif attempt is None:
            (self._left_idle if worker in self._left_idle else self._idle).remove(worker)
        elif attempt.wanted:
            # Without worker and start, as backends report a preemption: the task is not to blame.
            lost = self._outcome(attempt, Status.LOST)
            self.report(lost._replace(worker="", started_at=0.0))
        else:
            if self.cluster.kills:
                self.trace.ended(self.now - attempt.begin, Status.CANCELLED)
            if attempt.begun:
                self.trace.occupied(self.now - attempt.begin, wasted=True)
        if self.cluster.replaced:
            self._come_up(worker, self.now)
        else:
            self._by_name[worker].up_since = math.inf

    # -- attempts

    def begins(self, attempt: ModelAttempt) -> tuple[float, bool]:
        """Draw the duration and the end of an attempt."""
        stage, task = attempt.key
        place = self._stages[stage]
        draw = self._draws.attempt(place, task, attempt.number)
        attempt.status = Status.FAILED if draw.fails else Status.SUCCEEDED
        worker = self._by_name[attempt.worker]
        seconds = draw.seconds * worker.slowness
        if not worker.warm:
            worker.warm, worker.times_up = True, worker.times_up + 1
            seconds += self._force.warm_up(worker.number, worker.times_up)
        function = self._draws.noises[place].function
        if function is not None:
            seconds = seconds_of(function, self._seen(attempt, place, seconds))
        return seconds, True

    def _seen(self, attempt: ModelAttempt, place: int, seconds: float) -> SimulatedAttempt:
        stage, task = attempt.key
        worker = self._by_name[attempt.worker].number
        return SimulatedAttempt(
            stage=stage,
            task=task,
            number=attempt.number,
            worker=worker,
            host=worker // self.cluster.workers_per_host,
            at=self.now,
            seconds=seconds,
            seed=self._draws.seed,
            place=place,
        )

    def ended(self, attempt: ModelAttempt, status: Status) -> None:
        """Report an outcome."""
        if status is Status.SUCCEEDED:
            # It will not start again, so memory grows with running tasks only.
            self._workers.starts.pop(attempt.key, None)
            self._lost_in_vain = 0
        self.report(self._outcome(attempt, status))

    def overstayed(self, attempt: ModelAttempt) -> None:
        """Account for the time that an abandoned attempt occupied its worker."""
        if self.cluster.holds:
            self.trace.occupied(self.now - attempt.begin, wasted=True)

    def _outcome(self, attempt: ModelAttempt, status: Status) -> Outcome:
        if not attempt.begun:
            return Outcome(attempt.job.attempt, status)
        seconds = max(0.0, self.now - attempt.begin)
        self.trace.ended(seconds, status)
        if self.trace.keeps_bars:
            stage, task = attempt.key
            place, worker = self._stages[stage], self._by_name[attempt.worker].number
            self.trace.bars.append(Bar(place, task, worker, attempt.begin, self.now, status))
        runs_on = status is Status.CANCELLED and not self.cluster.kills
        if runs_on and not self.cluster.holds and attempt.end < math.inf:
            self.trace.occupied(attempt.end - attempt.begin, wasted=True)
        elif not (runs_on and self.cluster.holds):  # That still occupies its worker.
            self.trace.occupied(seconds, wasted=status is not Status.SUCCEEDED)
        return self.outcome_of(attempt.job.attempt, status, attempt.worker, attempt.begin)

    def outcome_of(self, attempt: int, status: Status, worker: str, begin: float) -> Outcome:
        """Return the outcome of an attempt that began then on a worker, and has just ended."""
        error = _FAILURE if status is Status.FAILED else None
        seconds = max(0.0, self.now - begin)
        return Outcome(attempt, status, worker, _EPOCH + begin, seconds, error=error)

    def report(self, report: Report) -> None:
        """Deliver a report to the dispatch after the latency."""
        if self.cluster.latency_seconds:
            self.at(self.now + self.cluster.latency_seconds, self._arrived, report)
        else:
            self._arrived(report)

    def _arrived(self, report: Report) -> None:
        self._reports.append(report)
