"""What runs in a job."""

from __future__ import annotations

import pickle
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from asyncexec.backends.contract import Started
from asyncexec.backends.slurm.channel import END, JobChannel
from asyncexec.events.outcome import Outcome
from asyncexec.worker.memory import MemoryMeter
from asyncexec.worker.programs import PROGRAMS, LoadedProgram
from asyncexec.worker.remote_batch import RemoteBatch, worker_name
from asyncexec.worker.runner import BatchRunner

FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 0.25


class InJob:
    """What submitit has called in a job: it runs batches, until none has come for a while.

    Parameters
    ----------
    folder : str
        Of the files by which driver and job talk (see ``channel``).
    patience : float
        Seconds to wait for the next batch, if the driver says nothing.
    """

    def __init__(self, folder: str, patience: float) -> None:
        self.folder = folder
        self.patience = patience

    def __call__(self) -> None:
        """Run batches as they come."""
        _end_when_told()
        channel = JobChannel(Path(self.folder))
        runner = _Runner(channel)
        for frame in self._frames(channel):
            # From the driver, in a folder of its user's alone.
            runner.run(pickle.loads(frame))  # noqa: S301

    def _frames(self, channel: JobChannel) -> Iterator[bytes]:
        """Yield what the driver sends, until that is the end, or nothing for a while."""
        deadline = time.monotonic() + self.patience
        pause = FIRST_PAUSE_SECONDS
        while time.monotonic() < deadline:
            for frame in channel.work.frames():
                if frame == END:
                    return
                yield frame
                deadline = time.monotonic() + self.patience
                pause = FIRST_PAUSE_SECONDS
            time.sleep(pause)
            pause = min(pause * 1.1, LONGEST_PAUSE_SECONDS)


class JobPayload(NamedTuple):
    """What travels to a job: a call without its program, and the file that holds the program."""

    call: RemoteBatch
    program: str


class _ChannelControl:
    """Control and reports of a batch, by the files that the job and its driver share.

    The start of an attempt is written before it is looked whether the driver has dropped it; see ``channel``.
    """

    def __init__(self, channel: JobChannel, worker: str) -> None:
        self._channel = channel
        self._worker = worker
        self._ended: list[Outcome] = []
        self._running = 0

    def begin(self, attempt: int) -> bool:
        # The end of one and the start of the next are one write.
        self._channel.tell([*self._ended, Started(attempt, self._worker)])
        self._ended = []
        self._running = attempt
        return self.take()

    def take(self) -> bool:
        return not self._channel.was_dropped(self._running)

    def end(self) -> bool:
        return True

    def started(self, attempt: int) -> None:
        """Do nothing: it was written when the attempt began."""

    def ended(self, outcome: Outcome) -> None:
        self._ended.append(outcome)

    def close(self) -> None:
        """Write what is left, and that this was all."""
        self._channel.tell(self._ended)
        self._channel.answer.append(END)


class _Runner:
    def __init__(self, channel: JobChannel) -> None:
        self._channel = channel
        self._worker = worker_name()
        self._meter = MemoryMeter()

    def run(self, payload: JobPayload) -> None:
        """Run the attempts one after another, and report each."""
        control = _ChannelControl(self._channel, self._worker)
        BatchRunner(
            payload.call.jobs,
            partial(_program, payload),
            control=control,
            sink=control,
            worker=self._worker,
            meter=self._meter,
        ).run()
        control.close()


def _program(payload: JobPayload) -> LoadedProgram:
    key = payload.call.key
    program = PROGRAMS.load(key, None) or PROGRAMS.load(key, Path(payload.program).read_bytes())
    assert program is not None  # noqa: S101 - for type checkers: there was a blob
    return program


def _end_when_told() -> None:
    """Undo what submitit has set: end on SIGTERM, and do not stop at the warning before the time limit."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCONT, signal.SIG_DFL)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
