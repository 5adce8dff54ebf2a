"""Tasks that run again because their values were lost, for the tasks that read them.

No completion is taken back: such a task stays complete for readiness, figures and the tasks that have read its value
already. It runs once more besides, its new value takes the place of the lost one, and the tasks that waited for
it are ready again. What it reads itself may have been deleted meanwhile, after its last reader: then the tasks that
made that run again first, and their values go as soon as they have been read once more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from asyncexec.scheduler.stage import StageState, TaskRecord

if TYPE_CHECKING:
    from asyncexec.errors import ValueLostError
    from asyncexec.scheduler.graph import Edge
    from asyncexec.scheduler.result_store import ResultStore

type TaskKey = tuple[int, int]
"""A task by the position of its stage and its own."""

MOST_RUNS = 3
"""The number of times that one task runs again for its value; what is lost more often is not kept well."""

NO_TASK: TaskKey = (-1, -1)
"""Waits for a value in place of a task: the run itself, which finds the size of a stage by it, or returns it."""


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
    send : callable
        Has tasks of these stages sent; set by the run.
    """

    def __init__(
        self,
        values: ResultStore,
        stages: Sequence[StageState],
        inputs: Callable[[int], Sequence[Edge]],
    ) -> None:
        self.readers: dict[TaskKey, set[TaskKey]] = {}
        self.send: Callable[[Iterable[StageState]], None] = _nothing
        self._values = values
        self._stages = stages
        self._inputs = inputs
        self._runs: Counter[TaskKey] = Counter()
        # The tasks that run again though all their readers were complete, by the tasks that read them once more.
        self._borrowed: dict[TaskKey, set[TaskKey]] = {}

    def begin(self, reader: TaskKey, lost: object) -> str:
        """Have the task run again that made the ``lost`` value, and ``reader`` after it.

        Returns why that cannot be; nothing where it can.
        """
        # By the value, not by the reader's index: a reader of many tasks does not say which of them it lacked.
        near = self._producers(reader) if reader != NO_TASK else self._values.tasks()
        key = next((k for k in near if self._values.get(*k) == lost), None)
        if key is None:  # It has come back meanwhile.
            self._push(reader)
            return ""
        if key not in self.readers:
            needed: dict[TaskKey, None] = {key: None}
            if why_not := self._add_needed(needed):
                return why_not
            # Counted when nothing stands in the way any more: a refusal must not use up a run.
            for task in needed:
                self._runs[task] += 1
            self._run(key)
            self.send(self._stages[position] for position in {p for p, _ in self.readers})
        self.readers[key].add(reader)
        return ""

    def reopen(self, lost: ValueLostError) -> bool:
        """Have a value computed again that the run itself found lost; return False, and say why, if that cannot be."""
        why_not = self.begin(NO_TASK, lost.handle)
        if why_not:
            lost.add_note(f"It is not computed again: {why_not}.")
        return not why_not

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

    def _add_needed(self, needed: dict[TaskKey, None]) -> str:
        """Add the tasks that have to run for those in ``needed``; return why one of them must not, if so."""
        # The list grows while it is read: what a task needs may have been deleted as well.
        for task in (waiting := list(needed)):
            if why_not := self._obstacle(task):
                return why_not
            for producer in self._missing(task):
                if producer not in needed and producer not in self.readers:
                    needed[producer] = None
                    waiting.append(producer)
        return ""

    def _obstacle(self, task: TaskKey) -> str:
        stage = self._stages[task[0]]
        name = f"stage {stage.name!r}"
        if not stage.keeps_values:
            return f"the chunks of {name} that it was made of have been deleted"
        if not stage.stage.idempotent:
            return f"tasks of {name} must not run twice"
        if self._runs[task] >= MOST_RUNS:
            return f"task {task[1]} of {name} has run again {MOST_RUNS} times for its value"
        if stage.rows is not None:
            return f"{name} reads items of a generator, which cannot be read again"
        if not all(self._values.gives_items_again(r.stage) for r in stage.stage.reads if r.item):
            return f"{name} reads items of a value without an order"
        return ""

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
        if key == NO_TASK:
            return
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


def _nothing(stages: Iterable[StageState]) -> None:
    """Send nothing: there is no run yet."""
