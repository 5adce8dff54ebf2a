"""The order of an engine's runs: which may send next.

It is a heap, and what waits is in queues, so that what one report costs does not grow with the number of runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from asyncexec.scheduler.placed_entries import PlacedEntries
from asyncexec.scheduler.wait_queues import Place, WaitQueues
from asyncexec.scheduler.waits import LimitWait

if TYPE_CHECKING:
    from asyncexec.scheduler.waits import Wait


class SendOrder:
    """The runs that may have something to send: by priority, and of equals that with the fewest batches in flight.

    >>> from asyncexec.scheduler.run_order import SendOrder
    >>> from asyncexec.scheduler.waits import ValueWait
    >>> order = SendOrder()
    >>> order.offer(1, priority=0, in_flight=2); order.offer(2, priority=0, in_flight=1)
    >>> order.offer(3, priority=5, in_flight=9)
    >>> order.park(4, {ValueWait()}, priority=0, in_flight=0); order.park(5, {ValueWait()}, priority=0, in_flight=1)
    >>> order.take(), order.take(), order.take(), order.take()
    (3, 2, 1, None)
    >>> order.resume(lambda wait: True); order.take(), order.take()
    (4, None)

    Attributes
    ----------
    places : dict of int to tuple
        The runs in their order, by number.
    queues : WaitQueues
        The runs that have tasks, and wait for something that others may bring about.
    """

    def __init__(self) -> None:
        self._runs = PlacedEntries[int, Place]()
        self.places = self._runs.places
        self.queues = WaitQueues[int]()

    def offer(self, number: int, *, priority: int, in_flight: int) -> None:
        """Put a run in its place, or move it there."""
        place = (-priority, in_flight, number)
        # Most offers change nothing: a run whose batch has ended sends the next.
        if self.places.get(number) != place:
            self._runs.put(number, place)

    def take(self) -> int | None:
        """Take out the first run; None if there is none."""
        return self._runs.take()[1] if self.places else None

    def park(self, number: int, waits: Collection[Wait], *, priority: int, in_flight: int) -> None:
        """Have a run wait for any of these; where there are none, until it is offered again."""
        if waits:
            self.queues.put(number, (-priority, in_flight, number), waits)
        elif number in self.queues.waiting:
            self.queues.remove(number)

    def resume(self, is_over: Callable[[Wait], bool]) -> None:
        """Put the first of each queue whose wait is over in its place."""
        for number, place in self.queues.take_ready(is_over):
            self._runs.put(number, place)

    def remove(self, number: int) -> None:
        """Take a run out, wherever it is."""
        self.places.pop(number, None)
        self.queues.remove(number)

    def limits_open(self, after: float) -> float:
        """Return the earliest time after ``after`` at which limits that runs share let an attempt be sent."""
        opening = [w.throttle.opens_at for w in self.queues.waits if isinstance(w, LimitWait)]
        return min([at for at in opening if at > after], default=math.inf)
