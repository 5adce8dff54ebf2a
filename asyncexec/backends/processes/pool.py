"""The pool of worker processes: assigns batches, and replaces workers that end.

Workers report by themselves at least every 20 ms, between attempts. A timer reads the pages of those that are deep in
one (see ``page``); it runs only while there is work.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from asyncexec.backends.contract import AttemptSpec, Batch, Report
from asyncexec.backends.placement import least_busy, resting
from asyncexec.backends.processes.assignment import Assignment, WorkerExit
from asyncexec.backends.processes.family import kill_marked
from asyncexec.backends.processes.inputs import pack_inputs
from asyncexec.backends.processes.launch import Launcher, describe_exit
from asyncexec.backends.processes.options import ProcessesOptions
from asyncexec.backends.processes.page import MOST_JOBS
from asyncexec.backends.processes.worker_handle import ProcessWorker
from asyncexec.backends.report_stream import ReportStream
from asyncexec.backends.value_folder import ValueFolder
from asyncexec.errors import BackendError, SerializationError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.worker.attempt import describe

TICK_SECONDS = 0.02
# The time between forbidding an attempt on the page and reading whether it has started all the same.
SETTLE_SECONDS = 0.005
MOST_FAILED_STARTS = 3
# The time that idle workers have to end by themselves.
GRACE_SECONDS = 0.5
# A process that SIGKILL does not end within this time is stuck in the kernel, and is left alone.
KILL_SECONDS = 10.0
_LEAVING = "was killed because the executor ends"


class ProcessPool:
    """Worker processes that run batches; methods belong to the event loop's thread.

    Parameters
    ----------
    options : ProcessesOptions
    size : int
        How many workers run batches at once.
    stream : ReportStream
    """

    def __init__(self, options: ProcessesOptions, *, size: int, stream: ReportStream) -> None:
        self._launcher = Launcher.here(options.env_vars or {})
        self._options = options
        self._size = size
        self._most_jobs = options.max_tasks_per_worker
        self._report = stream.report
        self._fail = stream.fail
        self.values: ValueFolder | None = None
        self._loop = asyncio.get_running_loop()
        self._workers: set[ProcessWorker] = set()
        self._avoided: set[ProcessWorker] = set()
        self._queue: deque[Assignment] = deque()
        self._where: dict[int, Assignment] = {}  # By attempt.
        self._failed_starts = 0
        self._start_timers: dict[ProcessWorker, asyncio.TimerHandle] = {}
        self._tick: asyncio.TimerHandle | None = None
        self._broken = self._closing = self._forced = False
        self._none_left = asyncio.Event()

    async def open(self) -> None:
        """Start the workers, without waiting until they are ready."""
        self.values = ValueFolder.make()
        while self._needs_worker():
            self._start_worker()
            await asyncio.sleep(0)  # Each takes some ms, in which nothing else would run.

    async def close(self, *, at_once: bool) -> None:
        """End all workers: those at work by force, the others by force unless they go within half a second."""
        self._closing = True
        self._queue.clear()
        for timer in (self._tick, *self._start_timers.values()):
            if timer is not None:
                timer.cancel()
        for worker in self._workers:
            if at_once or worker.is_busy or not worker.is_ready:
                worker.kill(_LEAVING)
            else:
                worker.shut_down()
        # A cancellation is kept until all is closed: leaving half-way would leave processes and files behind.
        interrupted: asyncio.CancelledError | None = None
        for patience in (GRACE_SECONDS, KILL_SECONDS):
            try:
                await self._all_gone(patience)
            except asyncio.CancelledError as error:
                interrupted = error
            for worker in self._workers:
                worker.kill(_LEAVING)
        self._launcher.close()
        await self._remove_rest()
        if interrupted is not None:
            raise interrupted

    async def _remove_rest(self) -> None:
        if self._forced:
            # Some workers ended before they could end what their tasks had started.
            with ThreadPoolExecutor(1) as thread:
                try:
                    killed = thread.submit(kill_marked, self._launcher.mark)
                except RuntimeError:  # The process is ending, and starts no thread any more.
                    kill_marked(self._launcher.mark)
                else:
                    await asyncio.shield(asyncio.wrap_future(killed))
        if self.values is not None:
            await self.values.close()

    async def _all_gone(self, patience: float) -> None:
        if not self._workers:
            return
        self._none_left.clear()
        try:
            async with asyncio.timeout(patience):
                await self._none_left.wait()
        except TimeoutError:
            return

    @property
    def slots(self) -> int:
        """The number of workers that can run batches; replacements that are starting count already."""
        return self._size - sum(not worker.leaving for worker in self._avoided)

    # Batches.

    def submit(self, batch: Batch) -> None:
        """Queue a batch."""
        limit = min(MOST_JOBS, self._most_jobs or MOST_JOBS)
        if len(batch.jobs) > limit:
            size = len(batch.jobs)
            self._break(BackendError(f"a batch of {size} attempts is over the limit of {limit}"))
            return
        try:
            batch.program.blob  # noqa: B018 - pickled here, where a failure can be reported
        except SerializationError as error:
            info = describe(error, keep=True)
            failed = [Outcome(job.attempt, Status.FAILED, error=info) for job in batch.jobs]
            self._report(failed, len(failed))
            return
        self._enqueue(Assignment(batch.program, batch.jobs, batch.apart_from))
        self._dispatch()

    def cancel(self, attempts: Collection[int]) -> None:
        """Cancel attempts; a worker that runs one of them is killed."""
        held: dict[Assignment, set[int]] = {}
        for attempt in attempts:
            assignment = self._where.get(attempt)
            if assignment is not None:
                held.setdefault(assignment, set()).add(attempt)
        waited = False
        for assignment, cancelled in held.items():
            worker = next((w for w in self._workers if w.holds(assignment, cancelled)), None)
            if worker is None:
                self._drop_queued(assignment, cancelled)
            else:
                worker.drop(assignment, cancelled)
                waited = True
        # A worker may start an attempt in the moment in which it is forbidden: its page tells a little later.
        if waited:
            self._loop.call_later(SETTLE_SECONDS, self._check_workers)

    def avoid(self, names: Collection[str]) -> None:
        """Assign nothing more to these workers, and requeue what they have not started; all others may work."""
        self._refill()  # The replacement of a worker that ends is not avoided.
        staying = {worker.name: worker for worker in self._workers if not worker.leaving}
        self._avoided = {staying[name] for name in resting(staying, names)}
        for worker in self._avoided:
            worker.revoke_all()
        if self._avoided:
            self._loop.call_later(SETTLE_SECONDS, self._check_workers)
        self._dispatch()

    def report(self, reports: Sequence[Report], outcomes: int) -> None:
        """Report for a worker."""
        if outcomes:
            forget = self._where.pop
            for report in reports:
                forget(report[0], None)
        self._report(reports, outcomes)

    def discard(self, attempts: Collection[int]) -> None:
        """Delete the values that these attempts may have written before their worker ended."""
        if self.values is not None:
            self.values.discard(attempts)

    def requeue(self, assignment: Assignment, jobs: Sequence[AttemptSpec]) -> None:
        """Queue attempts that a worker did not start, before all others."""
        if not self._closing:
            again = Assignment(assignment.program, jobs, assignment.apart_from)
            self._enqueue(again, first=True)
            self._loop.call_soon(self._dispatch)

    def _enqueue(self, assignment: Assignment, *, first: bool = False) -> None:
        for job in assignment.jobs:
            self._where[job.attempt] = (
                assignment  # Also of what was requeued: it has a new assignment.
            )
        if first:
            self._queue.appendleft(assignment)
        else:
            self._queue.append(assignment)

    def _drop_queued(self, assignment: Assignment, cancelled: set[int]) -> None:
        assignment.jobs = [job for job in assignment.jobs if job.attempt not in cancelled]
        self.report([Outcome(a, Status.CANCELLED) for a in cancelled], len(cancelled))

    def _dispatch(self) -> None:
        """Assign queued batches, as far as workers have room."""
        passed: list[Assignment] = []
        while self._queue and not (self._closing or self._broken):
            assignment = self._queue[0]
            worker = self._worker_for(assignment) if assignment.jobs else None
            if assignment.jobs and worker is None and not assignment.apart_from:
                break
            self._queue.popleft()
            if worker is not None:
                self._assign(worker, assignment)
            elif assignment.jobs:
                passed.append(assignment)  # Later ones may go to the workers that it must avoid.
        self._queue.extendleft(reversed(passed))
        if self._tick is None and not self._closing and any(w.is_busy for w in self._workers):
            self._tick = self._loop.call_later(TICK_SECONDS, self._on_tick)

    def _assign(self, worker: ProcessWorker, assignment: Assignment) -> None:
        packed = pack_inputs(assignment.jobs)
        if packed.refused:
            failed = [_unpicklable(job, why) for job, why in packed.refused]
            self.report(failed, len(failed))
            assignment.jobs = packed.jobs
        if assignment.jobs:
            worker.assign(assignment, packed, self._options.allowed_bytes(assignment.program))

    def _worker_for(self, assignment: Assignment) -> ProcessWorker | None:
        """Return the worker for an assignment; None if it has to wait."""
        jobs = len(assignment.jobs)
        busy = sum(w.is_busy for w in self._workers)
        free: list[ProcessWorker] = []
        for worker in list(self._workers):
            if not worker.has_room(assignment.program) or (
                busy >= self._size and not worker.is_busy
            ):
                continue
            if self._most_jobs is not None and worker.assigned_jobs + jobs > self._most_jobs:
                self._retire(worker)
            elif worker not in self._avoided:
                free.append(worker)
        if assignment.program.concurrency > 1:
            apart = assignment.apart_from
            return min(
                free,
                key=lambda w: (w.name in apart, len(w.concurrent), not w.is_ready),
                default=None,
            )
        return least_busy(free, self._accepting(), apart_from=assignment.apart_from)

    def _accepting(self) -> Iterator[ProcessWorker]:
        """Iterate over the workers that take work sooner or later."""
        return (w for w in self._workers if not w.leaving and w not in self._avoided)

    # Workers.

    def ready(self, worker: ProcessWorker) -> None:
        """Note that a worker has started up."""
        self._start_timers.pop(worker).cancel()
        self._dispatch()

    def free(self, worker: ProcessWorker) -> None:
        """Assign more to a worker, if there is more."""
        self._failed_starts = 0  # They count in a row: one that works shows that starting works.
        if worker.leaving and not worker.is_busy:
            worker.shut_down()
        self._dispatch()

    def ended(self, worker: ProcessWorker, exit_kind: WorkerExit, how: str) -> None:
        """Replace a worker that has ended."""
        self._workers.discard(worker)
        self._avoided.discard(worker)
        self._forced |= how != describe_exit(0)
        timer = self._start_timers.pop(worker, None)
        if timer is not None:
            timer.cancel()
        if self._closing:
            if not self._workers:
                self._none_left.set()
            return
        if exit_kind is WorkerExit.NEVER_READY or (
            exit_kind is WorkerExit.DIED and worker.failed_at_start
        ):
            self._note_failed_start(f"{how}{_stderr_text(worker.error_tail())}")
        self._refill()
        self._dispatch()

    def _retire(self, worker: ProcessWorker) -> None:
        """Assign nothing more to a worker, and shut it down when it has finished."""
        worker.leaving = True
        if not worker.is_busy:
            worker.shut_down()
        self._refill()

    def _needs_worker(self) -> bool:
        staying = sum(not w.leaving for w in self._workers)
        return staying < self._size and not (self._closing or self._broken)

    def _refill(self) -> None:
        while self._needs_worker():
            self._start_worker()

    def _start_worker(self) -> None:
        try:
            launched = self._launcher.launch()
        except BackendError as error:
            self._break(error)
            return
        worker = ProcessWorker(self._loop, launched, self)
        self._workers.add(worker)
        self._start_timers[worker] = self._loop.call_later(
            self._options.start_timeout, self._start_timed_out, worker
        )

    def _start_timed_out(self, worker: ProcessWorker) -> None:
        worker.kill(f"was not ready within {self._options.start_timeout:g} s, and was killed")

    def _note_failed_start(self, how: str) -> None:
        self._failed_starts += 1
        if self._failed_starts >= MOST_FAILED_STARTS:
            self._break(
                BackendError(
                    f"worker processes end before they can work, {self._failed_starts} in a row; the last one {how}"
                )
            )

    def _break(self, error: BackendError) -> None:
        self._broken = True
        self._fail(error)

    # The timer.

    def _on_tick(self) -> None:
        self._tick = None
        self._check_workers()
        self._rebalance()
        self._dispatch()

    def _check_workers(self) -> None:
        if self._closing:
            return
        now = time.monotonic()
        for worker in list(self._workers):
            worker.check(now)
        self._refill()  # A worker that was just killed is replaced while it still ends.

    def _rebalance(self) -> None:
        """Revoke a batch that waits behind a long attempt, if another worker is idle."""
        if self._queue:
            return
        idle = sum(w.is_ready and not w.is_busy for w in self._accepting())
        for worker in self._workers:
            if not idle:
                return
            idle -= worker.revoke_waiting()


def _unpicklable(job: AttemptSpec, why: Exception) -> Outcome:
    error = SerializationError(
        f"an input of this task cannot be pickled, so it cannot be sent to a worker process: "
        f"{type(why).__name__}: {why}. Send what it is made from instead (a path, say, and not an open file), "
        f"or run on executor='threads'"
    )
    error.__cause__ = why
    return Outcome(job.attempt, Status.FAILED, error=describe(error, keep=True))


def _stderr_text(tail: str) -> str:
    return f"; it wrote to stderr:\n{tail}" if tail else " and wrote nothing to stderr"
