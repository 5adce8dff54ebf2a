"""The protocol of a backend, and those of what some backends can do besides."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from asyncexec.backends.contract.capabilities import Capabilities
from asyncexec.backends.contract.stage_program import Batch
from asyncexec.worker.records import Report

if TYPE_CHECKING:
    from asyncexec.worker.values import ValueStore


@runtime_checkable
class AvoidingBackend(Protocol):
    """A backend that can choose among its workers; it observes ``Batch.apart_from`` too."""

    def avoid(self, workers: Collection[str], /) -> None:
        """Start nothing more on these workers (by the names they have in reports) until the next call.

        Each call replaces the one before. Attempts that run there go on; those that wait there and can be withdrawn go
        to others. ``slots`` no longer counts these workers, at the latest when they are idle. A name of a worker that
        is gone changes nothing, and its replacement has another name. If only avoided workers are left, they have to
        work.
        """


@runtime_checkable
class SaveLeavingBackend(Protocol):
    """A backend with workers in this process, which can give up attempts whose save does not end."""

    def leave_saves(self, attempts: Collection[int], /) -> Sequence[threading.Event]:
        """Give up those of ``attempts``, cancelled before, that save; return events that are set as their saves end.

        No outcome of them follows. Their threads are left to themselves: also when the context is left, nobody waits
        for them. What they write may come until the events are set.
        """
        ...


@runtime_checkable
class GivesBatches(Protocol):
    """Batches for ``Backend.map`` that can be given at once, without a turn of the event loop for each."""

    def give_to(self, take: Callable[[Batch], None] | None, /) -> None:
        """Give each batch to ``take``, which does not raise, from now on; None ends that."""


@runtime_checkable
class GivesReports(Protocol):
    """Reports of ``Backend.map`` that can be given at once where they come by themselves, in a callback of the loop."""

    def give_to(self, take: Callable[[Sequence[Report]], bool], /) -> None:
        """Give reports to ``take``; those for which it returns False come in their turn, as of any backend."""


@runtime_checkable
class ValueKeepingBackend(Protocol):
    """The further member of a backend whose large values stay near its workers: outcomes hold their handles.

    What it has reported belongs to the run, which deletes it; what an attempt has left that was lost is the backend's
    to delete, and so is everything that is there when its context is left.
    """

    @property
    def value_store(self) -> ValueStore | None:
        """The store as the driver uses it, while the context is open; None where all values travel."""


def value_store_of(backend: Backend) -> ValueStore | None:
    """Return the store of a backend whose context is open; None where all values travel."""
    return backend.value_store if isinstance(backend, ValueKeepingBackend) else None


@runtime_checkable
class Backend(Protocol):
    """A system that runs attempts; see the rules at the top of the package."""

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of this backend."""
        ...

    @property
    def slots(self) -> int:
        """The number of batches that can run at once, now."""
        ...

    def map(self, batches: AsyncIterable[Batch]) -> AsyncIterator[Sequence[Report]]:
        """Run ``batches`` as they come, and yield reports as they come.

        Ends when ``batches`` has ended and everything is reported.

        Called once in the life of the context.
        """
        ...

    def cancel(self, attempts: Collection[int]) -> None:
        """Stop these attempts (unknown ids are ignored: they may have just ended); their outcomes still arrive."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
