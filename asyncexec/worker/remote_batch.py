"""A batch that travels to a worker in another process, and runs there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING

from asyncexec.worker.codec import encode_reports
from asyncexec.worker.concurrent_batch import ConcurrentBatchRunner, ConcurrentControl
from asyncexec.worker.control import BatchControl
from asyncexec.worker.process_changes import CHANGES
from asyncexec.worker.programs import PROGRAMS, LoadedProgram, ProgramSource
from asyncexec.worker.records import AttemptSpec, attempts_of
from asyncexec.worker.reports import AttemptMarks, ReportSink
from asyncexec.worker.run_scope import this_process
from asyncexec.worker.runner import BatchRunner
from asyncexec.worker.streaming import (
    GATHER_SECONDS,
    Control,
    Runner,
    Streamed,
    buffer_of,
    stream,
)

if TYPE_CHECKING:
    from asyncexec.worker.memory import MemoryMeter

NEEDS_PROGRAM = b""
"""The answer of a worker that has not seen the program, when it was not sent along."""


class RemoteBatch:
    """Attempts of one stage for a worker in another process.

    Parameters
    ----------
    key : bytes
        Digest of the program, by which a worker keeps it.
    blob : bytes or None
        The program; None where the worker is thought to have it.
    jobs : sequence of AttemptSpec
        Their inputs are encoded.
    concurrency : int
        How many run at once: more than one on the worker's event loop.
    memory_bytes : int or None
        What the worker may hold meanwhile, on Linux; None for no limit here.
    driver : str, optional
        The name of the driver's process; by default this one.
    """

    def __init__(
        self,
        key: bytes,
        blob: bytes | None,
        jobs: Sequence[AttemptSpec],
        *,
        concurrency: int = 1,
        memory_bytes: int | None = None,
        driver: str = "",
    ) -> None:
        self.key = key
        self.blob = blob
        self.jobs = jobs
        self.concurrency = concurrency
        self.memory_bytes = memory_bytes
        self.driver = driver or worker_name()

    def with_jobs(self, jobs: Sequence[AttemptSpec], blob: bytes | None) -> RemoteBatch:
        """Return a batch of the same program, sent as ``blob``, with other attempts."""
        return RemoteBatch(
            self.key,
            blob,
            jobs,
            concurrency=self.concurrency,
            memory_bytes=self.memory_bytes,
            driver=self.driver,
        )

    def __call__(self, meter: MemoryMeter | None = None) -> bytes:
        """Run the attempts in this thread, and return notes and outcomes as bytes, or ``NEEDS_PROGRAM``."""
        control = self.control()
        reports = buffer_of(control)
        # The driver only believes that this worker has the program: it may have dropped it, or been started anew.
        if not self.run(reports, worker=worker_name(), control=control, meter=meter):
            return NEEDS_PROGRAM
        return encode_reports([*reports.notes(), *reports.outcomes()])

    def run(
        self,
        sink: ReportSink,
        *,
        worker: str,
        control: Control | None = None,
        meter: MemoryMeter | None = None,
    ) -> bool:
        """Run the attempts in this thread, and report each to ``sink``; False if the program must be sent first."""
        program = self._load()
        if program is None:
            return False
        self._runner(program, sink, worker, control or self.control(), meter).run()
        return True

    def frames(
        self,
        control: Control | None = None,
        *,
        worker: str = "",
        gather_seconds: float = GATHER_SECONDS,
        meter: MemoryMeter | None = None,
        marks: AttemptMarks | None = None,
        held: bool = False,
    ) -> Iterator[bytes]:
        """Run the attempts in a thread of their own, and yield reports as bytes while they run.

        Yields ``NEEDS_PROGRAM``, and nothing else, where the program has to be sent first; see :func:`stream`.

        Parameters
        ----------
        control : BatchControl, optional
            By which attempts are dropped, or the one that runs is left behind: the frames then end before it does.
        worker : str
            The name of this worker where its machine and process do not distinguish it from others, as in containers.
        gather_seconds : float
            For how long reports are gathered for one frame.
        meter : MemoryMeter, optional
            For processes in which nothing else runs.
        marks : AttemptMarks, optional
            Where starts and ends are noted at once, for a driver that finds this worker dead.
        held : bool
            Whether an attempt whose start is reported is the last that runs here; see :class:`Streamed`.
        """
        program = self._load()
        if program is None:
            # Before anything has started, so that the driver can send the same attempts again.
            yield NEEDS_PROGRAM
            return
        control = control or self.control()
        streamed = Streamed(worker or worker_name(), control, marks=marks, held=held)
        runner = self._runner(program, streamed, streamed.worker, control, meter)
        yield from stream(runner, streamed, gather_seconds=gather_seconds)

    def control(self) -> Control:
        """Return a control for all of its attempts."""
        return ConcurrentControl() if self.concurrency > 1 else BatchControl(attempts_of(self.jobs))

    def _load(self) -> ProgramSource | None:
        """Load the program in this thread; None where it has to be sent first."""
        try:
            program = PROGRAMS.load(self.key, self.blob)
        except BaseException as error:  # noqa: BLE001 - it is why every attempt of the batch fails
            return partial(_raise, error)
        return None if program is None else lambda: program

    def _runner(
        self,
        program: ProgramSource,
        sink: ReportSink,
        worker: str,
        control: Control,
        meter: MemoryMeter | None,
    ) -> Runner:
        if isinstance(control, ConcurrentControl):
            concurrent = ConcurrentBatchRunner(
                self.jobs,
                program,
                concurrency=self.concurrency,
                control=control,
                sink=sink,
                worker=worker,
            )
            return self.confined(concurrent)
        return self.confined(
            BatchRunner(self.jobs, program, control=control, sink=sink, worker=worker, meter=meter)
        )

    def confined(self, runner: Runner) -> Runner:
        """Return a runner that keeps this process within the batch's memory, and puts back what tasks change of it.

        The process of the driver is left as the tasks leave it.
        """
        if self.driver != worker_name():
            runner = _Confined(runner, CHANGES.among_others())
        if self.memory_bytes is not None:
            from asyncexec.worker.memory import SHARED_LIMIT

            runner = _Confined(runner, SHARED_LIMIT.within(self.memory_bytes))
        return runner


class _Confined:
    """Runs another runner within a context, once."""

    def __init__(self, runner: Runner, context: AbstractContextManager[None]) -> None:
        self._runner = runner
        self._context = context

    def run(self) -> object:
        with self._context:
            return self._runner.run()


def worker_name() -> str:
    """Return the name of this worker: its machine and process."""
    return this_process()


def _raise(error: BaseException) -> LoadedProgram:
    raise error
