"""Readiness: a task may run when everything it reads is complete.

Each stage counts the producers behind a barrier that are not complete (``gates``), and for each of its tasks the
missing inputs from other producers. Tasks that have all of the latter wait in the ready queue until no gate is left.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from asyncexec.scheduler.dependency_counts import DependencyCounts
from asyncexec.scheduler.ready import ReadyQueue

if TYPE_CHECKING:
    from asyncexec.scheduler.graph import Graph


class StageReadiness:
    """The tasks of one stage that may run.

    Attributes
    ----------
    queue : ReadyQueue
        The tasks whose inputs are complete (apart from those behind barriers).
    gates : int
        The producers behind barriers that are not complete; tasks may run at 0.
    left : int
        The tasks that are not complete.
    late : bool
        Whether the stage's size is not known yet: it is never ready nor complete, and is replaced when it is sized.
    """

    __slots__ = (
        "_dependencies",
        "_direct",
        "_done",
        "_feeders",
        "gates",
        "late",
        "left",
        "queue",
        "tasks",
    )

    def __init__(
        self,
        graph: Graph,
        position: int,
        tasks: int,
        done: Sequence[range] = (),
        *,
        late: bool = False,
    ) -> None:
        inputs = graph.inputs[position]
        edges = [e for e in inputs if not e.barrier]
        self.late = late
        self.tasks = tasks
        # Never 0 while the size is open, or a stage without tasks so far would pass for complete.
        self.left = max(tasks, 1) if late else tasks
        self.queue = ReadyQueue()
        self.gates = len(inputs) - len(edges)
        self._feeders = len(edges)
        self._done = sorted(done, key=lambda run: run.start) if done else ()
        # No count is needed: each task becomes ready with the one task that it reads, as in most plans.
        self._direct = len(edges) == 1 and edges[0].reads_one
        self._dependencies = None
        if edges and not self._direct:
            self._dependencies = DependencyCounts(
                tasks, lambda task: sum(e.needs(task) for e in edges)
            )

    @property
    def follows(self) -> bool:
        """True where each task waits for one task of one other stage, and none was complete before the run."""
        return self._direct and not self._done and not self.gates

    @property
    def open(self) -> bool:
        """True where a task of this stage could be taken now."""
        return self.queue.count > 0 and not self.gates

    def grow(self, tasks: int) -> None:
        """Add so many tasks at the end of a stage that grows; none of them is ready by that."""
        self.tasks += tasks
        self.left += tasks

    def begin(self) -> None:
        """Make ready all tasks of a stage that waits for other stages as a whole only."""
        if not self._feeders and not self.late:
            for start, stop in self._not_done(0, self.tasks):
                self.queue.push_run(start, stop)

    def arrive(self, tasks: range) -> None:
        """Record that one input of each of ``tasks`` is complete."""
        if self._direct:
            # Most come one by one, and then the search for runs costs more than the task.
            if len(tasks) == 1:
                self._push(tasks.start)
                return
            for start, stop in self._not_done(tasks.start, tasks.stop):
                self.queue.push_run(start, stop)
            return
        dependencies = self._dependencies
        if dependencies is not None:
            for task in tasks:
                if dependencies.arrive(task):
                    self._push(task)

    def fed(self) -> None:
        """Record that a producer that is read task by task is complete."""
        self._feeders -= 1
        dependencies = self._dependencies
        if not self._feeders and dependencies is not None and dependencies.released < self.tasks:
            # The tasks that are left read nothing at all (an empty window), so no input ever released them.
            for task in dependencies.untouched():
                self._push(task)

    def open_gate(self) -> None:
        """Record that a producer behind a barrier is complete."""
        self.gates -= 1
        if not self.gates and self.queue.count:
            self.queue.filled()

    def _push(self, task: int) -> None:
        if not self._done or not self._is_done(task):
            self.queue.push(task)

    def _is_done(self, task: int) -> bool:
        # Runs and not single tasks: a run that is resumed may have millions complete, in few runs.
        at = bisect_right(self._done, task, key=lambda run: run.start) - 1
        return at >= 0 and task < self._done[at].stop

    def _not_done(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        first = max(bisect_right(self._done, start, key=lambda run: run.start) - 1, 0)
        for at in range(first, len(self._done)):
            run = self._done[at]
            if run.stop <= start:
                continue
            if run.start >= stop:
                break
            if start < run.start:
                yield start, run.start
            start = run.stop
        if start < stop:
            yield start, stop


class Readiness:
    """The tasks of a plan that may run."""

    __slots__ = ("_graph", "stages")

    def __init__(
        self,
        graph: Graph,
        tasks: Sequence[int],
        done: Sequence[Sequence[range]],
        late: Collection[int] = (),
    ) -> None:
        self._graph = graph
        self.stages = [
            StageReadiness(graph, i, n, done[i], late=i in late) for i, n in enumerate(tasks)
        ]

    def begin(self, done: Sequence[Sequence[range]]) -> Iterator[int]:
        """Make ready the first tasks; yield the stages that are complete before anything runs."""
        return self._begin(dict(enumerate(done)))

    def sized(
        self, graph: Graph, tasks: Mapping[int, int], done: Mapping[int, Sequence[range]]
    ) -> tuple[Readiness, list[int]]:
        """Return the readiness of late stages that have their sizes, for :meth:`install`, and those that are complete.

        May be called in a thread while tasks of other stages complete.

        Parameters
        ----------
        graph : Graph
            The graph with the sizes.
        tasks, done : mappings
            By position: the number of tasks, and those that are complete.
        """
        sized = Readiness(graph, (), ())
        # A copy of the list: it is filled in a thread, while the run goes on with its own.
        sized.stages = [*self.stages]
        for position, count in tasks.items():
            sized.stages[position] = StageReadiness(graph, position, count, done[position])
        return sized, list(sized._begin(done))

    def install(self, sized: Readiness, positions: Collection[int]) -> None:
        """Replace the stages at ``positions``, whose sizes are known now."""
        self._graph = sized._graph
        for position in positions:
            # Producers may have completed since `sized` ran in its thread: their gates are opened here.
            stage = self.stages[position] = sized.stages[position]
            stage.gates -= sum(
                edge.barrier
                and edge.producer not in positions
                and not self.stages[edge.producer].left
                for edge in self._graph.inputs[position]
            )

    def _begin(self, done: Mapping[int, Sequence[range]]) -> Iterator[int]:
        for position in done:
            self.stages[position].begin()
        for position, runs in done.items():
            for run in runs:
                self._complete_run(position, run)
            if not self.stages[position].left and not runs:
                self._stage_complete(position)
            if not self.stages[position].left:
                yield position

    def complete(self, position: int, task: int) -> None:
        """Record that a task is complete, and make ready the tasks that waited for it alone."""
        stages = self.stages
        for edge in self._graph.outputs[position]:
            if not edge.barrier:
                consumer = stages[edge.consumer]
                # One-to-one without anything complete before: the consumer's task is ready, by its own index.
                if edge.identical and consumer._direct and not consumer._done:  # noqa: SLF001 - the hot path
                    consumer.queue.push(task)
                else:
                    for run in edge.consumers(task):
                        consumer.arrive(run)
        stage = stages[position]
        stage.left -= 1
        if not stage.left:
            self._stage_complete(position)

    def _complete_run(self, position: int, tasks: range) -> None:
        """Record that these tasks were complete before the run."""
        for edge in self._graph.outputs[position]:
            consumer = self.stages[edge.consumer]
            if edge.barrier:
                continue
            if edge.identical:
                consumer.arrive(tasks)
            else:
                for task in tasks:
                    for run in edge.consumers(task):
                        consumer.arrive(run)
        stage = self.stages[position]
        stage.left -= len(tasks)
        if not stage.left:
            self._stage_complete(position)

    def close(self, position: int) -> bool:
        """Record that a stage grows no more; return whether all its tasks are complete."""
        stage = self.stages[position]
        # The one that stood for all tasks to come is given back below.
        stage.late = False
        stage.left -= 1
        if stage.left:
            return False
        self._stage_complete(position)
        return True

    def _stage_complete(self, position: int) -> None:
        for edge in self._graph.outputs[position]:
            consumer = self.stages[edge.consumer]
            if edge.barrier:
                consumer.open_gate()
            else:
                consumer.fed()
