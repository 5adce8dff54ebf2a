"""Times at which something is due, in a heap: what one report costs does not grow with the number of runs or stages."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from asyncexec.scheduler.placed_entries import PlacedEntries

if TYPE_CHECKING:
    from collections.abc import Iterator


class Deadlines(PlacedEntries[int, float]):
    """The time at which something is due for each of many, by number: for runs of an engine, or stages of a run.

    >>> from asyncexec.scheduler.deadlines import Deadlines
    >>> deadlines = Deadlines()
    >>> deadlines.set(1, 5.0); deadlines.set(2, 3.0); deadlines.set(2, 9.0)
    >>> deadlines.earliest, list(deadlines.take_due(6.0)), deadlines.earliest
    (5.0, [1], 9.0)
    """

    __slots__ = ()

    def set(self, number: int, at: float) -> None:
        """Set the time for a number; infinity for none."""
        if self.places.get(number, math.inf) == at:
            return
        if at == math.inf:
            self.remove(number)
        else:
            self.put(number, at)

    @property
    def earliest(self) -> float:
        """The earliest time; infinity if there is none."""
        return self.first()[0] if self.places else math.inf

    def take_due(self, now: float) -> Iterator[int]:
        """Yield the numbers whose time has come, earliest first, and forget their times."""
        while self.earliest <= now:
            _, number = self.take()
            yield number
