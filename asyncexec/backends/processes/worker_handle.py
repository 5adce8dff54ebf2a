"""A worker process as the driver sees it: what it holds, what it is doing, how it is stopped."""

from __future__ import annotations

import asyncio
import pickle
import time
from collections import OrderedDict, deque
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from asyncexec.backends.contract import AttemptSpec, Report, StageProgram, Started
from asyncexec.backends.processes.assignment import Assignment, Ending, Freed
from asyncexec.backends.processes.channel import Channel
from asyncexec.backends.processes.frames import PREFIX, ROW, Bytes, Kind, Row, head, rows
from asyncexec.backends.processes.inputs import PackedInputs
from asyncexec.backends.processes.launch import Exit, Launched, describe_exit
from asyncexec.backends.processes.page import Sight
from asyncexec.errors import WorkerLostError
from asyncexec.events.outcome import ErrorInfo, Outcome, Status

# A job that has run for so long is told to have started, and what lies on the page is fetched.
TELL_SECONDS = 0.01
# Between the start of a job and the worker's look at whether it is forbidden lies less than this; and so does the time
# in which one side's write to the page reaches the other.
SETTLE_SECONDS = 0.002
# One batch runs, and one waits in the pipe, so that the worker need not wait for the event loop.
MOST_ASSIGNMENTS = 2
MOST_PROGRAMS = 32
# From its closing of the socket to its end.
HANG_UP_SECONDS = 1.0
# From being dismissed to its end.
FAREWELL_SECONDS = 5.0
# Who ends within this time, and without having begun any work, was not fit for it.
INFANCY_SECONDS = 5.0

LOST = "asyncexec.errors.WorkerLostError"
_LOST_BASES = tuple(f"{b.__module__}.{b.__qualname__}" for b in WorkerLostError.__mro__[1:-1])


class Owner(Protocol):
    """Who is told what becomes of a worker."""

    def report(self, reports: Sequence[Report], outcomes: int) -> None:
        """Pass on reports, of which so many are outcomes."""
        ...

    def take_back(self, assignment: Assignment, jobs: Sequence[AttemptSpec]) -> None:
        """Hand these jobs of an assignment to another worker."""
        ...

    def ready(self, worker: ProcessWorker) -> None:
        """Take note that the worker has started up."""
        ...

    def discard(self, attempts: Collection[int]) -> None:
        """Delete what these attempts have left, whose worker ended under them."""
        ...

    def free(self, worker: ProcessWorker) -> None:
        """Take note that the worker has room for another assignment."""
        ...

    def gone(self, worker: ProcessWorker, ending: Ending, how: str) -> None:
        """Take note that the worker has ended and holds nothing any more; ``how`` says it to people."""
        ...


