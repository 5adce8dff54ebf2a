"""What a Ray worker runs: a batch that tells of itself while it runs.

Kernels run in a thread of their own, and Ray's own thread tells. A task that has been told to have started is the last
of its call: when it has ended, what remains of the batch goes back. So the driver knows that nothing behind such a task
has begun, and may cancel it at once; and a call in which nothing was told holds quick tasks only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version as version_of
from typing import Any

from asyncexec.backends.adapters.calls_in_worker import NEEDS_PROGRAM, RemoteCall, worker_name
from asyncexec.backends.contract import Job, Report, Started
from asyncexec.backends.process_workers.memory import MemoryMeter
from asyncexec.backends.ray_cluster.record import Record
from asyncexec.backends.wire import encode_reports
from asyncexec.backends.worker import run_job
from asyncexec.events.outcome import Outcome

TICK_SECONDS = 0.01
GATHER_SECONDS = 0.02


def frames(call: RemoteCall, record_path: str | None) -> Iterator[bytes]:
    """Run the jobs of ``call``, and yield reports as bytes: ``NEEDS_PROGRAM``, or see ``wire.decode_reports``.

    ``record_path`` is where to write down what runs, if the driver can read it there.
    """
    worker = worker_name()
    program = call._program(worker)  # noqa: SLF001 - the same thing by other means
    if program is None or isinstance(program, list):
        yield NEEDS_PROGRAM if program is None else encode_reports(program)
        return
    bench = _Bench(worker, Record.create(record_path))
    arguments = (call.jobs, program, worker, bench)
    threading.Thread(target=_work, args=arguments, name="asyncexec-task", daemon=True).start()
    while not bench.emptied:
        reports = bench.news()
        if reports:
            yield encode_reports(reports)


def version() -> str:
    """Return the version of asyncexec that this worker has."""
    return version_of("asyncexec")


class _Bench:
    """What lies between the thread that runs jobs and the one that tells of them."""

    def __init__(self, worker: str, record: Record) -> None:
        self.emptied = False
        self._worker = worker
        self._record = record
        self._changed = threading.Condition()
        self._outcomes: list[Outcome] = []
        self._gathering_since = 0.0
        self._running: int | None = None
        self._since = 0.0
        self._told = False
        self._ended = False

    def begin(self, attempt: int) -> bool:
        """Take note that an attempt begins; False if it must not, because the call ends here."""
        with self._changed:
            if self._told:
                return False
            self._record.begin(attempt)
            self._running, self._since = attempt, time.monotonic()
            return True

    def end(self, outcome: Outcome) -> None:
        with self._changed:
            self._running = None
            if not self._outcomes:
                self._gathering_since = time.monotonic()
            self._outcomes.append(outcome)
            self._record.end()

    def finish(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()

    def news(self) -> list[Report]:
        """Wait a moment, or for the end, and return what there is to tell."""
        with self._changed:
            if not self._ended:
                self._changed.wait(TICK_SECONDS)
            now, reports = time.monotonic(), list[Report]()
            starts = not self._told and self._running is not None
            starts = starts and now - self._since > 0.8 * TICK_SECONDS
            if starts or self._ended or now - self._gathering_since > GATHER_SECONDS:
                reports.extend(self._outcomes)
                self._outcomes.clear()
            if starts and self._running is not None:
                self._told = True
                reports.append(Started(self._running, self._worker))
            self.emptied = self._ended
            return reports


def _work(jobs: Sequence[Job], program: Any, worker: str, bench: _Bench) -> None:
    try:
        for job in jobs:
            if not bench.begin(job.attempt):
                break
            _METER.start()
            bench.end(run_job(job, *program, worker=worker, peak_bytes=_METER.peak_bytes))
    finally:
        bench.finish()


def _meter() -> MemoryMeter:
    meter = MemoryMeter()
    # The suite's rule is that a peak is always there; it costs 20 µs a task.
    meter.always = True
    return meter


_METER = _meter()
