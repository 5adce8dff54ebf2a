"""Entries in the order of their places, each of which may get another place, or go, at any time."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable

# Entries of a heap that are out of date are dropped when they come first, or when there are more of them than others.
_SLACK = 64


class PlacedEntries[E: Hashable, P: Any]:
    """A heap of entries with one place each; to move or remove one costs no search.

    >>> from asyncexec.scheduler.placed_entries import PlacedEntries
    >>> entries = PlacedEntries[str, int]()
    >>> entries.put("a", 1); entries.put("b", 2); entries.put("a", 3)
    >>> entries.first()
    (2, 'b')
    >>> entries.remove("b"); entries.take(), entries.places
    ((3, 'a'), {})

    Attributes
    ----------
    places : dict
        The place of each entry. To look here whether there are any costs less than a call.
    """

    __slots__ = ("_heap", "places")

    def __init__(self) -> None:
        self.places: dict[E, P] = {}
        self._heap: list[tuple[P, E]] = []

    def put(self, entry: E, place: P) -> None:
        """Add an entry, or move it to another place."""
        self.places[entry] = place
        heappush(self._heap, (place, entry))
        if len(self._heap) > 2 * len(self.places) + _SLACK:
            self._heap = [(place, entry) for entry, place in self.places.items()]
            heapify(self._heap)

    def remove(self, entry: E) -> None:
        """Remove an entry; KeyError if it is not there."""
        del self.places[entry]

    def first(self) -> tuple[P, E]:
        """Return the first place and its entry; there must be one."""
        heap = self._heap
        while self.places.get(heap[0][1]) != heap[0][0]:
            heappop(heap)
        return heap[0]

    def take(self) -> tuple[P, E]:
        """Take out the first entry, and return it with its place; there must be one."""
        first = self.first()
        heappop(self._heap)
        del self.places[first[1]]
        return first
