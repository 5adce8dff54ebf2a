"""A backend between the scheduler and another backend that garbles what is reported."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Collection, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectSendStream

from asyncexec.backends.contract import (
    Backend,
    Batch,
    Capabilities,
    Report,
    Started,
    value_store_of,
)
from asyncexec.errors import BackendError, UsageError
from asyncexec.events.outcome import Outcome, Status

if TYPE_CHECKING:
    from asyncexec.worker.values import ValueStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbling:
    """Mishaps of reports on their way.

    A scheduler must survive all of it, though no sound backend does most of it.

    >>> from asyncexec.testing.faulty_backend import Garbling
    >>> Garbling(lost=0.1, breaks_after=100)
    Garbling(duplicated=0.0, ..., lost=0.1, breaks_after=100, late_seconds=1.0, seed=0)

    Attributes
    ----------
    duplicated : float
        Share of outcomes that are delivered again, at once and once more ``late_seconds`` later.
    late : float
        Share of cancelled attempts whose ``CANCELLED`` comes ``late_seconds`` late.
    unasked : float
        Share of outcomes after which a ``Started`` of the same attempt follows.
    reordered : bool
        Whether the reports that are there at one time are shuffled, with each attempt's own kept in order.
    lost : float
        Share of successes that are turned into ``LOST``: the work was done, and nobody knows. Once for a task at
        most, or it would pass for one that kills its workers.
    breaks_after : int or None
        After so many outcomes the backend itself breaks (``BackendError``).
    late_seconds : float
    seed : int
    """

    duplicated: float = 0.0
    late: float = 0.0
    unasked: float = 0.0
    reordered: bool = False
    lost: float = 0.0
    breaks_after: int | None = None
    late_seconds: float = 1.0
    seed: int = 0


class FaultyBackend:
    """Wraps ``inner``, and garbles its reports as ``garbling`` says.

    >>> from asyncexec.testing.faulty_backend import FaultyBackend, Garbling
    >>> from asyncexec.testing.model_backend import ModelBackend
    >>> from asyncexec.testing.virtual_time import run
    >>> async def main():
    ...     backend = FaultyBackend(ModelBackend(1.0), Garbling(duplicated=0.5, reordered=True))
    ...     async with ax.Engine(backend) as engine:
    ...         return (await engine.execute(ax.Plan.map(abs, range(10)))).value
    >>> run(main())
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]

    Attributes
    ----------
    cancelled : set of int
        The attempts that the scheduler asked to cancel.
    outcomes : int
        How many outcomes came from the inner backend.
    """

    def __init__(self, inner: Backend, garbling: Garbling) -> None:
        self.inner = inner
        self.cancelled: set[int] = set()
        self.outcomes = 0
        self._garbling = garbling
        self._random = random.Random(garbling.seed)
        self._group: TaskGroup | None = None
        self._jobs: dict[int, tuple[str, int]] = {}
        self._losses: set[tuple[str, int]] = set()
        self._error: Exception | None = None

    @property
    def capabilities(self) -> Capabilities:
        """Those of the inner backend."""
        return self.inner.capabilities

    @property
    def value_store(self) -> ValueStore | None:
        """That of the inner backend."""
        return value_store_of(self.inner)

    @property
    def slots(self) -> int:
        """Those of the inner backend."""
        return self.inner.slots

    async def map(self, batches: AsyncIterable[Batch]) -> AsyncIterator[Sequence[Report]]:
        """Run ``batches`` on the inner backend, and yield its reports, garbled."""
        send, receive = anyio.create_memory_object_stream[Sequence[Report]](math.inf)
        self._running.start_soon(self._pass_on, self.inner.map(self._noted(batches)), send)
        with receive:
            async for reports in receive:
                yield reports
        if self._error is not None:
            raise self._error

    def cancel(self, attempts: Collection[int]) -> None:
        """Cancel attempts of the inner backend."""
        self.cancelled.update(attempts)
        self.inner.cancel(attempts)

    async def __aenter__(self) -> Self:
        await self.inner.__aenter__()
        self._group = await anyio.create_task_group().__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            group = self._running
            group.cancel_scope.cancel()
            await group.__aexit__(None, None, None)
        finally:
            await self.inner.__aexit__(kind, error, traceback)

    @property
    def _running(self) -> TaskGroup:
        if self._group is None:
            raise UsageError("a FaultyBackend is used inside its `async with` block")
        return self._group

    async def _noted(self, batches: AsyncIterable[Batch]) -> AsyncIterator[Batch]:
        async for batch in batches:
            for job in batch.jobs:
                self._jobs[job.attempt] = (batch.program.key, job.task)
            yield batch

    async def _pass_on(
        self,
        stream: AsyncIterator[Sequence[Report]],
        send: MemoryObjectSendStream[Sequence[Report]],
    ) -> None:
        with send:
            try:
                async for reports in stream:
                    garbled = [g for report in reports for g in self._garble(report, send)]
                    send.send_nowait(self._in_some_order(garbled))
                    if self._broken:
                        text = f"broken on purpose after {self.outcomes} outcomes"
                        self._error = BackendError(text)
                        return
            except Exception as error:  # noqa: BLE001 - it belongs to the consumer of the map
                self._error = error

    @property
    def _broken(self) -> bool:
        limit = self._garbling.breaks_after
        return limit is not None and self.outcomes >= limit

    def _garble(
        self, report: Report, send: MemoryObjectSendStream[Sequence[Report]]
    ) -> Iterator[Report]:
        if not isinstance(report, Outcome):
            yield report
            return
        self.outcomes += 1
        garbling, chance = self._garbling, self._random.random
        if chance() < garbling.lost and self._lose(report):
            report = report._replace(status=Status.LOST, value=None)
        if report.status is Status.CANCELLED and chance() < garbling.late:
            self._running.start_soon(self._later, report, send.clone())
            return
        yield report
        if chance() < garbling.unasked:
            yield Started(report.attempt, report.worker)
        if chance() < garbling.duplicated:
            yield report
            self._running.start_soon(self._later, report, send.clone())

    def _lose(self, outcome: Outcome) -> bool:
        task = self._jobs[outcome.attempt]
        if outcome.status is not Status.SUCCEEDED or task in self._losses:
            return False
        self._losses.add(task)
        return True

    async def _later(self, report: Report, send: MemoryObjectSendStream[Sequence[Report]]) -> None:
        # The stream of reports ends when every clone of its sending end is closed, and no earlier.
        with send:
            await anyio.sleep(self._garbling.late_seconds)
            send.send_nowait((report,))

    def _in_some_order(self, reports: list[Report]) -> list[Report]:
        if not self._garbling.reordered:
            return reports
        attempts = [report.attempt for report in reports]
        self._random.shuffle(attempts)
        own: dict[int, deque[Report]] = {}
        for report in reports:
            own.setdefault(report.attempt, deque()).append(report)
        return [own[attempt].popleft() for attempt in attempts]
