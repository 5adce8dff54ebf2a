"""Growing stages: those that have a task for each item of a stream, and the stages that read them task by task.

They grow together as items are read. What is kept follows the tasks that are not complete: an item goes when its task
is, and the values between stages when they have been read; only values that are part of the result stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio

from asyncexec.plan.item_stream import ItemStream
from asyncexec.plan.late import of_shape
from asyncexec.scheduler.late_stages import read_figures

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from asyncexec.plan.plan import Plan
    from asyncexec.plan.stage import Stage
    from asyncexec.scheduler.event_buffer import EventBuffer
    from asyncexec.scheduler.run_state import RunState
    from asyncexec.scheduler.stage import StageState


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadItems:
    """Items that were read for the tasks of a stage.

    Attributes
    ----------
    rows : sequence of tuple
        The inputs of each task.
    ended : bool
        Whether there are no more.
    error : Exception or None
        The reason why no more could be read.
    """

    rows: Sequence[tuple[Any, ...]] = ()
    ended: bool = False
    error: Exception | None = None


class GrowingStages:
    """The stages of a run that grow with one stream.

    Parameters
    ----------
    stream : ItemStream
    stages : sequence of StageState
        First that which gets the items; each other reads one before it.

    Attributes
    ----------
    open : bool
        Whether more items may come.
    more : anyio.Event
        Set when there is room for more items.
    """

    def __init__(self, stream: ItemStream, stages: Sequence[StageState]) -> None:
        self.stream = stream
        self.stages = stages
        self.open = True
        self.more = anyio.Event()
        # By task, so that an item can go with its task, in whatever order they end.
        stages[0].rows = self._rows = dict[int, tuple[Any, ...]]()

    @property
    def first(self) -> StageState:
        """The stage that gets the items."""
        return self.stages[0]

    def wanted(self, slots: int) -> int:
        """Return the number of items to read now: enough to keep the backend busy, as long as tasks become complete."""
        batch = max(1, slots) * max(stage.running.batch.limit for stage in self.stages)
        queued = self.first.readiness.queue.count
        # Of a chain of stages, the last may be slow: those before it must not run on and on.
        incomplete = max(stage.readiness.left for stage in self.stages) - 1
        room = min(2 * batch - queued, (2 + 2 * len(self.stages)) * batch - incomplete)
        # Not for each item that is taken, as asking for items has its cost.
        return room if room >= max(1, batch // 2) else 0

    def wake(self, slots: int) -> None:
        """Have items read if there is room for them."""
        if self.open and not self.more.is_set() and self.wanted(slots):
            self.more.set()

    def add(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add tasks to the stages, ready in the first."""
        start = self.first.tasks
        self._rows.update(enumerate(rows, start))
        for stage in self.stages:
            stage.readiness.grow(len(rows))
            stage.figures.tasks += len(rows)
        self.first.readiness.queue.push_run(start, start + len(rows))

    def close(self) -> None:
        """Give the stages their final shapes: no more items will come."""
        self.open = False
        shape = (self.first.tasks,)
        shapes = {stage.name: shape for stage in self.stages}
        for stage in self.stages:
            # Only now, as relations are between whole shapes.
            stage.stage = of_shape(stage.stage, shape, shapes)
            stage.figures.late = False


class Growth:
    """All growing stages of a run.

    Parameters
    ----------
    state : RunState
    event_buffer : EventBuffer

    Attributes
    ----------
    groups : tuple of GrowingStages
    """

    def __init__(self, state: RunState, event_buffer: EventBuffer) -> None:
        self._state = state
        self._event_buffer = event_buffer
        growing = [stage for stage in state.plan.stages if stage.grows]
        states = {stage.name: stage for stage in state.stages} if growing else {}
        self.groups = tuple(
            GrowingStages(given.values, [states[s.name] for s in _along(state.plan, root)])
            for root in growing
            for given in root.items
            if isinstance(given.values, ItemStream)
        )

    @property
    def open(self) -> bool:
        """True as long as more items may come for some stage."""
        return bool(self.groups) and any(group.open for group in self.groups)

    def wake(self, slots: int) -> None:
        """Have items read where there is room for them."""
        for group in self.groups:
            group.wake(slots)

    def stop(self) -> None:
        """Have the tasks that read items go on, and see that they are to end."""
        for group in self.groups:
            group.more.set()

    def add(self, group: GrowingStages, rows: Sequence[tuple[Any, ...]], now: float) -> int:
        """Add tasks for items that were read; return their number."""
        if not rows:
            return 0
        group.add(rows)
        for stage in group.stages:
            self._state.values.grow(stage.position, len(rows))
            self._event_buffer.stage_grew(stage, now)
        return len(rows) * len(group.stages)

    def close(self, group: GrowingStages, now: float) -> list[StageState]:
        """Give the stages of a group their final sizes; return those that are complete."""
        group.close()
        complete: list[StageState] = []
        for stage in group.stages:
            self._event_buffer.stage_sized(stage, read_figures(stage.stage), now)
            if self._state.grown(stage):
                complete.append(stage)
        return complete


def _along(plan: Plan, root: Stage) -> Iterator[Stage]:
    """Yield ``root`` and the stages that grow with it, in the plan's order."""
    names: set[str] = set()
    for stage in plan.stages:
        if stage is root or (stage.grows and any(r.stage in names for r in stage.reads)):
            names.add(stage.name)
            yield stage
