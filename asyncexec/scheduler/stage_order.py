"""The order in which the stages of a run send their tasks; only those that have something to send are looked at.

A stage comes here when it gets its first task to send, whatever brings it: an input, a gate that opens, a retry, a
backup. It stays until it is found to have nothing left. So what a report costs does not grow with the stages of a plan.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import chain
from typing import TYPE_CHECKING

from asyncexec.scheduler.wait_queues import WaitQueues

if TYPE_CHECKING:
    from asyncexec.scheduler.stage import StageState
    from asyncexec.scheduler.waits import Wait


class StageOrder:
    """The stages that have tasks to send: those of higher priority first, then the deepest, then by position.

    Attributes
    ----------
    queues : WaitQueues
        The positions of stages that wait for something that other runs may bring about.
    """

    def __init__(self) -> None:
        self._stages: dict[int, StageState] = {}
        self._heap: list[tuple[tuple[float, int, int], StageState]] = []
        self._offered: dict[int, None] = {}
        self.queues = WaitQueues[int]()
        # Those that wait for something of this run: each until it is offered again, the former also at a time.
        self._delayed: list[tuple[float, int]] = []
        self._aside: dict[int, None] = {}
        self._held: dict[int, None] = {}

    def add(self, stage: StageState) -> None:
        """Take in a stage, now and whenever it gets something to send."""
        self._forget(stage.position)
        self._stages[stage.position] = stage
        queue = stage.readiness.queue
        queue.order, queue.stage = self, stage
        if stage.launchable:
            self.offer(stage)

    def offer(self, stage: StageState) -> None:
        """Have a stage looked at: it may have something to send that nothing holds back."""
        position = stage.position
        if position not in self._offered:
            self._forget(position)
            self._offered[position] = None
            # A rank holds the position, so that stages themselves are never compared.
            heappush(self._heap, (stage.rank, stage))

    @property
    def launchable(self) -> bool:
        """True where some stage has something to send, even if something holds it back."""
        if self.first() is not None:
            return True
        if not (self.queues.waiting or self._held):
            return False
        return any(self._stages[at].launchable for at in chain(self.queues.waiting, self._held))

    @property
    def ready_tasks(self) -> int:
        """The number of tasks to send that nothing holds back."""
        return sum(stage.readiness.queue.count for _, stage in self._heap)

    def first(self) -> StageState | None:
        """Return the first stage that has something to send; None if there is none."""
        while self._heap:
            stage = self._heap[0][1]
            if stage.launchable:
                return stage
            # It has run dry since it was offered, and comes again when its queue is filled.
            self._take_first()
        return None

    # -- what holds back the first stage

    def park(self, wait: Wait) -> None:
        """Have the first stage wait for something that other runs may bring about."""
        stage = self._take_first()
        self.queues.put(stage.position, stage.rank, (wait,))

    def delay(self, until: float) -> None:
        """Have the first stage wait for a time, or, and only that where it is infinity, until it is offered again."""
        position = self._take_first().position
        self._held[position] = None
        if until < math.inf:
            heappush(self._delayed, (until, position))

    def set_aside(self) -> None:
        """Have the first stage wait for any change of the run."""
        position = self._take_first().position
        self._held[position] = None
        self._aside[position] = None

    def resume(self, now: float, is_over: Callable[[Wait], bool]) -> None:
        """Offer the stages whose waits may be over, of those that wait for the same only the first."""
        if self._delayed:
            self.next_opening(now)
        # Each offer takes its stage out of here.
        while self._aside:
            self.offer(self._stages[next(iter(self._aside))])
        if self.queues.waiting:
            for position, _ in self.queues.take_ready(is_over):
                self.offer(self._stages[position])

    def next_opening(self, after: float) -> float:
        """Return the earliest time after ``after`` until which a stage waits; infinity if there is none."""
        delayed = self._delayed
        # Those that were offered meanwhile stay in the heap until they are its first: to look for them would cost
        # more.
        while delayed and (delayed[0][0] <= after or delayed[0][1] not in self._held):
            _, position = heappop(delayed)
            if position in self._held:
                self._aside[position] = None
        return delayed[0][0] if delayed else math.inf

    def _take_first(self) -> StageState:
        stage = heappop(self._heap)[1]
        self._offered.pop(stage.position, None)
        return stage

    def _forget(self, position: int) -> None:
        if position in self._held:
            del self._held[position]
            self._aside.pop(position, None)
        if position in self.queues.waiting:
            self.queues.remove(position)
