"""The order of an engine's runs: which may send next, and when something is due for each.

Both are heaps, so that what one report costs does not grow with the number of runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from heapq import heapify, heappop, heappush

# Entries of a heap that are out of date are dropped when they come first, or when there are more of them than others.
_SLACK = 64


class Deadlines:
    """The time at which something is due for each run, by the run's number.

    >>> from asyncexec.scheduler.run_order import Deadlines
    >>> deadlines = Deadlines()
    >>> deadlines.set(1, 5.0); deadlines.set(2, 3.0); deadlines.set(2, 9.0)
    >>> deadlines.first, list(deadlines.take_due(6.0)), deadlines.first
    (5.0, [1], 9.0)
    """

    def __init__(self) -> None:
        self._at: dict[int, float] = {}
        self._heap: list[tuple[float, int]] = []

    def set(self, number: int, at: float) -> None:
        """Set the time for a run; infinity for none."""
        if self._at.get(number, math.inf) == at:
            return
        if at == math.inf:
            del self._at[number]
            return
        self._at[number] = at
        heappush(self._heap, (at, number))
        if len(self._heap) > 2 * len(self._at) + _SLACK:
            self._heap = [(at, number) for number, at in self._at.items()]
            heapify(self._heap)

    @property
    def first(self) -> float:
        """The earliest time; infinity if there is none."""
        heap = self._heap
        while heap and self._at.get(heap[0][1]) != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else math.inf

    def take_due(self, now: float) -> Iterator[int]:
        """Yield the runs whose time has come, earliest first, and forget their times."""
        while self.first <= now:
            _, number = heappop(self._heap)
            del self._at[number]
            yield number


class SendOrder:
    """The runs that may have something to send: by priority, and of equals that with the fewest batches in flight.

    >>> from asyncexec.scheduler.run_order import SendOrder
    >>> order = SendOrder()
    >>> order.offer(1, priority=0, in_flight=2); order.offer(2, priority=0, in_flight=1)
    >>> order.offer(3, priority=5, in_flight=9); order.block(4, priority=0, in_flight=0)
    >>> order.take(), order.take(), order.take(), order.take()
    (3, 2, 1, None)
    >>> order.unblock(); order.take()
    4

    Attributes
    ----------
    places, blocked : dict of int to tuple
        The runs in their order, and those that were set aside, by number.
    """

    def __init__(self) -> None:
        self.places: dict[int, tuple[int, int, int]] = {}
        self._heap: list[tuple[int, int, int]] = []
        self.blocked: dict[int, tuple[int, int, int]] = {}

    def offer(self, number: int, *, priority: int, in_flight: int) -> None:
        """Put a run in its place, or move it there."""
        place = (-priority, in_flight, number)
        if self.places.get(number) == place:
            return
        self.places[number] = place
        heappush(self._heap, place)
        if len(self._heap) > 2 * len(self.places) + _SLACK:
            self._heap = list(self.places.values())
            heapify(self._heap)

    def take(self) -> int | None:
        """Take out the first run; None if there is none."""
        while self._heap:
            place = heappop(self._heap)
            number = place[2]
            if self.places.get(number) == place:
                del self.places[number]
                return number
        return None

    def block(self, number: int, *, priority: int, in_flight: int) -> None:
        """Put a run aside that has tasks, and waits for something that any report may bring."""
        self.blocked[number] = (-priority, in_flight, number)

    def unblock(self) -> None:
        """Put the runs that were set aside in their places."""
        blocked, self.blocked = self.blocked, {}
        for number, (priority, in_flight, _) in blocked.items():
            self.offer(number, priority=-priority, in_flight=in_flight)

    def remove(self, number: int) -> None:
        """Take a run out, wherever it is."""
        self.places.pop(number, None)
        self.blocked.pop(number, None)
