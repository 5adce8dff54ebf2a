"""The side of a worker process that runs many attempts at once, on its event loop.

The main thread goes on to receive frames meanwhile: further batches, and requests to stop attempts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from asyncexec.events.outcome import Outcome
from asyncexec.worker.codec import encode_reports
from asyncexec.worker.concurrent_batch import START_SECONDS, ConcurrentReports
from asyncexec.worker.concurrent_runner import ConcurrentRunner
from asyncexec.worker.event_loop import EVENT_LOOP
from asyncexec.worker.lanes import LaneGroup, Lanes
from asyncexec.worker.process_changes import CHANGES
from asyncexec.worker.records import WIDTH, Note

if TYPE_CHECKING:
    import asyncio

    from asyncexec.backends.processes.page import Page
    from asyncexec.worker.programs import ProgramSource
    from asyncexec.worker.records import AttemptSpec, Report

GATHER_SECONDS = 0.004
"""For how long outcomes are gathered for one frame."""


class ConcurrentSide:
    """The batches that run at once in this process; :meth:`run` and :meth:`stop` belong to the main thread.

    Parameters
    ----------
    page : Page
        Whose lanes hold the attempts that run, for a driver that finds this process dead.
    send : callable
        Sends reports as bytes; called in the loop's thread.
    worker : str
        The worker's name in reports.
    """

    def __init__(self, page: Page, send: Callable[[bytes], object], worker: str) -> None:
        self._send = send
        self._worker = worker
        self._loop = EVENT_LOOP.get()
        self._lanes = Lanes(entered=page.enter)
        self._groups: dict[str, _Group] = {}
        self._runners: set[ConcurrentRunner] = set()
        self._reports = _PageReports(page, worker, self._report_soon)
        self._reporting: asyncio.TimerHandle | None = None

    def run(
        self, key: str, specs: Sequence[AttemptSpec], program: ProgramSource, concurrency: int
    ) -> None:
        """Run a batch among the others; of the same program, ``concurrency`` attempts run at once in all."""
        self._loop.call_soon_threadsafe(self._run, key, specs, program, concurrency)

    def stop(self, attempts: Collection[int]) -> None:
        """Stop attempts; the outcome of each follows."""
        self._loop.call_soon_threadsafe(self._stop, attempts)

    # In the loop's thread.

    def _run(
        self, key: str, specs: Sequence[AttemptSpec], program: ProgramSource, concurrency: int
    ) -> None:
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(self._lanes.group(concurrency))
        group.runners += 1
        runner = ConcurrentRunner(
            specs,
            program,
            lanes=group.lanes,
            sink=self._reports,
            worker=self._worker,
            ended=lambda: self._ended(runner, key),
        )
        self._runners.add(runner)
        runner.start()

    def _stop(self, attempts: Collection[int]) -> None:
        for runner in tuple(self._runners):
            runner.stop(attempts)

    def _ended(self, runner: ConcurrentRunner, key: str) -> None:
        # Not at once: the lanes may be in the midst of going through their groups.
        self._loop.call_soon(self._forget, runner, key)

    def _forget(self, runner: ConcurrentRunner, key: str) -> None:
        self._runners.discard(runner)
        group = self._groups[key]
        group.runners -= 1
        if not self._runners:
            CHANGES.undo()
        if not group.runners:
            del self._groups[key]
            group.lanes.remove()

    def _report_soon(self, seconds: float) -> None:
        at, due = self._loop.time() + seconds, self._reporting
        if due is None or due.when() > at:
            if due is not None:
                due.cancel()
            self._reporting = self._loop.call_at(at, self._report)

    def _report(self) -> None:
        self._reporting = None
        outcomes = self._reports.outcomes()
        reports: list[Report] = [*self._reports.notes(), *outcomes, *self._reports.starts()]
        if reports:
            self._send(encode_reports(reports))
        if self._runners:
            self._report_soon(START_SECONDS)


class _Group:
    """The lanes of a program, and the number of its batches."""

    def __init__(self, lanes: LaneGroup) -> None:
        self.lanes = lanes
        self.runners = 0


class _PageReports(ConcurrentReports):
    """Reports of attempts that are noted on the page while they run."""

    def __init__(self, page: Page, worker: str, soon: Callable[[float], None]) -> None:
        super().__init__(worker)
        self._cells = page.lanes
        self._free = list(range(len(self._cells)))
        self._taken: dict[int, int] = {}
        self._soon = soon
        self.noted = self._noted

    def started(self, attempt: int) -> None:
        super().started(attempt)
        if self._free:
            cell = self._taken[attempt] = self._free.pop()
            self._cells[cell] = attempt
        self._soon(START_SECONDS)

    def ended(self, outcome: Outcome) -> None:
        super().ended(outcome)
        cell = self._taken.pop(outcome.attempt, None)
        if cell is not None:
            self._cells[cell] = 0
            self._free.append(cell)
        self._soon(GATHER_SECONDS)

    def _noted(self, note: Note) -> None:
        self._notes.append(note)
        if note.kind == WIDTH:  # in the loop's thread; what tasks say may come from any, and waits
            self._soon(GATHER_SECONDS)
