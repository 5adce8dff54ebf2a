"""Run a batch in a child process of the worker, for systems that report nothing of a worker but its death.

The child reports each outcome as it comes, so that a task that ends its process costs its own attempt and no other:
attempts that ended before it keep their outcomes, and those after it have not started. What its tasks have started ends
with the batch.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable

from asyncexec.errors import BackendError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.worker.attempt import describe
from asyncexec.worker.codec import decode_reports, encode_reports
from asyncexec.worker.framing import pack_frame, read_frame
from asyncexec.worker.records import Note
from asyncexec.worker.remote_batch import NEEDS_PROGRAM, RemoteBatch, worker_name
from asyncexec.worker.reports import MOST_NOTES
from asyncexec.worker.run_scope import process_here

if sys.platform != "win32":  # without fork there is no memory meter either
    from asyncexec.backends.processes.family import adopt_orphans, descendants, kill_all_but
    from asyncexec.worker.memory import MemoryMeter


def run_in_child(call: RemoteBatch) -> bytes:
    """Run a batch in a child process, and return its outcomes as bytes; where there is no fork, in this one."""
    if sys.platform == "win32":
        return call()
    known = descendants()
    adopt_orphans()
    try:
        return _run_in_child(call)
    finally:
        # A daemon or a copy that lives on would keep the outputs of the worker open, to whose end its system reads.
        kill_all_but(known)
        adopt_orphans(on=False)


def _run_in_child(call: RemoteBatch) -> bytes:
    reader, writer = os.pipe()
    began = time.time()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _run_and_leave(lambda: _report(call, writer))
    os.close(writer)
    notes: list[Note] = []
    outcomes: list[Outcome] = []
    with open(reader, "rb", buffering=0) as pipe:  # noqa: PTH123 - a descriptor, not a path
        while (frame := read_frame(pipe.readinto)) is not None:
            if frame == NEEDS_PROGRAM:
                os.waitpid(child, 0)
                return NEEDS_PROGRAM
            for report in decode_reports(bytes(frame)):
                if isinstance(report, Outcome):
                    outcomes.append(report)
                elif isinstance(report, Note):
                    notes.append(report)
    _, status = os.waitpid(child, 0)
    ended = {outcome.attempt for outcome in outcomes}
    left = [job.attempt for job in call.jobs if job.attempt not in ended]
    if left:
        since = max([began, *(o.started_at + o.seconds for o in outcomes)])
        code = os.waitstatus_to_exitcode(status)
        outcomes += _lost(left, child, since=since, code=code, at_once=call.concurrency)
    return encode_reports([*notes, *outcomes])


def _run_and_leave(work: Callable[[], None]) -> None:
    """Do ``work``, and end this process without the exit handlers that it inherited from its parent."""
    try:
        work()
    except BaseException:  # noqa: BLE001 - the exit code reports it to the parent
        os._exit(70)
    os._exit(0)


class _Pipe:
    """A report sink in the child that writes outcomes to the parent."""

    def __init__(self, descriptor: int) -> None:
        self._notes: deque[Note] = deque(maxlen=MOST_NOTES)
        self._file = open(descriptor, "wb", buffering=0)  # noqa: SIM115 - a descriptor; closed by the child's end

    def started(self, attempt: int) -> None:
        """Do nothing: of the attempts without an outcome, the parent takes the first for the one that was running."""

    def ended(self, outcome: Outcome) -> None:
        self.write(encode_reports([*self._taken(), outcome]))

    def noted(self, note: Note) -> None:
        # The parent reads only frames that are whole, and the pipe may be full: it goes with the outcome.
        self._notes.append(note)

    def write(self, frame: bytes) -> None:
        rest = memoryview(pack_frame(frame))
        while rest:
            rest = rest[self._file.write(rest) :]

    def _taken(self) -> list[Note]:
        return [self._notes.popleft() for _ in range(len(self._notes))]


def _report(call: RemoteBatch, writer: int) -> None:
    # A copy that a task makes and that lives on would keep the pipe open, at whose end the parent goes on.
    os.register_at_fork(after_in_child=lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), writer))
    pipe = _Pipe(writer)
    if not call.run(pipe, worker=worker_name(), meter=MemoryMeter(always=True)):
        pipe.write(NEEDS_PROGRAM)


def _lost(
    attempts: list[int], child: int, *, since: float, code: int, at_once: int
) -> list[Outcome]:
    """Return outcomes of the attempts that had none when the child ended: the first of them were running."""
    how = f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"
    info = describe(BackendError(f"the worker process that ran the task {how}"))
    worker = process_here(child)
    seconds = max(time.time() - since, 0.0)
    return [
        Outcome(attempt, Status.LOST, worker, since, seconds, error=info)
        if position < at_once
        else Outcome(attempt, Status.LOST, error=info)
        for position, attempt in enumerate(attempts)
    ]
