"""What is submitted to a foreign pool: a batch as a function without arguments."""

from __future__ import annotations

import os
import pickle
import platform
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from asyncexec.backends.contract import Job, Program
from asyncexec.backends.wire import encode_outcomes
from asyncexec.backends.worker import Fence, describe, run_job
from asyncexec.events.outcome import Outcome, Status

NEEDS_PROGRAM = b""
"""What a worker answers when it has not seen the program, and it was not sent along."""

KEPT_PROGRAMS = 32


class LocalCall:
    """A batch for a worker that shares the driver's memory.

    ``dropped`` holds attempts that are not to be started; ``fences`` are by attempt.
    """

    def __init__(self, program: Program, jobs: Sequence[Job]) -> None:
        self.dropped: set[int] = set()
        self.fences = {job.attempt: Fence() for job in jobs}
        self._program = program
        self._jobs = jobs

    def __call__(self) -> list[Outcome]:
        """Run the jobs in this thread."""
        program, worker = self._program, threading.current_thread().name
        return [
            run_job(
                job,
                program.kernel,
                program.io,
                program.shape,
                worker=worker,
                fence=self.fences[job.attempt],
                keep_exception=True,
            )
            for job in self._jobs
            if job.attempt not in self.dropped
        ]


class RemoteCall:
    """A batch for a worker in another process.

    Parameters
    ----------
    key : bytes
        Digest of the program, by which a worker remembers it.
    blob : bytes or None
        The program; None where the worker is thought to have it.
    jobs : sequence of Job
        Their inputs are encoded.
    """

    def __init__(self, key: bytes, blob: bytes | None, jobs: Sequence[Job]) -> None:
        self.key = key
        self.blob = blob
        self.jobs = jobs

    def __call__(self) -> bytes:
        """Run the jobs in this process, and return their outcomes as bytes."""
        worker = f"{platform.node()}:{os.getpid()}"
        try:
            program = _recall(self.key, self.blob)
        except Exception as error:  # noqa: BLE001 - it is why every job of the batch fails
            told = describe(error)
            now = time.time()
            failed = [Outcome(j.attempt, Status.FAILED, worker, now, error=told) for j in self.jobs]
            return encode_outcomes(failed)
        if program is None:
            return NEEDS_PROGRAM
        return encode_outcomes([run_job(job, *program, worker=worker) for job in self.jobs])


def digest(blob: bytes) -> bytes:
    """Return the key of a program: by content, since engines may share a pool."""
    return blake2b(blob, digest_size=16).digest()


# In the worker, which is not ours and keeps no state for us but this: the last few programs, by content.
_programs: OrderedDict[bytes, Any] = OrderedDict()


def _recall(key: bytes, blob: bytes | None) -> Any:
    program = _programs.get(key)
    if program is None:
        if blob is None:
            return None
        program = pickle.loads(blob)  # noqa: S301 - from the driver
        _programs[key] = program
        while len(_programs) > KEPT_PROGRAMS:
            _programs.popitem(last=False)
    return program
