"""Tasks that run again because their values were lost, for the tasks that read them.

No completion is taken back: such a task stays complete for readiness, figures and the tasks that have read its value
already. It runs once more besides, its new value takes the place of the lost one, and the tasks that waited for
it are ready again. What it reads itself may have been deleted meanwhile, after its last reader: then the tasks that
made that run again first, and their values go as soon as they have been read once more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from asyncexec.scheduler.stage import StageState, TaskRecord

if TYPE_CHECKING:
    from asyncexec.events.outcome import ValueHandle
    from asyncexec.scheduler.graph import Edge
    from asyncexec.scheduler.result_store import ResultStore

type TaskKey = tuple[int, int]
"""A task by the position of its stage and its own."""

MOST_RUNS = 3
"""The number of times that one task runs again for its value; what is lost more often is not kept well."""


class Recovery:
    """The lost values of one run.

    Parameters
    ----------
    values : ResultStore
    stages : sequence of StageState
        The stages of the run, as they are at any time.
    inputs : callable
        ``inputs(position)`` returns the edges to the stages that a stage reads.

    Attributes
    ----------
    readers : dict
        For each task that runs again, the tasks that wait for its value.
    """

    def __init__(
        self,
        values: ResultStore,
        stages: Sequence[StageState],
        inputs: Callable[[int], Sequence[Edge]],
    ) -> None:
        self.readers: dict[TaskKey, set[TaskKey]] = {}
        self._values = values
        self._stages = stages
        self._inputs = inputs
        self._runs: Counter[TaskKey] = Counter()
        # The tasks that run again though all their readers were complete, by the tasks that read them once more.
        self._borrowed: dict[TaskKey, set[TaskKey]] = {}

    def begin(self, reader: TaskKey, lost: ValueHandle) -> bool:
        """Have the task run again that made the ``lost`` value, and ``reader`` after it; return False if it cannot."""
        key = next((k for k in self._producers(reader) if self._values.get(*k) == lost), None)
        if key is None:  # It has come back meanwhile.
            self._push(reader)
            return True
        if key not in self.readers:
            needed = self._needed(key)
            if needed is None:
                return False
            for task in needed:
                self._runs[task] += 1
            self._run(key)
        self.readers[key].add(reader)
        return True

    def complete(self, key: TaskKey, value: Any) -> bool:
        """Take in the value of a completed task; return False if it did not run for a lost value."""
        readers = self.readers.pop(key, None)
        if readers is None:
            return False
        self._values.replace(*key, value)
        for reader in readers:
            if not any(reader in others for others in self.readers.values()):
                self._push(reader)
        for producer in list(self._producers(key)):
            borrowers = self._borrowed.get(producer)
            if borrowers is not None:
                borrowers.discard(key)
                if not borrowers:
                    del self._borrowed[producer]
                    self._values.drop(producer[0], producer[1:])
        return True

    def runs(self, position: int) -> bool:
        """Return whether tasks of a stage run again."""
        return any(stage == position for stage, _ in self.readers)

    def _needed(self, key: TaskKey) -> list[TaskKey] | None:
        """Return the tasks that have to run for the value of ``key``; None if one of them must not, or not again."""
        needed: dict[TaskKey, None] = {key: None}
        for task in (waiting := [key]):
            stage = self._stages[task[0]]
            if not stage.keeps_values or not stage.stage.idempotent:
                return None
            if self._runs[task] >= MOST_RUNS or any(read.item for read in stage.stage.reads):
                return None
            for producer in self._missing(task):
                if producer not in needed and producer not in self.readers:
                    needed[producer] = None
                    waiting.append(producer)
        return list(needed)

    def _run(self, key: TaskKey) -> None:
        """Have a task run again, after those whose values it lacks."""
        self.readers[key] = set()
        missing = list(self._missing(key))
        for producer in missing:
            if producer not in self.readers:
                self._run(producer)
            self.readers[producer].add(key)
            self._borrowed.setdefault(producer, set()).add(key)
        if not missing:
            self._push(key)

    def _push(self, key: TaskKey) -> None:
        position, task = key
        stage = self._stages[position]
        stage.task_records.setdefault(task, TaskRecord())
        stage.readiness.queue.push_first(task)

    def _producers(self, key: TaskKey) -> Iterator[TaskKey]:
        position, task = key
        for edge in self._inputs(position):
            for run in edge.producers(task):
                for producer in run:
                    yield edge.producer, producer

    def _missing(self, key: TaskKey) -> Iterator[TaskKey]:
        """Iterate over the tasks that a task reads whose values have been deleted."""
        for producer in self._producers(key):
            stage = self._stages[producer[0]]
            deleted = not self._values.has(*producer) if stage.keeps_values else stage.references
            if deleted:
                yield producer
