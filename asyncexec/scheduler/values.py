"""The values of value stages, kept on the driver until every reader is complete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from asyncexec.events.outcome import Many
from asyncexec.plan.stage import Items, Read, Stage

if TYPE_CHECKING:
    from asyncexec.scheduler.graph import Edge, Graph


class Retention:
    """Says when the output of a task has been read by everybody who reads it.

    Readers behind a barrier are counted by the stage, others by the task; only tasks read in part are remembered.
    """

    __slots__ = ("_barriers", "_edges", "_left", "_tasks")

    def __init__(self, tasks: int, edges: Sequence[Edge]) -> None:
        self._tasks = tasks
        self._edges = [e for e in edges if not e.barrier]
        self._barriers = sum(e.barrier for e in edges)
        self._left: dict[int, int] = {}

    def read(self, task: int) -> bool:
        """Note that one reader of ``task`` is complete; return whether it was the last."""
        left = self._left.pop(task, 0) or self._needs(task)
        if left > 1:
            self._left[task] = left - 1
            return False
        return True

    def stage_read(self) -> bool:
        """Note that every task of a reader behind a barrier is complete; return whether all outputs may go."""
        self._barriers -= 1
        return not self._barriers and not self._edges

    def _needs(self, task: int) -> int:
        # A barrier among the readers keeps everything until its stage is complete: the run's end lets go of it.
        return self._barriers + sum(len(run) for e in self._edges for run in e.consumers(task))


class Values:
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
        """Keep the value of a completed task, if anybody wants it."""
        kept = self._kept[position]
        if kept is not None:
            kept[task] = value

    def drop(self, position: int, tasks: Sequence[int] | None) -> None:
        """Let go of the values of ``tasks`` (of all, for None) unless they are part of the result."""
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
        """Return what gathers the kernel's inputs for a task of ``stage``."""
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
            return _nothing  # an array stage: whoever reads it reads from storage
        if edge.identical and not read.many:
            return kept.__getitem__
        if read.many:
            return lambda task: Many(tuple(kept[p] for run in edge.producers(task) for p in run))
        return lambda task: kept[next(edge.producers(task))[0]]


def _no_inputs(task: int) -> tuple[Any, ...]:  # noqa: ARG001 - the form of every reader
    return ()


def _nothing(task: int) -> None:  # noqa: ARG001 - the form of every source
    return None


def retentions(
    graph: Graph, stages: Sequence[Stage], wanted: Sequence[bool]
) -> list[Retention | None]:
    """Return one retention per stage whose outputs shall be let go of when they have been read."""
    return [
        Retention(stage.tasks, graph.outputs[i]) if wanted[i] and graph.outputs[i] else None
        for i, stage in enumerate(stages)
    ]
