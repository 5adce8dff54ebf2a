"""Tasks that run again because what they had put out was lost or damaged, for the tasks that read it.

The same for values and for chunks. No completion is taken back: such a task stays complete for readiness, figures and
the tasks that have read its output already. It runs once more besides, its new output takes the place of the lost one,
and the tasks that waited for it are ready again. What it reads itself may have been freed meanwhile, after its last
reader: then the tasks that made that run again first, and their output goes as soon as it has been read once more.
In a run that was resumed, they may not be complete yet: then it waits until they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from asyncexec.events.outcome import chunks_of
from asyncexec.scheduler.stage import StageState, TaskRecord
from asyncexec.worker.attempt import lost_by

if TYPE_CHECKING:
    from asyncexec.errors import CorruptChunkError, ValueLostError
    from asyncexec.events.outcome import ValueHandle
    from asyncexec.scheduler.outputs import Outputs, TaskKey

MOST_RUNS = 3
"""The number of times that one task runs again for its output; what is lost more often is not kept well."""

NO_TASK: TaskKey = (-1, -1)
"""Waits for an output in place of a task: the run itself, which finds the size of a stage by it, or returns it."""

NOT_MADE_HERE = "no task of this plan makes it"


class Recovery:
    """The lost outputs of one run.

    Parameters
    ----------
    outputs : Outputs
    stages : sequence of StageState
        The stages of the run, as they are at any time.

    Attributes
    ----------
    readers : dict
        For each task that others wait for, because it runs again or is not complete, these others.
    send : callable
        ``send(tasks, lost, now)`` has these tasks sent, which run again; set by the run.
    """

    def __init__(
        self,
        outputs: Outputs,
        stages: Sequence[StageState],
    ) -> None:
        self.readers: dict[TaskKey, set[TaskKey]] = {}
        self.send: Callable[[Sequence[TaskKey], ValueHandle, float], None] = _nothing
        self._outputs = outputs
        self._stages = stages
        # Dictionaries throughout, which cost nothing while they are empty: every run has this, and few need it.
        self._runs: dict[TaskKey, int] = {}
        # How many outputs each waiting task waits for.
        self._lacks: dict[TaskKey, int] = {}
        # Those of `readers` that are waited for because they are not complete, and do not run again. A dictionary: the
        # garbage collector goes through empty sets, but (before Python 3.14) not through empty dictionaries.
        self._awaited: dict[TaskKey, None] = {}
        self._made_at: dict[TaskKey, float] = {}
        # The tasks whose output must not be freed yet, by those that read it once more; and those that then can be.
        self._held: dict[TaskKey, set[TaskKey]] = {}
        self._freed_later: dict[TaskKey, None] = {}

    def begin(
        self, reader: TaskKey, lost: ValueHandle, *, sent_at: float = math.inf, now: float = 0.0
    ) -> str:
        """Have the tasks run again that made what is ``lost``, and ``reader`` after them.

        ``sent_at`` is the time when the attempt was sent that found it lost: what was made since is not made again.

        Returns why that cannot be; nothing where it can.
        """
        # By the output, not by the reader's index: a reader of many tasks does not say which of them it lacked.
        makers = self._outputs.makers(lost, lambda: self._near(reader))
        if makers is None:
            return NOT_MADE_HERE
        keys = [key for key in makers if self._made_at.get(key, -math.inf) <= sent_at]
        needed = dict.fromkeys(
            key for key in keys if key not in self.readers and self._outputs.complete(*key)
        )
        if why_not := self._add_needed(needed):
            return why_not
        # Counted when nothing stands in the way any more: a refusal must not use up a run.
        self._runs.update({key: self._runs.get(key, 0) + 1 for key in needed})
        for task in needed:
            self.readers[task] = set()
        for task in needed:
            self._prepare(task)
        for key in keys:
            self._wait(reader, key)
        if reader not in self._lacks:  # It has come back meanwhile.
            self._push(reader)
        if needed:
            self.send(list(needed), lost, now)
        return ""

    def reopen(self, lost: ValueLostError | CorruptChunkError, now: float = 0.0) -> bool:
        """Have an output made again that the run itself found lost; return False, and say why, if that cannot be."""
        handle = lost_by(lost)
        why_not = self.begin(NO_TASK, handle, now=now)
        if why_not:
            lost.add_note(f"It is not {done_again(handle)}: {why_not}.")
        return not why_not

    def complete(self, key: TaskKey, value: Any, now: float = 0.0) -> bool:
        """Take in the output of a completed task; return False if it did not run again for it."""
        readers = self.readers.pop(key, None)
        if readers is None:
            return False
        again = key not in self._awaited
        self._awaited.pop(key, None)
        if again:
            self._outputs.replace(key, value)
            self._made_at[key] = now
        for reader in readers:
            self._lacks[reader] -= 1
            if not self._lacks[reader]:
                del self._lacks[reader]
                self._push(reader)
        if again:
            self._let_go(key)
        return again

    def free(self, position: int, tasks: Sequence[int] | None) -> None:
        """Free the outputs of these tasks (of all, for None), which no task reads any more but to run again."""
        if self._held and any(stage == position for stage, _ in self._held):
            tasks = self._not_held(position, tasks)
        self._outputs.free(position, tasks)

    def _not_held(self, position: int, tasks: Sequence[int] | None) -> Sequence[int]:
        """Return those of ``tasks`` (all, for None) that can be freed; others are after they have been read again."""
        among = range(self._stages[position].tasks) if tasks is None else tasks
        self._freed_later.update(
            ((position, t), None) for t in among if (position, t) in self._held
        )
        return [t for t in among if (position, t) not in self._held]

    def runs(self, position: int) -> bool:
        """Return whether tasks of a stage run again, or wait for others to do so."""
        if not (self.readers or self._lacks):
            return False
        return any(stage == position for stage, _ in self.readers) or any(
            stage == position for stage, _ in self._lacks
        )

    def _near(self, reader: TaskKey) -> Iterator[TaskKey]:
        return self._producers(reader) if reader != NO_TASK else self._outputs.values.tasks()

    def _add_needed(self, needed: dict[TaskKey, None]) -> str:
        """Add the tasks that have to run for those in ``needed``; return why one of them must not, if so."""
        # The list grows while it is read: what a task needs may have been freed as well.
        for task in (waiting := list(needed)):
            if why_not := self._obstacle(task):
                return why_not
            for producer in self._producers(task):
                if producer in needed or producer in self.readers or self._outputs.has(producer):
                    continue
                if self._outputs.complete(*producer):
                    needed[producer] = None
                    waiting.append(producer)
        return ""

    def _obstacle(self, task: TaskKey) -> str:
        stage = self._stages[task[0]]
        name = f"stage {stage.name!r}"
        if not stage.stage.idempotent:
            return f"tasks of {name} must not run twice"
        if self._runs.get(task, 0) >= MOST_RUNS:
            what = "value" if stage.keeps_values else "chunks"
            return (
                f"task {task[1]} of {name} has run again {MOST_RUNS} times for its {what}, which the place where they "
                f"are kept loses or damages each time"
            )
        if stage.rows is not None:
            return f"{name} reads items of a generator, which cannot be read again"
        gives_again = self._outputs.values.gives_items_again
        if not all(gives_again(r.stage) for r in stage.stage.reads if r.item):
            return f"{name} reads items of a value without an order"
        return ""

    def _prepare(self, key: TaskKey) -> None:
        """Have a task run again, after those whose output it lacks."""
        for producer in self._producers(key):
            has = self._outputs.has(producer)
            if self._outputs.may_be_freed(producer[0]):
                self._held.setdefault(producer, set()).add(key)
                if not has:
                    self._freed_later[producer] = None
            if producer in self.readers or not self._outputs.complete(*producer):
                self._wait(key, producer)
        if key not in self._lacks:
            self._push(key)

    def _wait(self, reader: TaskKey, key: TaskKey) -> None:
        """Have ``reader`` wait for the output of a task that runs again, or is not complete."""
        if key not in self.readers:
            self.readers[key] = set()
            self._awaited[key] = None
        if reader not in self.readers[key]:
            self.readers[key].add(reader)
            self._lacks[reader] = self._lacks.get(reader, 0) + 1

    def _let_go(self, key: TaskKey) -> None:
        """Free what a task has read once more, and nothing else reads."""
        for producer in list(self._producers(key)):
            readers = self._held.get(producer)
            if readers is None:
                continue
            readers.discard(key)
            if not readers:
                del self._held[producer]
                if producer in self._freed_later:
                    del self._freed_later[producer]
                    self._outputs.free(producer[0], producer[1:])

    def _push(self, key: TaskKey) -> None:
        if key == NO_TASK:
            return
        position, task = key
        stage = self._stages[position]
        stage.task_records.setdefault(task, TaskRecord())
        stage.readiness.queue.push_first(task)

    def _producers(self, key: TaskKey) -> Iterator[TaskKey]:
        position, task = key
        for edge in self._stages[position].reads:
            for run in edge.producers(task):
                for producer in run:
                    yield edge.producer, producer


def done_again(lost: ValueHandle) -> str:
    """Return what a value, or chunks, are when they are there again, as a message says it."""
    return "computed again" if chunks_of(lost) is None else "made again"


def lost_text(lost: ValueHandle) -> str:
    """Return what is lost, as a sentence."""
    chunks = chunks_of(lost)
    if chunks is None:
        return "its value is gone from where it was kept"
    if len(chunks) == 1:
        return f"chunk {chunks[0]} of {lost.place} is damaged or gone"
    return f"{len(chunks)} chunks of {lost.place} are damaged or gone, among them {chunks[0]}"


def reading_lost(lost: ValueHandle) -> str:
    """Return why a task has to wait that reads what is lost."""
    if chunks_of(lost) is None:
        return "a value that it reads was lost, and is computed again"
    return f"{lost_text(lost)}, which it reads: made again"


def _nothing(tasks: Sequence[TaskKey], lost: ValueHandle, now: float) -> None:
    """Send nothing: there is no run yet."""