class ProcessWorker:
    """A worker process; its methods belong to the event loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, launched: Launched, owner: Owner) -> None:
        self.name = f"process-{launched.process.pid}"
        self.assignments: deque[Assignment] = deque()
        """What it holds: the one it runs, and one more."""
        self.handed = 0
        """How many jobs it has been given in its life."""
        self.is_ready = False
        """Whether it has started up."""
        self.leaving = False
        """Whether it gets no more work."""
        self.stillborn = False
        """Once it has ended: whether it did so soon, before it began any work."""
        self._loop = loop
        self._owner = owner
        self._launched = launched
        self._page = launched.page
        self._channel = Channel(loop, launched.socket, self._frame, self._hung_up)
        self._exit = Exit(loop, launched.process, self._ended)
        self._numbers = 0
        self._held: OrderedDict[str, None] = OrderedDict()
        self._born = time.monotonic()
        self._forbade_at = 0.0
        self._dismissed = self._killed = False
        self._why = ""

    def has_room(self) -> bool:
        """Whether it takes another assignment."""
        return not self.leaving and len(self.assignments) < MOST_ASSIGNMENTS

    def give(self, assignment: Assignment, packed: PackedInputs, allowed_bytes: int | None) -> None:
        """Hand it an assignment, whose jobs are those packed."""
        program = assignment.program
        self._numbers += 1
        assignment.number = self._numbers
        self._page.allow(assignment.number)
        self.assignments.append(assignment)
        self.handed += len(assignment.jobs)
        if program.key in self._held:
            self._held.move_to_end(program.key)
        else:
            self._send_program(program)
        header = (
            assignment.number,
            program.key,
            allowed_bytes,
            [job.attempt for job in assignment.jobs],
            [job.task for job in assignment.jobs],
            packed.ends,
            packed.beside_ends,
        )
        pieces: list[Bytes] = [packed.pickles, *packed.beside] if packed.ends else []
        self._send(Kind.BATCH, header, *pieces)

    def drop(self, assignment: Assignment, attempts: Collection[int]) -> None:
        """Forbid these attempts to start; :meth:`look` a little later finds out whether they have."""
        self._forbade_at = time.monotonic()
        forbidden = self._page.forbidden(assignment.number)
        for position in assignment.drop(attempts):
            forbidden[position] = 1

    def give_up_waiting(self) -> bool:
        """Forbid what it holds and has not begun, if it will not come to it soon; return whether there is such."""
        if self._killed or len(self.assignments) < MOST_ASSIGNMENTS:
            return False
        sight = self._page.sight()
        current, waiting = self.assignments
        if sight.number != current.number or not sight.running or waiting.revoked:
            return False
        self._forbade_at = time.monotonic()
        if self._forbade_at - sight.since < 2 * TELL_SECONDS:
            return False
        self._revoke(waiting)
        return True

    def give_up_all(self) -> None:
        """Forbid all that it holds and has not begun; :meth:`look` a little later hands it back."""
        if not self._killed:
            self._forbade_at = time.monotonic()
            for assignment in self.assignments:
                self._revoke(assignment)

    def look(self, now: float) -> None:
        """See what it is doing, and tell what it could not tell itself; ``now`` is monotonic."""
        if not self.assignments or self._killed:
            return
        sight = self._page.sight()
        current = self.assignments[0]
        if sight.running and sight.number == current.number:
            age = now - sight.since
            if age > TELL_SECONDS:
                self._fetch(current, sight)
                self._tell_started(current, sight.position)
            if age > SETTLE_SECONDS and current.unwanted(sight.position):
                self.kill("was killed to stop another task, just when this one had started")
                return
        if now - self._forbade_at < SETTLE_SECONDS:
            return
        for assignment in list(self.assignments):
            if assignment.unsettled and sight.number <= assignment.number:
                begun = sight.position if sight.number == assignment.number else -1
                self._freed(assignment, assignment.settle(begun))

    def kill(self, why: str) -> None:
        """End it at once, with all it has started; ``why`` goes on after "worker so-and-so"."""
        self._why = self._why or why
        self._killed = self.leaving = True
        self._exit.kill()

    def dismiss(self) -> None:
        """Let it end by itself, as it has nothing to do; threads that tasks have left there may not let it."""
        self.leaving = self._dismissed = True
        self._channel.end()
        self._loop.call_later(FAREWELL_SECONDS, self._exit.kill)

    def age(self) -> float:
        """Return for how many seconds it has been there."""
        return time.monotonic() - self._born

    def error_tail(self) -> str:
        """Return the last lines it wrote to stderr before it was ready."""
        return self._launched.error_tail()

    def _revoke(self, assignment: Assignment) -> None:
        assignment.revoked = True
        self._page.forbid(assignment.number)

    def _send_program(self, program: StageProgram) -> None:
        dropped = [
            self._held.popitem(last=False)[0]
            for _ in range(max(0, len(self._held) - MOST_PROGRAMS + 1))
        ]
        self._held[program.key] = None
        self._send(Kind.PROGRAM, (program.key, dropped), program.blob)

    def _send(self, kind: Kind, fields: tuple[object, ...], *body: Bytes) -> None:
        lengths = [len(piece) for piece in body]
        header = pickle.dumps((fields, lengths), protocol=5)
        self._channel.send(head(kind, len(header), sum(lengths)), header, *body)

    def _frame(self, kind: Kind, header: memoryview, body: memoryview | bytearray) -> None:
        if kind == Kind.HELLO:
            self.is_ready = True
            self._owner.ready(self)
            return
        number, first = PREFIX.unpack_from(header)
        assignment = self.assignments[0]
        if number == assignment.number:
            self._take(assignment, first, rows(header[PREFIX.size :], body))

    def _take(self, assignment: Assignment, first: int, found: Iterable[Row]) -> None:
        self._freed(assignment, assignment.take(first, found, self.name))
        if assignment.complete:
            self.assignments.popleft()
            self._owner.free(self)

    def _freed(self, assignment: Assignment, freed: Freed) -> None:
        if freed.outcomes:
            self._owner.report(freed.outcomes, len(freed.outcomes))
        if freed.back:
            self._owner.take_back(assignment, freed.back)

    def _fetch(self, current: Assignment, sight: Sight) -> None:
        """Take in the outcomes on the page."""
        if sight.first + sight.left <= current.done:
            return
        table = bytes(self._page.table[: sight.left * ROW.size])
        payload = bytes(self._page.payload)
        if self._page.sight()[:3] == sight[:3]:
            # Nothing has moved meanwhile, so what was copied belongs together.
            self._take(current, sight.first, rows(table, payload))

    def _tell_started(self, current: Assignment, position: int) -> None:
        job = current.start(position)
        if job is not None:
            self._owner.report([Started(job.attempt, self.name)], 0)

    def _hung_up(self) -> None:
        self.leaving = True
        if not self._dismissed:
            # As a rule it is ending, and how will be known at once; or else a task has closed its socket.
            self._loop.call_later(HANG_UP_SECONDS, self._end_hung_up)

    def _end_hung_up(self) -> None:
        self._why = self._why or "closed its connection to the driver, and was killed"
        self._exit.kill()

    def _ended(self, code: int) -> None:
        self.leaving = True
        self._channel.drain()
        how = self._why or describe_exit(code)
        ending = Ending.KILLED if self._killed else Ending.DIED
        if not self.is_ready:
            ending = Ending.NEVER_READY
        self.stillborn = self._page.sight().number == 0 and self.age() < INFANCY_SECONDS
        self._free_all(ending, how)
        self._channel.close()
        self._page.close()
        self._owner.gone(self, ending, how)
        self._launched.errors.close()

    def _free_all(self, ending: Ending, how: str) -> None:
        error = ErrorInfo(LOST, _LOST_BASES, f"worker {self.name} {how}")
        sight = self._page.sight()
        if self.assignments and sight.number == self.assignments[0].number:
            self._fetch(self.assignments[0], sight)
        for assignment in self.assignments:
            running = None
            if sight.running and sight.number == assignment.number:
                running = sight.position
            lost = Outcome(
                0,
                Status.LOST,
                self.name,
                sight.started_at,
                max(0.0, time.time() - sight.started_at),
                error=error,
            )
            if running is not None:
                self._owner.discard([assignment.jobs[running].attempt])
            self._freed(assignment, assignment.end(ending, running, lost, error))
        self.assignments.clear()
