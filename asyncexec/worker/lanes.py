"""The lanes of an event loop: how many attempts run at once on it, of all stages together and of each."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from asyncexec.worker.loop_threads import KernelThreads, PacedKernels
from asyncexec.worker.pace import Pace
from asyncexec.worker.thread_jobs import Jobs

SLICE = 64
"""Attempts that are started before others on the loop get a turn: about 1 ms of work."""


class BeginsAttempts(Protocol):
    """A batch whose attempts are begun as lanes are free."""

    def begin_next(self) -> bool:
        """Start the next attempt; False if there is none."""
        ...


class Lanes:
    """The attempts that may run at once on one event loop, of all stages together and of each.

    Parameters
    ----------
    limit : int, optional
        How many of all stages together; as many as there may be of each by default.
    slots : int
        The slots of the worker that share the loop.
    kernels : int
        How many kernels that are no coroutine functions run at once, in threads.
    entered : callable, optional
        Called with the attempt whose kernel runs next there, and with 0 when it has ended.
    first : Jobs, optional
        Those of a thread that runs kernels; by default threads are started for them.
    """

    def __init__(
        self,
        limit: int | None = None,
        *,
        slots: int = 1,
        kernels: int = 1,
        entered: Callable[[int], object] | None = None,
        first: Jobs | None = None,
    ) -> None:
        self.taken = 0
        self.slots = slots
        self.most_kernels = kernels
        self._entered = entered
        self._first = first
        self._kernels: KernelThreads | None = None
        self._limit = limit
        self._groups: list[LaneGroup] = []
        self._again = False

    def group(self, limit: int) -> LaneGroup:
        """Return lanes for ``limit`` attempts of one stage."""
        group = LaneGroup(self, limit)
        self._groups.append(group)
        return group

    def remove(self, group: LaneGroup) -> None:
        """Forget a group of which no attempts run or wait."""
        self._groups.remove(group)
        if not self._groups:
            self.close()

    def close(self) -> None:
        """End the threads of kernels; those that are left behind end when what they run has ended."""
        if self._kernels is not None:
            self._kernels.close()
            self._kernels = None

    @property
    def kernels(self) -> KernelThreads:
        """The threads of kernels, which are there as long as there are groups."""
        if self._kernels is None:
            self._kernels = KernelThreads(self.most_kernels, self._entered, self._first)
        return self._kernels

    def fill(self) -> None:
        """Start the attempts for which there are lanes, a slice of them at a time."""
        left = SLICE
        for group in self._groups:
            while group.runners and group.taken < group.open:
                if self._limit is not None and self.taken >= self._limit:
                    # The limit is the whole worker's: no group further on has a lane either.
                    return
                if not left:
                    self._fill_later()
                    return
                left -= 1
                if group.runners[0].begin_next():
                    group.taken += 1
                    self.taken += 1
                else:
                    # All of its attempts have begun; those that run keep their lanes.
                    group.runners.popleft()

    def _fill_later(self) -> None:
        # One call is enough: it looks at all groups.
        if not self._again:
            self._again = True
            asyncio.get_running_loop().call_soon(self._fill_again)

    def _fill_again(self) -> None:
        self._again = False
        self.fill()


class LaneGroup:
    """The lanes of one stage; batches that share them have them in the order in which they came."""

    def __init__(self, lanes: Lanes, limit: int) -> None:
        self.limit = limit
        self.taken = 0
        self.runners: deque[BeginsAttempts] = deque()
        self.pace: Pace | None = None
        self._kernels: PacedKernels | None = None
        self._lanes = lanes

    @property
    def open(self) -> int:
        """The number of attempts that may run at once now: fewer than the limit where kernels set the pace."""
        return self.limit if self.pace is None else self.pace.width

    def paced_kernels(self) -> PacedKernels:
        """Return the threads for kernels, whose times set the pace from now on."""
        if self._kernels is None:
            lanes = self._lanes
            self.pace = Pace(self.limit, lanes.most_kernels)
            self._kernels = PacedKernels(lanes.kernels, self.pace, lanes.slots, lanes.fill)
        return self._kernels

    def add(self, runner: BeginsAttempts) -> None:
        """Start the attempts of ``runner`` as lanes are free."""
        self.runners.append(runner)
        self._lanes.fill()

    def release(self) -> None:
        """Free a lane."""
        self.taken -= 1
        self._lanes.taken -= 1
        self._lanes.fill()

    def remove(self) -> None:
        """Forget the group, of which no attempts run or wait."""
        self._lanes.remove(self)
