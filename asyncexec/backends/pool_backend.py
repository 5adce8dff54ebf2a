"""The base of backends whose work is done by a pool that lives as long as the backend's context."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Collection, Sequence
from types import TracebackType
from typing import Protocol, Self

import anyio

from asyncexec.backends.contract import Batch, Capabilities, Report
from asyncexec.backends.report_stream import ReportStream
from asyncexec.errors import UsageError


class Pool(Protocol):
    """The open pool of a backend; it passes reports to the stream that it was made with."""

    @property
    def slots(self) -> int:
        """The number of batches that can run at once, now."""
        ...

    def submit(self, batch: Batch) -> None:
        """Queue a batch."""
        ...

    def cancel(self, attempts: Collection[int]) -> None:
        """Drop attempts that wait, and stop or abandon those that run."""
        ...


class PoolBackend[P: Pool](ABC):
    """A backend made of a :class:`Pool`."""

    _stream: ReportStream | None = None
    _pool: P | None = None

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """The capabilities with these options."""

    @abstractmethod
    def _closed_slots(self) -> int:
        """Return the number of slots to expect while no pool is open."""

    @abstractmethod
    async def _open(self, stream: ReportStream) -> P:
        """Return a pool that works; nothing is left of one that cannot be opened."""

    @abstractmethod
    async def _close(self, pool: P, *, failed: bool) -> None:
        """End the pool; ``failed`` if an error ends the backend's context."""

    @property
    def slots(self) -> int:
        """The number of batches that can run at once, now."""
        return self._closed_slots() if self._pool is None else self._pool.slots

    def map(self, batches: AsyncIterable[Batch]) -> AsyncIterator[Sequence[Report]]:
        """Run ``batches`` as they come, and yield reports as they come."""
        if self._stream is None:
            name = self.capabilities.name
            raise UsageError(f"executor {name!r} is used outside its `async with` block")
        return self._stream.map(batches)

    def cancel(self, attempts: Collection[int]) -> None:
        """Drop attempts that wait, and stop or abandon those that run."""
        if self._pool is not None:
            self._pool.cancel(attempts)

    async def __aenter__(self) -> Self:
        stream = ReportStream.after(self._stream, executor=self.capabilities.name)
        pool = await self._open(stream)
        try:
            await stream.start(pool.submit)
        except BaseException:
            await self._close(pool, failed=True)
            raise
        self._stream, self._pool = stream, pool
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        stream, pool = self._stream, self._pool
        if stream is None or pool is None:
            return
        try:
            await stream.stop_feeding()
        finally:
            with anyio.CancelScope(shield=True):
                await self._close(pool, failed=error is not None)
            stream.end()


class AbandoningPool(Pool, Protocol):
    """A pool with workers in this process, whose attempts can be abandoned."""

    @property
    def abandoned(self) -> int:
        """The number of running attempts abandoned since it was opened."""
        ...

    def leave_saves(self, attempts: Collection[int]) -> Sequence[threading.Event]:
        """Abandon those of ``attempts`` that save; return events that are set as their saves end."""
        ...


class AbandoningBackend[P: AbandoningPool](PoolBackend[P]):
    """A backend made of an :class:`AbandoningPool`."""

    @property
    def abandoned(self) -> int:
        """The number of running attempts abandoned since the context was entered."""
        return 0 if self._pool is None else self._pool.abandoned

    def leave_saves(self, attempts: Collection[int]) -> Sequence[threading.Event]:
        """Give up those of ``attempts`` that save, in threads of this process; see ``SaveLeavingBackend``."""
        return () if self._pool is None else self._pool.leave_saves(attempts)
