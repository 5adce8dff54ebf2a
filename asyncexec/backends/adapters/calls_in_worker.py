"""What is submitted to a foreign pool: a batch as a function without arguments."""

from __future__ import annotations

import os
import pickle
import platform
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Container, Iterator, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from asyncexec.backends.adapters.reins import Reins
from asyncexec.backends.contract import Job, Report, Started
from asyncexec.backends.wire import encode_outcomes, encode_reports
from asyncexec.backends.worker import describe, run_job
from asyncexec.events.outcome import Outcome, Status

if TYPE_CHECKING:
    from asyncexec.backends.process_workers.memory import MemoryMeter

NEEDS_PROGRAM = b""
"""What a worker answers when it has not seen the program, and it was not sent along."""

KEPT_PROGRAMS = 32
TELL_SECONDS = 0.02
GATHER_SECONDS = 0.002


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
        """Run the jobs in this thread, and return their outcomes as bytes."""
        worker = worker_name()
        program = self._program(worker)
        if program is None:
            return NEEDS_PROGRAM
        if isinstance(program, list):
            return encode_outcomes(program)
        return encode_outcomes([run_job(job, *program, worker=worker) for job in self.jobs])

    def each(self, meter: MemoryMeter | None = None) -> Iterator[bytes]:
        """Run the jobs in this thread, and yield the outcome of each as bytes, as soon as it has ended.

        Yields ``NEEDS_PROGRAM``, and nothing else, where the program is missing.
        """
        worker = worker_name()
        program = self._program(worker)
        if program is None or isinstance(program, list):
            yield NEEDS_PROGRAM if program is None else encode_outcomes(program)
            return
        peak_bytes = None if meter is None else meter.peak_bytes
        for job in self.jobs:
            if meter is not None:
                meter.start()
            outcome = run_job(job, *program, worker=worker, peak_bytes=peak_bytes)
            yield encode_outcomes([outcome])

    def frames(
        self,
        dropped: Container[int] = (),
        reins: Reins | None = None,
        *,
        worker: str = "",
        gather_seconds: float = GATHER_SECONDS,
        meter: MemoryMeter | None = None,
    ) -> Iterator[bytes]:
        """Run the jobs in a thread of their own, and yield reports as bytes while they run.

        What ends is told at once, or together with what ends within ``gather_seconds``; what starts is told if it has
        not ended within 20 ms. Attempts in ``dropped``, which may grow meanwhile, are left out. With ``reins`` the
        job that runs can be left behind, too: the frames then end before it does. ``worker`` names this worker where
        its machine and process do not, as in containers that are all alike. A ``meter`` is for processes in which
        nothing else runs.
        """
        worker = worker or worker_name()
        program = self._program(worker)
        if program is None or isinstance(program, list):
            yield NEEDS_PROGRAM if program is None else encode_reports(program)
            return
        if meter is not None:
            meter.always = program[1] is not None
        bench = _Bench(worker, meter)
        reins = Reins(self.jobs) if reins is None else reins
        reins.on_left = bench.finish
        arguments = (self, program, bench, reins, dropped)
        thread = threading.Thread(target=_work, args=arguments, daemon=True)
        thread.start()
        while not bench.ended or bench.outcomes:
            reports = bench.news(gather_seconds)
            if reports:
                yield encode_reports(reports)
        if not reins.left:
            thread.join()

    def _program(self, worker: str) -> Any:
        """Return the program; None where it has to be sent; the jobs' outcomes where it cannot be loaded."""
        try:
            return recall(self.key, self.blob)
        except Exception as error:  # noqa: BLE001 - it is why every job of the batch fails
            told = describe(error)
            now = time.time()
            return [Outcome(j.attempt, Status.FAILED, worker, now, error=told) for j in self.jobs]


class _Bench:
    """What lies between the thread that runs jobs and the one that tells of them."""

    def __init__(self, worker: str, meter: MemoryMeter | None) -> None:
        self.worker = worker
        self.peak_bytes = None if meter is None else meter.peak_bytes
        self.outcomes: deque[Outcome] = deque()
        self.running: Started | None = None
        self.ended = False
        self._meter = meter
        self._told: Started | None = None
        self._changed = threading.Event()
        self._finished = threading.Event()

    def begin(self, attempt: int) -> None:
        self.running = Started(attempt, self.worker)
        if self._meter is not None:
            self._meter.start()

    def end(self, outcome: Outcome) -> None:
        self.running = None
        self.outcomes.append(outcome)
        self._changed.set()

    def finish(self) -> None:
        self.ended = True
        self._finished.set()
        self._changed.set()

    def news(self, gather_seconds: float) -> list[Report]:
        """Wait for something to tell, or a moment, and return it."""
        running = self.running
        changed = self._changed.wait(TELL_SECONDS)
        if changed:
            self._changed.clear()
            self._finished.wait(gather_seconds)
        reports: list[Report] = [self.outcomes.popleft() for _ in range(len(self.outcomes))]
        if running is not None and running is self.running and running is not self._told:
            self._told = running
            reports.append(running)
        return reports


def _work(
    call: RemoteCall, program: Any, bench: _Bench, reins: Reins, dropped: Container[int]
) -> None:
    try:
        for job in call.jobs:
            fence = None if job.attempt in dropped else reins.begin(job.attempt)
            if fence is None:
                continue
            bench.begin(job.attempt)
            outcome = run_job(
                job, *program, worker=bench.worker, fence=fence, peak_bytes=bench.peak_bytes
            )
            if not reins.end():
                return
            bench.end(outcome)
    finally:
        bench.finish()


def worker_name() -> str:
    """Return the name of this worker: its machine and process."""
    return f"{platform.node()}:{os.getpid()}"


def digest(blob: bytes) -> bytes:
    """Return the key of a program: by content, since engines may share a pool."""
    return blake2b(blob, digest_size=16).digest()


# In the worker, which is not ours and keeps no state for us but this: the last few programs, by content.
_programs: OrderedDict[bytes, Any] = OrderedDict()


def recall(key: bytes, blob: bytes | None) -> Any:
    """Return a program of this worker's, loaded from ``blob`` if it is new; None where it has to be sent."""
    program = _programs.get(key)
    if program is None:
        if blob is None:
            return None
        program = pickle.loads(blob)  # noqa: S301 - from the driver
        _programs[key] = program
        while len(_programs) > KEPT_PROGRAMS:
            _programs.popitem(last=False)
    return program
