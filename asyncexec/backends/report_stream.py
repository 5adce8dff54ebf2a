"""The event-loop side of ``Backend.map``, the same in every backend: batches come in, reports go out.

A backend takes each batch in its ``submit``, and passes reports to :meth:`ReportStream.report`. The stream counts the
attempts without an outcome, so that the map ends when there is none left, and no earlier.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from typing import Self

import anyio
from anyio.abc import TaskGroup

from asyncexec.backends.contract import Batch, GivesBatches, Report
from asyncexec.errors import UsageError


class ReportStream:
    """One call of ``Backend.map``; its methods belong to the event loop's thread."""

    def __init__(self) -> None:
        self._submit: Callable[[Batch], None] | None = None
        self._tasks: TaskGroup = anyio.create_task_group()
        self._reports: list[Report] = []
        self._pending = 0
        self._error: Exception | None = None
        self._mapped = False
        self._fed = False
        self._ended = False
        self._changed = anyio.Event()
        self._taker: Callable[[Sequence[Report]], bool] | None = None

    @classmethod
    def after(cls, before: ReportStream | None, *, executor: str) -> ReportStream:
        """Return the stream of a backend that is entered; ``before`` is that of the time before.

        Raises UsageError if the stream of the time before is still open.
        """
        if before is not None and before.is_open:
            raise UsageError(
                f"this backend of executor {executor!r} is open already, and belongs to the engine that opened it: "
                f"share that engine, or give each engine a backend of its own (by its name or class, say)"
            )
        return cls()

    @property
    def is_open(self) -> bool:
        """True until the stream has ended."""
        return not self._ended

    async def start(self, submit: Callable[[Batch], None]) -> None:
        """Prepare for :meth:`map`; ``submit`` takes each batch, and must not block."""
        self._submit = submit
        await self._tasks.__aenter__()

    async def stop_feeding(self) -> None:
        """Take no more batches; attempts in flight may still be reported."""
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)

    def end(self) -> None:
        """End the stream after the reports so far, even if attempts are pending."""
        self._fed, self._pending = True, 0
        self._ended = True
        self._changed.set()

    def map(self, batches: AsyncIterable[Batch]) -> AsyncIterator[Sequence[Report]]:
        """Feed ``batches`` to ``submit``, and return the stream of reports.

        Raises UsageError if called a second time.
        """
        if self._submit is None or self._mapped:
            raise UsageError("Backend.map is called once, inside the backend's context")
        self._mapped = True
        self._tasks.start_soon(self._feed, batches, self._submit)
        return self

    def report(self, reports: Sequence[Report], outcomes: int) -> None:
        """Add ``reports`` to the stream, with the number of ``outcomes`` among them."""
        if reports:
            self._reports.extend(reports)
            self._pending -= outcomes
            self._changed.set()

    def give_to(self, take: Callable[[Sequence[Report]], bool]) -> None:
        """Give reports to ``take`` where they come by themselves; those that it refuses are iterated over."""
        self._taker = take

    def give(self, reports: Sequence[Report], outcomes: int) -> None:
        """Add reports as :meth:`report` does, from a callback of the event loop; they may be taken at once.

        What is reported while the scheduler is at work, as it cancels attempts, say, is not given like that.
        """
        take = self._taker
        if take is None or self._reports or self._error is not None or not reports:
            self.report(reports, outcomes)
            return
        self._pending -= outcomes
        if not take(reports):
            self.report(reports, 0)
        elif self._fed:
            self._changed.set()

    def fail(self, error: Exception) -> None:
        """Raise ``error`` in the consumer, after the reports so far."""
        self._error = self._error or error  # The first is the cause; others follow from it.
        self._changed.set()

    async def _feed(self, batches: AsyncIterable[Batch], submit: Callable[[Batch], None]) -> None:
        giving = batches if isinstance(batches, GivesBatches) else None
        try:
            if giving is not None:
                giving.give_to(self._take)
            # Where batches are given at once, this waits for the end of them.
            async for batch in batches:
                self._count(batch)
                submit(batch)
                del batch  # or it would be kept until the next one comes
        except Exception as error:  # noqa: BLE001 - the consumer of the map raises it
            self.fail(error)
        finally:
            if giving is not None:
                giving.give_to(None)
        self._fed = True
        self._changed.set()

    def _count(self, batch: Batch) -> None:
        self._pending += len(batch.jobs)
        if batch.following:
            self._pending += sum(len(each.jobs) for each in batch.following)

    def _take(self, batch: Batch) -> None:
        """Submit a batch that is given at once; nothing is raised into the giver's work."""
        self._count(batch)
        try:
            if self._error is None and self._submit is not None:
                self._submit(batch)
        except Exception as error:  # noqa: BLE001 - the consumer of the map raises it
            self.fail(error)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Report]:
        # Reports first: what was known when the system broke must reach the scheduler before the error does.
        while not self._reports:
            if self._error is not None:
                raise self._error
            if self._fed and self._pending == 0:
                raise StopAsyncIteration
            self._changed = anyio.Event()
            await self._changed.wait()
        reports, self._reports = self._reports, []
        return reports
