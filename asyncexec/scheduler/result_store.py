"""The values of value stages, kept on the driver until every reader is complete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from asyncexec.events.outcome import Many
from asyncexec.plan.stage import Items, Read, Stage

if TYPE_CHECKING:
    from asyncexec.scheduler.graph import Edge


class ResultStore:
    """Outputs of value stages, by stage position and task."""

    def __init__(self, stages: Sequence[Stage], returned: Sequence[str]) -> None:
        self._stages = stages
        self._positions = {stage.name: i for i, stage in enumerate(stages)}
        self._results: dict[int, list[Any]] = {
            i: [None] * stage.tasks for i, stage in enumerate(stages) if stage.name in returned
        }
        read = {r.stage for stage in stages for r in stage.reads}
        self._kept: list[dict[int, Any] | list[Any] | None] = [
            self._results.get(i, {} if stage.name in read else None) if stage.holds_values else None
            for i, stage in enumerate(stages)
        ]

    def put(self, position: int, task: int, value: Any) -> None:
        """Keep the value of a completed task, if it is part of the result or a stage reads it."""
        kept = self._kept[position]
        if kept is not None:
            kept[task] = value

    def drop(self, position: int, tasks: Sequence[int] | None) -> None:
        """Drop the values of ``tasks`` (of all, for None) unless they are part of the result."""
        kept = self._kept[position]
        if not isinstance(kept, dict):
            return
        if tasks is None:
            kept.clear()
            return
        for task in tasks:
            kept.pop(task, None)

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
        kept = self._kept[self._positions[read.stage]]
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
