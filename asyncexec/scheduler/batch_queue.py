"""The queue of batches between the driver and the backend; those the backend has not taken can be withdrawn."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Self

import anyio

from asyncexec.backends.contract import Batch, FollowingAttempts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


class BatchQueue:
    """An async iterator of batches, open until :meth:`close`; a backend that takes them at once is given them so."""

    def __init__(self) -> None:
        self._take: Callable[[Batch], None] | None = None
        self._batches: deque[Batch] = deque()
        self._changed = anyio.Event()
        self._closed = False

    def put(self, batch: Batch) -> None:
        """Add a batch, or give it to whoever takes them at once."""
        if self._take is not None:
            self._take(batch)
            return
        self._batches.append(batch)
        self._changed.set()

    def give_to(self, take: Callable[[Batch], None] | None) -> None:
        """Give each batch to ``take`` from now on, without a turn of the event loop; None ends that."""
        self._take = take
        while take is not None and self._batches:
            take(self._batches.popleft())

    def withdraw(self, attempts: Collection[int]) -> set[int]:
        """Remove those of ``attempts`` that are still queued, and return them."""
        withdrawn: set[int] = set()
        if not self._batches:
            return withdrawn
        unwanted = frozenset(attempts)
        kept: deque[Batch] = deque()
        for batch in self._batches:
            found = unwanted.intersection(batch.attempts)
            withdrawn |= found
            if not found:
                kept.append(batch)
            elif rest := _without(batch, found):
                kept.append(rest)
        self._batches = kept
        return withdrawn

    def close(self) -> None:
        """End the iteration after the batches that are queued."""
        self._closed = True
        self._changed.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Batch:
        while not self._batches:
            if self._closed:
                raise StopAsyncIteration
            # A new one each time, as an event that was set stays so.
            self._changed = anyio.Event()
            await self._changed.wait()
        return self._batches.popleft()


def _without(batch: Batch, attempts: Collection[int]) -> Batch | None:
    """Return a batch without some of its attempts; None if none is left. What follows one of them will not start."""
    jobs = [job for job in batch.jobs if job.attempt not in attempts]
    following = [
        FollowingAttempts(each.program, [job for job in each.jobs if job.attempt not in attempts])
        for each in batch.following
    ]
    if not (jobs or any(each.jobs for each in following)):
        return None
    return replace(batch, jobs=jobs, following=following)
