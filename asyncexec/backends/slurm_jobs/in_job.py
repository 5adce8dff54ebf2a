"""What runs in a job."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

from asyncexec.backends.adapters.calls_in_worker import RemoteCall, recall, worker_name
from asyncexec.backends.contract import Job, Started
from asyncexec.backends.process_workers.memory import MemoryMeter
from asyncexec.backends.slurm_jobs.answers import Answer
from asyncexec.backends.worker import Fence, describe, run_job
from asyncexec.events.outcome import Outcome, Status


class InJob:
    """A batch as submitit takes it: a function without arguments, whose answers go to a file.

    Parameters
    ----------
    call : RemoteCall
        Without its program.
    program : str
        The file that holds the program.
    folder : str
        Where the answers go.
    """

    def __init__(self, call: RemoteCall, program: str, folder: str) -> None:
        self.call = call
        self.program = program
        self.folder = folder

    def __call__(self) -> None:
        """Run the jobs one after another, and tell of each."""
        _end_when_told()
        answer, worker = Answer(Path(self.folder)), worker_name()
        blob = Path(self.program).read_bytes()
        meter = MemoryMeter()
        ended: list[Outcome] = []
        for job in self.call.jobs:
            # The end of one and the start of the next are one write.
            answer.tell([*ended, Started(job.attempt, worker)])
            ended = []
            if not answer.was_dropped(job.attempt):
                ended = [self._run(job, blob, _Fence(answer, job.attempt), worker, meter)]
        answer.tell(ended)
        answer.end()

    def _run(
        self, job: Job, blob: bytes, fence: _Fence, worker: str, meter: MemoryMeter
    ) -> Outcome:
        try:
            program: Any = recall(self.call.key, blob)
        except Exception as error:  # noqa: BLE001 - it is why every task fails
            told = describe(error)
            return Outcome(job.attempt, Status.FAILED, worker, time.time(), error=told)
        meter.start()
        return run_job(job, *program, worker=worker, fence=fence, peak_bytes=meter.peak_bytes)


class _Fence(Fence):
    """Keeps from saving what was cancelled meanwhile."""

    __slots__ = ("_answer", "_attempt")

    def __init__(self, answer: Answer, attempt: int) -> None:
        super().__init__()
        self._answer = answer
        self._attempt = attempt

    def take(self) -> bool:
        return not self._answer.was_dropped(self._attempt)


def _end_when_told() -> None:
    """Undo what submitit has set: end on SIGTERM, and do not stop at the warning before the time limit."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCONT, signal.SIG_DFL)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
