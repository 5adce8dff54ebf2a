"""The driver's handle of a worker process: its assignments, its state, and how it is stopped."""

from __future__ import annotations

import asyncio
import json
import pickle
import time
from collections import OrderedDict, deque
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from asyncexec.backends.contract import AttemptSpec, Note, Report, StageProgram, Started
from asyncexec.backends.processes.assignment import Assignment, Released, WorkerExit
from asyncexec.backends.processes.channel import Channel
from asyncexec.backends.processes.concurrent_work import ConcurrentWork
from asyncexec.backends.processes.frames import PREFIX, ROW, Bytes, FrameKind, Row, head, rows
from asyncexec.backends.processes.inputs import PackedInputs
from asyncexec.backends.processes.launch import Exit, Launched, describe_exit
from asyncexec.backends.processes.page import PageSnapshot
from asyncexec.errors import WorkerLostError
from asyncexec.events.outcome import ErrorInfo, Outcome, Status
from asyncexec.worker.codec import decode_reports

# An attempt that has run for this long is reported as started, and the outcomes on the page are fetched.
REPORT_START_SECONDS = 0.01
# The time between the start of an attempt and the worker's check whether it is forbidden is shorter than this; so is
# the time until one side's write to the page reaches the other.
SETTLE_SECONDS = 0.002
# One batch runs, and one waits in the pipe, so that the worker need not wait for the event loop.
MOST_ASSIGNMENTS = 2
# What a worker keeps of the programs of other stages, in number and in bytes: a task counts its own alone.
MOST_PROGRAMS = 32
MOST_PROGRAM_BYTES = 4_000_000
# A worker that has said nothing for so long may be held up by one of the tasks that run in it at once.
SILENCE_SECONDS = 0.1
# The time from closing its socket to its end.
DISCONNECT_SECONDS = 1.0
# The time from the request to shut down to its end.
SHUT_DOWN_SECONDS = 5.0
# A worker that ends within this time, without having started any work, has failed to start.
EARLY_EXIT_SECONDS = 5.0

_UNSTOPPABLE = "was killed because a task that ran in it ignored being cancelled"
LOST = "asyncexec.errors.WorkerLostError"
_LOST_BASES = tuple(f"{b.__module__}.{b.__qualname__}" for b in WorkerLostError.__mro__[1:-1])


class WorkerOwner(Protocol):
    """The owner of a worker, which is notified of its changes."""

    def report(self, reports: Sequence[Report], outcomes: int) -> None:
        """Report, with the number of outcomes among the reports."""
        ...

    def requeue(self, assignment: Assignment, jobs: Sequence[AttemptSpec]) -> None:
        """Queue these attempts of an assignment for another worker."""
        ...

    def ready(self, worker: ProcessWorker) -> None:
        """Note that the worker has started up."""
        ...

    def discard(self, attempts: Collection[int]) -> None:
        """Delete the values that these attempts may have written before their worker ended."""
        ...

    def free(self, worker: ProcessWorker) -> None:
        """Note that the worker has room for another assignment."""
        ...

    def ended(self, worker: ProcessWorker, exit_kind: WorkerExit, how: str) -> None:
        """Note that the worker has ended, and all its attempts are released; ``how`` is for people."""
        ...


