"""The outlet of a run's values: they are handed over as tasks complete, and the run goes no further ahead than it may.

Tasks are held back at the start of the chain of stages that makes the values one by one: no more of them have begun
than were handed over and fit into the buffer. What has begun is never held back, nor are retries, so whatever is waited
for will come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import anyio

from asyncexec.plan.relations import Blockwise

if TYPE_CHECKING:
    from asyncexec.plan.plan import Plan
    from asyncexec.scheduler.stage import StageState


class Outlet:
    """Hands over the values of one stage as they come.

    Parameters
    ----------
    plan : Plan
    stage : str
        The stage whose values are handed over.
    ordered : bool
        Whether they are handed over in the order of the tasks, instead of as they come.
    buffer : int, optional
        The most tasks that have begun and whose values are not handed over; by default enough to keep the backend busy.

    Attributes
    ----------
    position : int
        The stage's position in the plan.
    wake : callable
        Has the run go on, after it was held back.
    drained : anyio.Event
        Set when no value will be asked for any more.
    """

    def __init__(self, plan: Plan, stage: str, *, ordered: bool, buffer: int | None) -> None:
        positions = {s.name: i for i, s in enumerate(plan.stages)}
        self.position = positions[stage]
        self.wake: Callable[[], None] = _nothing
        self.drained = anyio.Event()
        first = _first_of_chain(plan, stage)
        # Where tasks become ready in another order than theirs, the next in order may be one that is held back.
        holds = not (ordered and plan.stage(first).reads and not plan.stage(first).reads[0].item)
        self._gate = positions[first] if holds else -1
        self._buffer = buffer
        self._ordered = ordered
        self._begun = self._handed_over = 0
        self._came: deque[int] = deque()
        self._early: set[int] = set()
        self._changed = anyio.Event()
        self._ended = self._held_back = False

    # -- asked by the run

    def holds_back(self, stage: StageState, slots: int) -> bool:
        """Return whether nothing of ``stage`` may be sent now."""
        if stage.position != self._gate or self._room(stage, slots) > 0:
            return False
        self._held_back = True
        first = stage.readiness.queue.first
        # What is tried again goes in any case: it is what the values behind it wait for.
        return not (stage.backups or stage.exclusive or first in stage.task_records)

    def most(self, stage: StageState, most: int, slots: int) -> int:
        """Return how many of ``most`` tasks of ``stage`` may be sent in one batch; at least 1."""
        return most if stage.position != self._gate else max(1, min(most, self._room(stage, slots)))

    def taken(self, stage: StageState, tasks: Sequence[int]) -> None:
        """Record that tasks of ``stage`` are taken to be sent."""
        if stage.position == self._gate:
            # Tasks with a record have been sent before, and were counted then.
            records = stage.task_records
            self._begun += len(tasks) if not records else sum(t not in records for t in tasks)

    def completed(self, position: int, task: int) -> None:
        """Record that a task is complete."""
        if position != self.position:
            return
        if not self._ordered:
            self._came.append(task)
        # The next in order: with it come those that were complete before their turn.
        elif task == self._handed_over + len(self._came):
            self._came.append(task)
            while self._early and (task := task + 1) in self._early:
                self._early.remove(task)
                self._came.append(task)
        else:
            self._early.add(task)
        if self._came:
            self._changed.set()

    def resumed(self, position: int, runs: Sequence[range]) -> None:
        """Record that an earlier run has completed tasks."""
        for tasks in runs if position == self.position else ():
            self._begun += len(tasks)
            for task in tasks:
                self.completed(position, task)

    # -- asked by whoever takes the values

    async def next(self) -> int | None:
        """Return the next task whose value can be taken; None when the run has ended and there is none."""
        while not self._came:
            if self._ended:
                self.drained.set()
                return None
            self._changed = anyio.Event()
            await self._changed.wait()
        self._handed_over += 1
        task = self._came.popleft()
        if self._held_back:
            self._held_back = False
            self.wake()
        return task

    def end(self) -> None:
        """Record that the run has ended: no more tasks complete."""
        self._ended = True
        self._changed.set()

    def close(self) -> None:
        """Record that no value will be asked for any more."""
        self.drained.set()
        self.end()

    def _room(self, stage: StageState, slots: int) -> int:
        buffer = (
            4 * max(1, slots) * stage.running.batch.limit if self._buffer is None else self._buffer
        )
        return buffer - (self._begun - self._handed_over)


def _first_of_chain(plan: Plan, name: str) -> str:
    """Return the first of the stages that make the values of a stage one by one, each of one value of another."""
    reads = plan.stage(name).reads
    if len(reads) == 1:
        (read,) = reads
        relation = read.relation
        one_by_one = isinstance(relation, Blockwise) and relation.is_identity and not read.many
        if one_by_one:
            return _first_of_chain(plan, read.stage)
    return name


def _nothing() -> None:
    return None
