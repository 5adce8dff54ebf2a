"""Queues of what cannot be sent now, one for each thing that is waited for, of which only the first is looked at again.

So a report costs the same whether ten runs wait for memory, or a thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator
from typing import TYPE_CHECKING, Any

from asyncexec.scheduler.placed_entries import PlacedEntries

if TYPE_CHECKING:
    from asyncexec.scheduler.waits import Wait

type Place = tuple[Any, ...]
"""Orders the entries of a queue; no two entries have the same."""


class WaitQueues[E: Hashable]:
    """Entries that wait, each for one thing or for any of several, in the order of their places.

    >>> from asyncexec.scheduler.wait_queues import WaitQueues
    >>> from asyncexec.scheduler.waits import MemoryWait, ValueWait
    >>> queues = WaitQueues[str]()
    >>> queues.put("late", (2,), {MemoryWait(8)}); queues.put("early", (1,), {MemoryWait(8), ValueWait()})
    >>> list(queues.take_ready(lambda wait: wait == MemoryWait(8))), len(queues.waiting)
    ([('early', (1,))], 1)
    >>> list(queues.take_ready(lambda wait: wait == ValueWait())), queues.first(MemoryWait(8))
    ([], (2,))

    Attributes
    ----------
    waiting : dict
        The entries, each with its place and its waits. To look here costs less than a call.
    """

    def __init__(self) -> None:
        self._queues: dict[Wait, PlacedEntries[E, Place]] = {}
        self.waiting: dict[E, tuple[Place, Collection[Wait]]] = {}

    @property
    def waits(self) -> Collection[Wait]:
        """Everything that is waited for."""
        return self._queues.keys()

    def put(self, entry: E, place: Place, waits: Collection[Wait]) -> None:
        """Have ``entry`` wait for any of ``waits``, and for nothing else."""
        present = self.waiting.get(entry)
        if present is not None:
            if present == (place, waits):
                return
            self.remove(entry)
        self.waiting[entry] = (place, waits)
        for wait in waits:
            queue = self._queues.get(wait)
            if queue is None:
                queue = self._queues[wait] = PlacedEntries()
            queue.put(entry, place)

    def remove(self, entry: E) -> None:
        """Take an entry out of all queues it is in."""
        present = self.waiting.pop(entry, None)
        for wait in present[1] if present is not None else ():
            queue = self._queues[wait]
            queue.remove(entry)
            if not queue.places:
                del self._queues[wait]

    def first(self, wait: Wait) -> Place | None:
        """Return the place of the first that waits for this; None if nothing does."""
        queue = self._queues.get(wait)
        return None if queue is None else queue.first()[0]

    def take_ready(self, is_over: Callable[[Wait], bool]) -> Iterator[tuple[E, Place]]:
        """Take out, and yield with its place, the first of each queue whose wait is over."""
        for wait in [wait for wait in self._queues if is_over(wait)]:
            # The entry that was taken for another wait may have been the last of this queue as well.
            queue = self._queues.get(wait)
            if queue is not None:
                place, entry = queue.first()
                self.remove(entry)
                yield entry, place
