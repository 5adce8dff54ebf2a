"""The ready queue of one stage: its tasks that could run now, as ranges of consecutive indices."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Protocol


class Offers(Protocol):
    """The order of stages that have tasks to send."""

    def offer(self, stage: Any, /) -> None:
        """Take in a stage that has some."""
        ...


class ReadyQueue:
    """A first-in, first-out queue of tasks, where a range of a million consecutive tasks costs as much as one task.

    Attributes
    ----------
    count : int
        The tasks in it.
    order, stage : Offers, object
        What is offered the stage when there are tasks where there were none.
    followed : dict of int to bool, or None
        Tasks that are with the backend already, behind what they read, and whether that is complete: then they are not
        added, unless they are let go of.
    """

    __slots__ = ("_runs", "count", "followed", "order", "stage")

    def __init__(self) -> None:
        # [start, stop); only while there are any, as an empty one is larger than all else of a stage that waits.
        self._runs: deque[list[int]] | None = None
        self.count = 0
        self.order: Offers | None = None
        self.stage: Any = None
        self.followed: dict[int, bool] | None = None

    def filled(self) -> None:
        """Offer the stage, as there are tasks where there were none."""
        if self.order is not None:
            self.order.offer(self.stage)

    @property
    def first(self) -> int | None:
        """The task that would be taken next."""
        return self._runs[0][0] if self._runs else None

    def push(self, task: int) -> None:
        """Add one task at the end."""
        # It is on its way in the batch of what it reads: added here, it would run twice.
        if self.followed and task in self.followed:
            self.followed[task] = True
            return
        self.count += 1
        runs = self._runs
        if runs is None:
            self._runs = deque(([task, task + 1],))
        elif runs[-1][1] == task:
            runs[-1][1] = task + 1
        else:
            runs.append([task, task + 1])
        # As `filled` does, without the call: this is the way of every task of a chain.
        if self.count == 1 and self.order is not None:
            self.order.offer(self.stage)

    def push_run(self, start: int, stop: int) -> None:
        """Add the tasks ``start`` to ``stop`` (exclusive) at the end."""
        if start < stop:
            self.count += stop - start
            self._filled_runs().append([start, stop])
            if self.count == stop - start:
                self.filled()

    def push_first(self, task: int) -> None:
        """Add one task before all others."""
        self.count += 1
        self._filled_runs().appendleft([task, task + 1])
        if self.count == 1:
            self.filled()

    def follow(self, tasks: Iterable[int]) -> None:
        """Add none of ``tasks`` until they are let go of, as they are with the backend."""
        if self.followed is None:
            self.followed = {}
        self.followed.update(dict.fromkeys(tasks, False))

    def let_go(self, task: int, *, again: bool) -> None:
        """Record that a task is with the backend no more; ``again`` adds it, if what it reads is complete."""
        if self.followed and self.followed.pop(task, False) and again:
            self.push(task)

    def take(self, most: int) -> Sequence[int]:
        """Remove and return up to ``most`` tasks."""
        runs = self._runs
        if runs is None:
            return ()
        first = runs[0]
        start, stop = first
        if stop - start > most:
            first[0] = start + most
            self.count -= most
            return range(start, start + most)
        runs.popleft()
        if not runs:
            self._runs = None
        if stop - start == most or not runs:
            self.count -= stop - start
            return range(start, stop)
        taken = list(range(start, stop))
        while runs and len(taken) < most:
            first = runs[0]
            start, stop = first[0], min(first[1], first[0] + most - len(taken))
            taken.extend(range(start, stop))
            if stop == first[1]:
                runs.popleft()
            else:
                first[0] = stop
        self.count -= len(taken)
        # None again when empty: a plan may have thousands of stages whose queues wait.
        self._runs = runs or None
        return taken

    def clear(self) -> None:
        """Remove all tasks."""
        self._runs = None
        self.count = 0

    def _filled_runs(self) -> deque[list[int]]:
        """Return the runs, for a caller that adds one."""
        if self._runs is None:
            self._runs = deque()
        return self._runs
