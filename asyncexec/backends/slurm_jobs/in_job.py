"""What runs in a job."""

from __future__ import annotations

import pickle
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from asyncexec.backends.adapters.calls_in_worker import RemoteCall, recall, worker_name
from asyncexec.backends.contract import Job, Started
from asyncexec.backends.process_workers.memory import MemoryMeter
from asyncexec.backends.slurm_jobs.answers import END, Correspondence
from asyncexec.backends.worker import Fence, describe, run_job
from asyncexec.events.outcome import Outcome, Status

FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 0.25


class InJob:
    """What submitit has called in a job: it runs batches, until none has come for a while.

    Parameters
    ----------
    folder : str
        Where the driver's letters come, and the answers go.
    patience : float
        Seconds to wait for the next batch, if the driver says nothing.
    """

    def __init__(self, folder: str, patience: float) -> None:
        self.folder = folder
        self.patience = patience

    def __call__(self) -> None:
        """Run batches as they come."""
        _end_when_told()
        letters = Correspondence(Path(self.folder))
        runner = _Runner(letters)
        for frame in self._frames(letters):
            # From the driver, in a folder of its user's alone.
            runner.run(pickle.loads(frame))  # noqa: S301

    def _frames(self, letters: Correspondence) -> Iterator[bytes]:
        """Yield what the driver sends, until that is the end, or nothing for a while."""
        deadline = time.monotonic() + self.patience
        pause = FIRST_PAUSE_SECONDS
        while time.monotonic() < deadline:
            for frame in letters.work.frames():
                if frame == END:
                    return
                yield frame
                deadline = time.monotonic() + self.patience
                pause = FIRST_PAUSE_SECONDS
            time.sleep(pause)
            pause = min(pause * 1.1, LONGEST_PAUSE_SECONDS)


class Batch(NamedTuple):
    """What travels to a job: a call without its program, and the file that holds the program."""

    call: RemoteCall
    program: str


class _Runner:
    def __init__(self, letters: Correspondence) -> None:
        self._letters = letters
        self._worker = worker_name()
        self._meter = MemoryMeter()

    def run(self, batch: Batch) -> None:
        """Run the tasks one after another, and tell of each."""
        letters = self._letters
        ended: list[Outcome] = []
        for job in batch.call.jobs:
            # The end of one and the start of the next are one write.
            letters.tell([*ended, Started(job.attempt, self._worker)])
            ended = []
            if not letters.was_dropped(job.attempt):
                ended = [self._run_one(job, batch)]
        letters.tell(ended)
        letters.answer.append(END)

    def _run_one(self, job: Job, batch: Batch) -> Outcome:
        key = batch.call.key
        try:
            program: Any = recall(key, None) or recall(key, Path(batch.program).read_bytes())
        except Exception as error:  # noqa: BLE001 - it is why every task fails
            told = describe(error)
            return Outcome(job.attempt, Status.FAILED, self._worker, time.time(), error=told)
        self._meter.start()
        return run_job(
            job,
            *program,
            worker=self._worker,
            fence=_Fence(self._letters, job.attempt),
            peak_bytes=self._meter.peak_bytes,
        )


class _Fence(Fence):
    """Keeps from saving what was cancelled meanwhile."""

    __slots__ = ("_attempt", "_letters")

    def __init__(self, letters: Correspondence, attempt: int) -> None:
        super().__init__()
        self._letters = letters
        self._attempt = attempt

    def take(self) -> bool:
        return not self._letters.was_dropped(self._attempt)


def _end_when_told() -> None:
    """Undo what submitit has set: end on SIGTERM, and do not stop at the warning before the time limit."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCONT, signal.SIG_DFL)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