class ProcessWorker:
    """A worker process; methods belong to the event loop's thread."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, launched: Launched, owner: WorkerOwner
    ) -> None:
        self.name = f"process-{launched.process.pid}"
        self.assignments: deque[Assignment] = deque()
        """Its assignments: the one it runs, and one more."""
        self.concurrent = ConcurrentWork()
        """Attempts that run in it at once; it has either these or assignments."""
        self.assigned_jobs = 0
        """The number of attempts assigned to it in its life."""
        self.is_ready = False
        """True once it has started up."""
        self.leaving = False
        """True if it gets no more work."""
        self.failed_at_start = False
        """True if it has ended soon, before it started any work."""
        self._loop = loop
        self._owner = owner
        self._launched = launched
        self._page = launched.page
        self._channel = Channel(loop, launched.socket, self._frame, self._disconnected)
        self._exit = Exit(loop, launched.process, self._ended)
        self._numbers = 0
        self._held: OrderedDict[str, int] = OrderedDict()
        """The programs that the worker has, the one used last at the end, with their sizes."""
        self._born = time.monotonic()
        self._forbade_at = self._heard_at = 0.0
        self._shut_down_sent = self._killed = False
        self._why = ""

    @property
    def is_busy(self) -> bool:
        """True while it has work."""
        return bool(self.assignments or self.concurrent)

    def has_room(self, program: StageProgram) -> bool:
        """Return whether it takes another assignment of ``program``.

        While attempts run at once, it receives requests to stop some of them, and so runs none in its main thread.
        """
        if self.leaving:
            return False
        if program.concurrency == 1:
            return not self.concurrent and len(self.assignments) < MOST_ASSIGNMENTS
        most = MOST_ASSIGNMENTS * program.concurrency
        return not self.assignments and len(self.concurrent) < most

    def holds(self, assignment: Assignment, attempts: Collection[int]) -> bool:
        """Return whether it has these attempts of an assignment."""
        return assignment in self.assignments or self.concurrent.holds(attempts)

    def assign(
        self, assignment: Assignment, packed: PackedInputs, allowed_bytes: int | None
    ) -> None:
        """Send an assignment, whose attempts are those packed."""
        program = assignment.program
        self.assigned_jobs += len(assignment.jobs)
        if program.concurrency > 1:
            self._assign_at_once(assignment, packed, allowed_bytes)
            return
        self._numbers += 1
        assignment.number = self._numbers
        self._page.allow(assignment.number)
        self.assignments.append(assignment)
        self._hold_program(program)
        header = (
            assignment.number,
            program.key,
            allowed_bytes,
            *_described(assignment, packed),
        )
        pieces: list[Bytes] = [packed.pickles, *packed.out_of_band] if packed.ends else []
        self._send(FrameKind.BATCH, header, *pieces)

    def drop(self, assignment: Assignment, attempts: Collection[int]) -> None:
        """Forbid the start of these attempts; :meth:`check` finds out a little later whether they have started.

        Attempts that run at once are stopped by a request; the worker is killed if that does not help.
        """
        if assignment.program.concurrency > 1:
            if stopped := self.concurrent.stop(attempts, time.monotonic()):
                self._send(FrameKind.STOP, tuple(stopped))
            return
        self._forbade_at = time.monotonic()
        forbidden = self._page.forbidden(assignment.number)
        for position in assignment.drop(attempts):
            forbidden[position] = 1

    def revoke_waiting(self) -> bool:
        """Revoke the assignment that waits behind a long attempt; return whether there is one."""
        if self._killed or len(self.assignments) < MOST_ASSIGNMENTS:
            return False
        snapshot = self._page.snapshot()
        current, waiting = self.assignments
        if snapshot.number != current.number or not snapshot.running or waiting.revoked:
            return False
        self._forbade_at = time.monotonic()
        # Short attempts end sooner than moving the waiting ones would take.
        if self._forbade_at - snapshot.since < 2 * REPORT_START_SECONDS:
            return False
        self._revoke(waiting)
        return True

    def revoke_all(self) -> None:
        """Revoke all that has not started; :meth:`check` requeues it a little later."""
        if not self._killed:
            self._forbade_at = time.monotonic()
            for assignment in self.assignments:
                self._revoke(assignment)

    def check(self, now: float) -> None:
        """Read the page, and report what the worker cannot report itself; ``now`` is monotonic."""
        if self.concurrent and not self._killed:
            self._check_concurrent(now)
        if not self.assignments or self._killed:
            return
        snapshot = self._page.snapshot()
        current = self.assignments[0]
        if snapshot.running and snapshot.number == current.number:
            age = now - snapshot.since
            if age > REPORT_START_SECONDS:
                self._fetch(current, snapshot)
                self._report_start(current, snapshot.position)
            if age > SETTLE_SECONDS and current.is_cancelled(snapshot.position):
                self.kill("was killed to stop another task, just when this one had started")
                return
        # Before that, the worker may have started an attempt without having written so on its page.
        if now - self._forbade_at < SETTLE_SECONDS:
            return
        for assignment in list(self.assignments):
            if assignment.unsettled and snapshot.number <= assignment.number:
                begun = snapshot.position if snapshot.number == assignment.number else -1
                self._release(assignment, assignment.resolve_cancelled(begun))

    def _check_concurrent(self, now: float) -> None:
        if now - self._heard_at > SILENCE_SECONDS:
            self._heard_at = now
            at_once = frozenset(self._page.lanes) - {0}
            starts = [Started(a, self.name) for a in self.concurrent.unreported(at_once)]
            self._owner.report(starts, 0)
        if self.concurrent.is_overdue(now):
            self.kill(_UNSTOPPABLE)

    def kill(self, why: str) -> None:
        """Kill the worker with all processes it has started; ``why`` follows the words "worker NAME"."""
        self._why = (
            self._why or why
        )  # The first reason is the cause; later ones meet a process that is ending.
        self._killed = self.leaving = True
        self._exit.kill()

    def shut_down(self) -> None:
        """Let an idle worker end by itself; it is killed later, as threads of tasks may keep it alive."""
        self.leaving = self._shut_down_sent = True
        self._channel.end()  # A worker that reads the end of its channel leaves by itself.
        self._loop.call_later(SHUT_DOWN_SECONDS, self._exit.kill)

    def age(self) -> float:
        """Return the seconds since its start."""
        return time.monotonic() - self._born

    def error_tail(self) -> str:
        """Return the last lines that it wrote to stderr before it was ready."""
        return self._launched.error_tail()

    def _revoke(self, assignment: Assignment) -> None:
        assignment.revoked = True
        self._page.forbid(assignment.number)

    def _assign_at_once(
        self, assignment: Assignment, packed: PackedInputs, allowed_bytes: int | None
    ) -> None:
        program = assignment.program
        self.concurrent.add(assignment)
        self._hold_program(program)
        header = (program.key, program.concurrency, allowed_bytes, *_described(assignment, packed))
        pieces: list[Bytes] = [packed.pickles, *packed.out_of_band] if packed.ends else []
        self._send(FrameKind.CONCURRENT, header, *pieces)

    def _hold_program(self, program: StageProgram) -> None:
        """Send a program, unless the worker has it."""
        if program.key in self._held:
            self._held.move_to_end(program.key)
        else:
            self._send_program(program)

    def _send_program(self, program: StageProgram) -> None:
        dropped: list[str] = []
        while len(self._held) >= MOST_PROGRAMS or sum(self._held.values()) > MOST_PROGRAM_BYTES:
            dropped.append(self._held.popitem(last=False)[0])
        self._held[program.key] = len(program.blob)
        self._send(FrameKind.PROGRAM, (program.key, dropped), program.blob)

    def _send(self, kind: FrameKind, fields: tuple[object, ...], *body: Bytes) -> None:
        lengths = [len(piece) for piece in body]
        header = pickle.dumps((fields, lengths), protocol=5)
        self._channel.send(head(kind, len(header), sum(lengths)), header, *body)

    def _frame(self, kind: FrameKind, header: memoryview, body: memoryview | bytearray) -> None:
        if kind == FrameKind.READY:
            self.is_ready = True
            self._owner.ready(self)
            return
        if kind == FrameKind.NOTES:
            self._owner.report([Note(*json.loads(bytes(header)))], 0)
            return
        if kind == FrameKind.REPORTS:
            self._take_reports(decode_reports(bytes(body)))
            return
        number, first = PREFIX.unpack_from(header)
        assignment = self.assignments[0]
        if number == assignment.number:
            self._take(assignment, first, rows(header[PREFIX.size :], body))

    def _take(self, assignment: Assignment, first: int, found: Iterable[Row]) -> None:
        self._release(assignment, assignment.take(first, found, self.name))
        if assignment.complete:
            self.assignments.popleft()
            self._owner.free(self)

    def _take_reports(self, reports: Iterable[Report]) -> None:
        self._heard_at = time.monotonic()
        said, outcomes, goes_on = self.concurrent.take(reports)
        self._owner.report(said, 0)
        self._owner.report(outcomes, len(outcomes))
        if goes_on:
            self.kill(_UNSTOPPABLE)
        elif outcomes:
            self._owner.free(self)

    def _release(self, assignment: Assignment, released: Released) -> None:
        if released.outcomes:
            self._owner.report(released.outcomes, len(released.outcomes))
        if released.requeued:
            self._owner.requeue(assignment, released.requeued)

    def _fetch(self, current: Assignment, snapshot: PageSnapshot) -> None:
        """Process the outcomes on the page."""
        if snapshot.first + snapshot.left <= current.done:
            return
        table = bytes(self._page.table[: snapshot.left * ROW.size])
        payload = bytes(self._page.payload)
        if self._page.snapshot()[:3] == snapshot[:3]:
            # The page has not changed meanwhile, so the copy is consistent.
            self._take(current, snapshot.first, rows(table, payload))

    def _report_start(self, current: Assignment, position: int) -> None:
        job = current.start(position)
        if job is not None:
            self._owner.report([Started(job.attempt, self.name)], 0)

    def _disconnected(self) -> None:
        self.leaving = True
        if not self._shut_down_sent:
            # Usually it is ending, and its exit is noticed at once; otherwise a task has closed its socket.
            self._loop.call_later(DISCONNECT_SECONDS, self._kill_disconnected)

    def _kill_disconnected(self) -> None:
        self._why = self._why or "closed its connection to the driver, and was killed"
        self._exit.kill()

    def _ended(self, code: int) -> None:
        self.leaving = True
        self._channel.drain()
        how = self._why or describe_exit(code)
        exit_kind = WorkerExit.KILLED if self._killed else WorkerExit.DIED
        if not self.is_ready:
            exit_kind = WorkerExit.NEVER_READY
        has_begun = self._page.snapshot().number > 0 or any(self._page.lanes)
        self.failed_at_start = not has_begun and self.age() < EARLY_EXIT_SECONDS
        self._free_all(exit_kind, how)
        self._channel.close()
        self._page.close()
        self._owner.ended(self, exit_kind, how)
        self._launched.errors.close()
        if self._launched.lifeline is not None:
            self._launched.lifeline.close()

    def _free_all(self, exit_kind: WorkerExit, how: str) -> None:
        error = ErrorInfo(LOST, _LOST_BASES, f"worker {self.name} {how}")
        snapshot = self._page.snapshot()
        if self.assignments and snapshot.number == self.assignments[0].number:
            self._fetch(self.assignments[0], snapshot)
        for assignment in self.assignments:
            running = None
            if snapshot.running and snapshot.number == assignment.number:
                running = snapshot.position
            lost = Outcome(
                0,
                Status.LOST,
                self.name,
                snapshot.started_at,
                max(0.0, time.time() - snapshot.started_at),
                error=error,
            )
            if running is not None:
                self._owner.discard([assignment.jobs[running].attempt])
            self._release(assignment, assignment.end(exit_kind, running, lost, error))
        self.assignments.clear()
        at_once = frozenset(self._page.lanes) - {0}
        self._owner.discard(at_once)
        lost_by = self.concurrent.end(
            exit_kind, at_once, self.name, error, kernel=self._page.kernel
        )
        for assignment, released in lost_by:
            self._release(assignment, released)


def _described(assignment: Assignment, packed: PackedInputs) -> tuple[object, ...]:
    """Return the attempts of an assignment, as a worker is sent them, with the places of their inputs."""
    return (
        [job.attempt for job in assignment.jobs],
        [job.task for job in assignment.jobs],
        {position: job.number for position, job in enumerate(assignment.jobs) if job.number > 1},
        packed.ends,
        packed.out_of_band_ends,
    )
