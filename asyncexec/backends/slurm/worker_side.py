"""The main function of a SLURM job: run batches as they arrive."""

from __future__ import annotations

import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from asyncexec.backends.contract import Note, Started
from asyncexec.backends.slurm.channel import END, JobChannel
from asyncexec.events.outcome import Outcome
from asyncexec.worker.memory import SHARED_LIMIT, MemoryMeter
from asyncexec.worker.programs import PROGRAMS, LoadedProgram
from asyncexec.worker.remote_batch import RemoteBatch, worker_name
from asyncexec.worker.runner import BatchRunner

FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 0.25


class JobMain:
    """The callable that submitit runs in a job: it runs batches, until none has arrived for a while.

    Parameters
    ----------
    folder : str
        The folder of the files by which driver and job exchange messages (see ``channel``).
    idle_seconds : float
        Seconds to wait for the next batch while the driver is silent.
    """

    def __init__(self, folder: str, idle_seconds: float) -> None:
        self.folder = folder
        self.idle_seconds = idle_seconds

    def __call__(self) -> None:
        """Run batches as they arrive."""
        _restore_signals()
        channel = JobChannel(Path(self.folder))
        meter = MemoryMeter()
        for frame in self._frames(channel):
            # The frame is from the driver, in a folder that only this user can write to.
            _run_batch(pickle.loads(frame), channel, meter)  # noqa: S301 - see above

    def _frames(self, channel: JobChannel) -> Iterator[bytes]:
        """Yield the driver's batches, until it sends the end or nothing for a while."""
        deadline = time.monotonic() + self.idle_seconds
        pause = FIRST_PAUSE_SECONDS
        while time.monotonic() < deadline:
            for frame in channel.work.frames():
                if frame == END:
                    return
                yield frame
                deadline = time.monotonic() + self.idle_seconds
                pause = FIRST_PAUSE_SECONDS
            time.sleep(pause)
            pause = min(pause * 1.1, LONGEST_PAUSE_SECONDS)


class JobPayload(NamedTuple):
    """A batch for a job: a call without its program, and the file that holds the program."""

    call: RemoteBatch
    program: str


class _ChannelControl:
    """Control and reports of a batch, through the files that the job and its driver share.

    The start of an attempt is written before reading whether the driver has dropped it; see ``channel``.
    """

    def __init__(self, channel: JobChannel, worker: str) -> None:
        self._channel = channel
        self._worker = worker
        self._ended: list[Outcome] = []
        self._notes: deque[Note] = deque()
        self._running = 0
        self._lock = threading.Lock()

    def begin(self, attempt: int) -> bool:
        # The end of one attempt and the start of the next are one write.
        self._report(Started(attempt, self._worker))
        self._running = attempt
        return self.take()

    @property
    def left(self) -> bool:
        return self._channel.was_dropped(self._running)

    def take(self) -> bool:
        return not self._channel.was_dropped(self._running)

    def awaits(self, cancel: Callable[[], object]) -> None:
        """Do nothing: an attempt that is cancelled ends with its job."""

    def end(self) -> bool:
        return True

    def started(self, attempt: int) -> None:
        """Do nothing: the start was written in :meth:`begin`."""

    def ended(self, outcome: Outcome) -> None:
        self._ended.append(outcome)

    def noted(self, note: Note) -> None:
        # In any thread, while the job's own may be writing: so they wait, but not for a file server.
        self._notes.append(note)
        if self._lock.acquire(blocking=False):
            try:
                self._channel.report(self._taken())
            finally:
                self._lock.release()

    def _report(self, *more: Started) -> None:
        with self._lock:
            self._channel.report([*self._taken(), *self._ended, *more])
        self._ended = []

    def _taken(self) -> list[Note]:
        return [self._notes.popleft() for _ in range(len(self._notes))]

    def close(self) -> None:
        """Write the last outcomes, and the end of the batch."""
        self._report()
        self._channel.answer.append(END)


def _run_batch(payload: JobPayload, channel: JobChannel, meter: MemoryMeter) -> None:
    """Run the attempts one after another, and report each."""
    worker = worker_name()
    if payload.call.concurrency > 1:
        _run_at_once(payload, channel, worker)
        return
    control = _ChannelControl(channel, worker)
    runner = BatchRunner(
        payload.call.jobs,
        partial(_program, payload),
        control=control,
        sink=control,
        worker=worker,
        meter=meter,
    )
    payload.call.confined(runner).run()
    control.close()


def _run_at_once(payload: JobPayload, channel: JobChannel, worker: str) -> None:
    """Run the attempts on the event loop, and report their starts and ends."""
    call = payload.call
    blob = Path(payload.program).read_bytes()
    for frame in call.with_jobs(call.jobs, blob).frames(worker=worker):
        channel.answer.append(frame)
    channel.answer.append(END)


def _program(payload: JobPayload) -> LoadedProgram:
    key = payload.call.key
    with SHARED_LIMIT.lifted():
        program = PROGRAMS.load(key, None) or PROGRAMS.load(key, Path(payload.program).read_bytes())
    assert program is not None  # noqa: S101 - for type checkers: there was a blob
    return program


def _restore_signals() -> None:
    """Undo submitit's signal handlers: end on SIGTERM, and ignore the warning before the time limit."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCONT, signal.SIG_DFL)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
