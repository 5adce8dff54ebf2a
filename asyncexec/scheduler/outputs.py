"""The outputs of the tasks of a run: values in the result store, chunks in the workspace; by stage and task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from asyncexec.events.outcome import chunks_of

if TYPE_CHECKING:
    from asyncexec.events.outcome import ValueHandle
    from asyncexec.plan.workspace import OpenWorkspace
    from asyncexec.scheduler.result_store import ResultStore
    from asyncexec.scheduler.stage import StageState

type TaskKey = tuple[int, int]
"""A task by the position of its stage and its own."""


class Outputs:
    """The outputs of all tasks of one run.

    Parameters
    ----------
    values : ResultStore
    stages : sequence of StageState
        The stages of the run, as they are at any time.
    workspace : OpenWorkspace or None
    completed : CompletedTasks or None
        Of a run that was resumed: in others, what a task reads is complete when the task has run.
    """

    def __init__(
        self,
        values: ResultStore,
        stages: Sequence[StageState],
        workspace: OpenWorkspace | None,
        completed: CompletedTasks | None,
    ) -> None:
        self.values = values
        self._completed = completed
        self._stages = stages
        self._workspace = workspace

    def complete(self, position: int, task: int) -> bool:
        """Return whether a task is complete, of which an output was found lost, or which another task reads."""
        return self._completed is None or self._completed.has(position, task)

    def makers(
        self, lost: ValueHandle, near: Callable[[], Iterable[TaskKey]]
    ) -> list[TaskKey] | None:
        """Return the tasks that put out what is lost; None where no task of the plan does.

        Parameters
        ----------
        lost : ValueHandle
            Of a value, or of chunks.
        near : callable
            Returns the tasks among which those of a value are; none is, where it has come back meanwhile.
        """
        chunks = chunks_of(lost)
        if chunks is None:
            # By its handle: one that has come back meanwhile has another, and nothing is to be done for it.
            return [key for key in near() if self.values.get(*key) == lost][:1]
        if self._workspace is None:
            return None
        positions = {stage.name: stage.position for stage in self._stages}
        found = self._workspace.writers(lost.place, chunks)
        return [(positions[stage], task) for stage, task in found] or None

    def has(self, key: TaskKey) -> bool:
        """Return whether the output of a complete task has not been freed."""
        position, task = key
        stage = self._stages[position]
        if stage.keeps_values:
            return self.values.has(position, task)
        return self._workspace is None or self._workspace.holds(stage.name, task)

    def may_be_freed(self, position: int) -> bool:
        """Return whether outputs of a stage are freed while the run lasts."""
        stage = self._stages[position]
        return stage.keeps_values or stage.references is not None

    def replace(self, key: TaskKey, value: Any) -> None:
        """Take in the value of a task that has run again; chunks are in their place already."""
        if self._stages[key[0]].keeps_values:
            self.values.replace(*key, value)

    def free(self, position: int, tasks: Sequence[int] | None) -> None:
        """Free the outputs of these tasks (of all, for None), which no task reads any more."""
        stage = self._stages[position]
        if stage.keeps_values:
            self.values.drop(position, tasks)
        elif self._workspace is not None:
            self._workspace.release(stage.name, range(stage.tasks) if tasks is None else tasks)


class CompletedTasks:
    """The tasks that are complete, one byte each, of a run that was resumed.

    Parameters
    ----------
    done : sequence of sequences of range
        By stage: the tasks that were complete when the run began.
    """

    def __init__(self, done: Sequence[Sequence[range]]) -> None:
        self._stages = [bytearray() for _ in done]
        for position, runs in enumerate(done):
            self.take(position, runs)

    def take(self, position: int, runs: Iterable[range]) -> None:
        """Add runs of tasks."""
        for run in runs:
            self._reach(position, run.stop)
            self._stages[position][run.start : run.stop] = b"\x01" * len(run)

    def add(self, position: int, task: int) -> None:
        """Add one task."""
        self._reach(position, task + 1)
        self._stages[position][task] = 1

    def has(self, position: int, task: int) -> bool:
        """Return whether a task is complete."""
        stage = self._stages[position]
        return task < len(stage) and bool(stage[task])

    def _reach(self, position: int, tasks: int) -> None:
        stage = self._stages[position]
        if len(stage) < tasks:
            # Twice as many, so that tasks that come one by one cost no more than all at once.
            stage.extend(bytes(max(tasks, 2 * len(stage)) - len(stage)))
