"""Drives a backend by hand, the way the scheduler does, and holds it to the rules of reporting."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Sequence
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import TaskGroup

from asyncexec.backends.contract import (
    AttemptSpec,
    Backend,
    Batch,
    Note,
    Report,
    StageProgram,
    Started,
    value_store_of,
)
from asyncexec.events.outcome import Outcome, Status
from asyncexec.plan.box import Shape
from asyncexec.plan.stage import Kernel, TaskIO
from asyncexec.scheduler.batch_queue import BatchQueue
from asyncexec.testing.patience import scaled
from asyncexec.worker.attempt import decode
from asyncexec.worker.values import THRESHOLD_BYTES, LargeValues


class Driven:
    """A backend in its context, with its map running.

    Parameters
    ----------
    backend : Backend
        Not yet entered.
    patience : float
        Seconds to wait for any one thing; more on a machine that is slow or busy.
    value_threshold : int
        The bytes from which values stay near the workers; 0 for none.

    Attributes
    ----------
    outcomes, starts : dict
        What was reported, by attempt.
    ended : bool
        Whether the map has ended.
    """

    def __init__(
        self, backend: Backend, *, patience: float, value_threshold: int = THRESHOLD_BYTES
    ) -> None:
        self.backend = backend
        self.outcomes: dict[int, Outcome] = {}
        self.starts: dict[int, Started] = {}
        self.notes: list[Note] = []
        self.ended = False
        self._sent: set[int] = set()
        self._patience = patience
        self._numbers = itertools.count(1)
        self._queue = BatchQueue()
        self._changed = anyio.Event()
        self._broken: Exception | None = None
        self._value_threshold = value_threshold
        self._values: LargeValues | None = None
        self._tasks: TaskGroup = anyio.create_task_group()

    async def __aenter__(self) -> Self:
        await self.backend.__aenter__()
        store = value_store_of(self.backend)
        if store is not None and self._value_threshold:
            self._values = LargeValues(store, self._value_threshold)
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._collect)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._tasks.cancel_scope.cancel()
        try:
            await self._tasks.__aexit__(None, None, None)
        finally:
            await self.backend.__aexit__(kind, error, traceback)

    def program(
        self,
        kernel: Kernel,
        *,
        shape: Shape = (1_000_000,),
        io: TaskIO | None = None,
        concurrency: int = 1,
        overlaps: bool = False,
    ) -> StageProgram:
        """Return a program with a key of its own."""
        key = f"program-{next(self._numbers)}"
        return StageProgram(
            key=key,
            plan="conformance",
            stage="tested",
            kernel=kernel,
            shape=shape,
            io=io,
            values=self._values if io is None else None,
            concurrency=concurrency,
            overlaps=overlaps,
        )

    def send(
        self,
        program: StageProgram,
        tasks: Sequence[int],
        inputs: Sequence[Any] = (),
        *,
        apart_from: Collection[str] = (),
    ) -> list[int]:
        """Send one batch, and return the attempts in the order of ``tasks``."""
        jobs = [AttemptSpec(next(self._numbers), task, tuple(inputs)) for task in tasks]
        self._sent.update(job.attempt for job in jobs)
        self._queue.put(Batch(program, jobs, frozenset(apart_from)))
        return [job.attempt for job in jobs]

    def send_all(self, program: StageProgram, tasks: Sequence[int], *, size: int = 64) -> list[int]:
        """Send ``tasks`` in batches of at most ``size``, and of no more than the backend takes."""
        size = min(size, self.backend.capabilities.batch_limit)
        return [
            attempt
            for start in range(0, len(tasks), size)
            for attempt in self.send(program, tasks[start : start + size])
        ]

    def cancel(self, attempts: Collection[int]) -> None:
        """Cancel attempts: those that the backend has not taken yet are withdrawn, as the scheduler does."""
        withdrawn = self._queue.withdraw(attempts)
        for attempt in withdrawn:
            self._take(Outcome(attempt, Status.CANCELLED))
        self.backend.cancel([attempt for attempt in attempts if attempt not in withdrawn])

    async def outcome(self, attempt: int) -> Outcome:
        """Wait for the outcome of an attempt."""
        await self.until(lambda: attempt in self.outcomes, f"the outcome of attempt {attempt}")
        return self.outcomes[attempt]

    async def value(self, attempt: int) -> Any:
        """Wait for the outcome of an attempt that succeeds, and return its value."""
        return decode((await self.outcome(attempt)).value, value_store_of(self.backend))

    async def outcomes_of(self, attempts: Sequence[int]) -> list[Outcome]:
        """Wait for the outcomes of several attempts."""
        return [await self.outcome(attempt) for attempt in attempts]

    async def started(self, attempt: int) -> Started:
        """Wait until the attempt is reported to have started."""
        await self.until(lambda: attempt in self.starts, f"the start of attempt {attempt}")
        return self.starts[attempt]

    async def finish(self) -> None:
        """End the input, and wait until the map has ended by itself."""
        self._queue.close()
        await self.until(lambda: self.ended, "the end of the map")

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until ``holds()`` is true after some report.

        Raises
        ------
        AssertionError
            If it does not come true in time, or a rule of reporting was broken.
        """
        if self._broken is None and holds():
            return  # As for most of many: a look at the machine's load would cost more than the wait.
        patience = scaled(self._patience)
        with anyio.move_on_after(patience):
            while not holds():
                if self._broken is not None:
                    raise self._broken
                self._changed = anyio.Event()
                await self._changed.wait()
            return
        raise AssertionError(f"{what} did not come within {patience:g} s")

    async def _collect(self) -> None:
        try:
            async for reports in self.backend.map(self._queue):
                for report in reports:
                    self._take(report)
                self._changed.set()
            self._check_all_ended()
            self.ended = True
        except Exception as error:  # noqa: BLE001 - it belongs to the test, which waits in `until`
            self._broken = error
        self._changed.set()

    def _check_all_ended(self) -> None:
        if missing := self._sent - self.outcomes.keys():
            raise AssertionError(f"the map ended without outcomes of {sorted(missing)}")

    def _take(self, report: Report) -> None:
        attempt = report.attempt
        if isinstance(report, Note):
            self.notes.append(report)
            return
        if attempt not in self._sent:
            raise AssertionError(f"a report about an attempt that nobody sent: {report}")
        if attempt in self.outcomes:
            raise AssertionError(f"{report} comes after {self.outcomes[attempt]}")
        if isinstance(report, Outcome):
            self.outcomes[attempt] = report
        elif attempt in self.starts:
            raise AssertionError(f"attempt {attempt} is reported to have started twice")
        else:
            self.starts[attempt] = report
