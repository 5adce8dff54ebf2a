"""The values of value stages, kept on the driver until every reader is complete."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from asyncexec.events.outcome import Many
from asyncexec.plan.items import as_sequence
from asyncexec.plan.stage import Items, Read, Stage
from asyncexec.worker.attempt import decode

if TYPE_CHECKING:
    from asyncexec.scheduler.graph import Edge


class ResultStore:
    """Outputs of value stages, by stage position and task."""

    def __init__(self, stages: Sequence[Stage], returned: Sequence[str]) -> None:
        self._stages = list(stages)
        self._positions = {stage.name: i for i, stage in enumerate(stages)}
        self._results: dict[int, list[Any]] = {
            i: [None] * stage.tasks for i, stage in enumerate(stages) if stage.name in returned
        }
        read = {r.stage for stage in stages for r in stage.reads}
        read.update(name for stage in stages for name in stage.waits_for)
        self._kept: list[dict[int, Any] | list[Any] | None] = [
            self._results.get(i, {} if stage.name in read else None) if stage.holds_values else None
            for i, stage in enumerate(stages)
        ]
        self._items: dict[int, Sequence[Any]] = {}

    def put(self, position: int, task: int, value: Any) -> None:
        """Keep the value of a completed task, if it is part of the result or a stage reads it."""
        kept = self._kept[position]
        if kept is not None:
            kept[task] = value

    def drop(self, position: int, tasks: Sequence[int] | None) -> None:
        """Drop the values of ``tasks`` (of all, for None) unless they are part of the result."""
        if tasks is None:
            self._items.pop(position, None)
        kept = self._kept[position]
        if not isinstance(kept, dict):
            return
        if tasks is None:
            kept.clear()
            return
        for task in tasks:
            kept.pop(task, None)

    def value(self, position: int) -> Any:
        """Return the decoded value of a complete stage; a list of its tasks' values where it has an axis.

        May be called in a thread: nothing is dropped while a stage waits for it.
        """
        kept = self._kept[position]
        if kept is None:
            return None
        shape = self._stages[position].shape
        return (
            [decode(kept[task]) for task in range(math.prod(shape))] if shape else decode(kept[0])
        )

    def size(self, position: int, stage: Stage, values: Mapping[str, Any]) -> None:
        """Make room for the values of a late stage whose size is known now, and keep the items that it reads.

        ``values`` are those of the stages it waited for. May be called in a thread.
        """
        self._stages[position] = stage
        if position in self._results:
            self._results[position].extend([None] * (stage.tasks - len(self._results[position])))
        for read in stage.reads:
            if read.item and read.stage in values:
                self._items[self._positions[read.stage]] = as_sequence(values[read.stage])

    def results(self) -> dict[str, list[Any]]:
        """Return the values of the returned stages, by stage name."""
        return {self._stages[i].name: values for i, values in self._results.items()}

    def reader(self, stage: Stage, edges: Sequence[Edge]) -> Callable[[int], tuple[Any, ...]]:
        """Return a function that gathers the kernel's inputs for a task of ``stage``."""
        sources: list[Callable[[int], Any]] = []
        remaining = iter(edges)
        for source in stage.inputs:
            match source:
                case Items(values):
                    sources.append(values.__getitem__)
                case Read():
                    sources.append(self._gatherer(source, next(remaining)))
        if not sources:
            return _no_inputs
        if len(sources) == 1:
            only = sources[0]
            return lambda task: (only(task),)
        return lambda task: tuple(source(task) for source in sources)

    def _gatherer(self, read: Read, edge: Edge) -> Callable[[int], Any]:
        position = self._positions[read.stage]
        kept = self._kept[position]
        if read.item:
            items = self._items
            return lambda task: items[position][task]
        if kept is None:
            return _nothing  # an array stage: its readers read from storage
        if edge.identical and not read.many:
            return kept.__getitem__
        if read.many:
            return lambda task: Many(tuple(kept[p] for run in edge.producers(task) for p in run))
        return lambda task: kept[next(edge.producers(task))[0]]


def _no_inputs(task: int) -> tuple[Any, ...]:  # noqa: ARG001 - the form of every reader
    return ()


def _nothing(task: int) -> None:  # noqa: ARG001 - the form of every source
    return None
