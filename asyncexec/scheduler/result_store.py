"""The values of value stages, kept until every reader is complete: here, or by their handles where they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from asyncexec.errors import StageSizeError
from asyncexec.events.outcome import ItemOf, Many, ValueHandle
from asyncexec.plan.items import as_sequence
from asyncexec.plan.stage import Items, Read, Stage
from asyncexec.scheduler.value_account import ValueAccount
from asyncexec.worker.attempt import decode
from asyncexec.worker.values import DiscardingStore

if TYPE_CHECKING:
    from asyncexec.events.outcome import Outcome
    from asyncexec.scheduler.graph import Edge
    from asyncexec.worker.values import ValueStore


class TaskJournal(Protocol):
    """A journal of completed tasks (see :class:`asyncexec.storage.values.value_journal.ValueJournal`)."""

    def done(self, stage: str, tasks: int, /) -> Sequence[range]:
        """Return the tasks of a stage that an earlier run has completed."""
        ...

    def forget(self, stage: str, /) -> None:
        """Take nothing of a stage for complete."""
        ...

    def has(self, stage: str, task: int, /) -> bool:
        """Return whether an earlier run has completed a task."""
        ...

    def get(self, stage: str, task: int, /) -> Any:
        """Return its value; KeyError where there is none."""
        ...

    def put(self, stage: str, task: int, value: Any, /) -> None:
        """Note that a task is complete, soon."""
        ...

    @property
    def error(self) -> Exception | None:
        """The reason why nothing more can be noted."""
        ...


class _Journaled(dict[int, Any]):
    """The values of a stage's tasks: those of this run, and else those in the journal."""

    def __init__(self, journal: TaskJournal, stage: str) -> None:
        super().__init__()
        self._journal = journal
        self._stage = stage

    def __missing__(self, task: int) -> Any:
        return self._journal.get(self._stage, task)

    def __contains__(self, task: object) -> bool:
        return super().__contains__(task) or self._journal.has(self._stage, cast("int", task))


class ResultStore:
    """Outputs of value stages, by stage position and task.

    Parameters
    ----------
    stages : sequence of Stage
    returned : sequence of str
        Names of those whose values are the run's result.
    kept : sequence of str
        Names of those whose values are kept as well, for :meth:`take`.
    store : ValueStore, optional
        Where the values are that did not come here; each is deleted there once, when nothing needs it any more.
    journal : TaskJournal, optional
        Has the values of tasks that an earlier run completed.
    account : ValueAccount, optional
        Has those of all runs of the engine.

    Attributes
    ----------
    has_missing : bool
        Whether the value of any task is missing.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        returned: Sequence[str],
        store: ValueStore | None = None,
        *,
        kept: Sequence[str] = (),
        account: ValueAccount | None = None,
        journal: TaskJournal | None = None,
    ) -> None:
        self._store = store
        self.account = account or ValueAccount()
        self._journal = journal
        self._returned = returned
        self._stages = stages
        self._positions = {stage.name: i for i, stage in enumerate(stages)}
        self._results: dict[int, list[Any]] = {
            i: [None] * stage.tasks
            for i, stage in enumerate(stages)
            if stage.name in returned or stage.name in kept
        }
        read = {r.stage for stage in stages for r in stage.reads}
        read.update(name for stage in stages for name in stage.waits_for)
        self._kept: list[dict[int, Any] | list[Any] | None] = [
            self._results.get(i, self._kept_while_read(stage) if stage.name in read else None)
            if stage.holds_values
            else None
            for i, stage in enumerate(stages)
        ]
        self._items: dict[int, Sequence[Any]] = {}
        # Those whose order may be another when they are computed again.
        self._unordered: dict[int, None] = {}
        self.has_missing = False

    def put(self, position: int, task: int, value: Any) -> None:
        """Keep the value of a completed task, if it is part of the result or a stage reads it."""
        kept = self._kept[position]
        if kept is not None:
            kept[task] = value
            if type(value) is ValueHandle:
                self.account.add(value)
        elif type(value) is ValueHandle:
            # Nobody reads it, and it is no part of the result: the worker has kept it in vain.
            self.delete([value])

    def has(self, position: int, task: int) -> bool:
        """Return whether the value of a task is there, or its handle."""
        kept = self._kept[position]
        return kept is not None and (isinstance(kept, list) or task in kept)

    def get(self, position: int, task: int) -> Any:
        """Return the value of a task as it is kept; None where it is not."""
        kept = self._kept[position]
        if kept is None:
            return None
        return kept[task] if isinstance(kept, list) or task in kept else None

    def restore(self, position: int, tasks: Iterable[int]) -> None:
        """Take in the values of tasks that an earlier run has completed, as far as they are part of the result.

        Those that are only read stay in the journal until they are.
        """
        kept = self._kept[position]
        if self._journal is not None and isinstance(kept, list):
            for task in tasks:
                kept[task] = self._journal.get(self._stages[position].name, task)

    def _kept_while_read(self, stage: Stage) -> dict[int, Any]:
        return {} if self._journal is None else _Journaled(self._journal, stage.name)

    def tasks(self) -> Iterator[tuple[int, int]]:
        """Iterate over all tasks whose values are there, as stage and task."""
        for position, stage in enumerate(self._stages):
            yield from ((position, t) for t in range(stage.tasks) if self.has(position, t))

    def gives_items_again(self, stage: str) -> bool:
        """Return whether the items of a stage's value are in the same order when it is computed again."""
        return self._positions[stage] not in self._unordered

    def replace(self, position: int, task: int, value: Any) -> None:
        """Keep another value of a task, instead of one that was lost."""
        # The lost one, so that its store does not go on counting it.
        self.delete([self.get(position, task)])
        if self._journal is not None:
            self._journal.put(self._stages[position].name, task, value)
        self.put(position, task, value)

    def delete(self, values: Iterable[Any]) -> None:
        """Delete those of ``values`` that are kept elsewhere."""
        if self._store is not None:
            handles = [value for value in values if type(value) is ValueHandle]
            if handles:
                self.account.remove(handles)
                self._store.delete(handles)

    def discard(self, outcome: Outcome) -> None:
        """Delete what an attempt may have left that was lost or cancelled while it ran."""
        # Its handle never came, so that only the attempt's id says what it may have left.
        if isinstance(self._store, DiscardingStore) and outcome.started:
            self._store.discard([outcome.attempt])

    def close(self) -> None:
        """Delete all values that are kept elsewhere; the run has ended, and its result has been collected."""
        for position, kept in enumerate(self._kept):
            if kept is not None:
                self.delete(kept.values() if isinstance(kept, dict) else kept)
                self._kept[position] = None

    def drop(self, position: int, tasks: Sequence[int] | None) -> None:
        """Drop the values of ``tasks`` (of all, for None) unless they are part of the result."""
        if tasks is None:
            self._items.pop(position, None)
        kept = self._kept[position]
        if not isinstance(kept, dict):
            return
        if tasks is None:
            self.delete(kept.values())
            kept.clear()
        elif self._store is None:
            for task in tasks:
                kept.pop(task, None)
        else:
            self.delete([kept.pop(task, None) for task in tasks])

    def value(self, position: int) -> Any:
        """Return the decoded value of a complete stage; a list of its tasks' values where it has an axis.

        May be called in a thread: nothing is dropped while a stage waits for it.
        """
        kept = self._kept[position]
        if kept is None:
            return None
        shape = self._stages[position].shape
        if not shape:
            return decode(kept[0], self._store)
        return [decode(kept[task], self._store) for task in range(math.prod(shape))]

    def size(self, position: int, stage: Stage, values: Mapping[str, Any]) -> None:
        """Make room for the values of a late stage whose size is known now, and keep the items that it reads.

        ``values`` are those of the stages it waited for. May be called in a thread.
        """
        self._stages = [*self._stages[:position], stage, *self._stages[position + 1 :]]
        if position in self._results:
            self._results[position].extend([None] * (stage.tasks - len(self._results[position])))
        for read in stage.reads:
            if read.item and read.stage in values:
                value, read_from = values[read.stage], self._positions[read.stage]
                items = self._items[read_from] = as_sequence(value)
                if items is not value:
                    self._unordered[read_from] = None
                    _check_length(stage.name, read.stage, value, items)

    def grow(self, position: int, tasks: int) -> None:
        """Make room for the values of further tasks of a stage that grows."""
        if position in self._results:
            self._results[position].extend([None] * tasks)

    def hand_over(self, position: int) -> None:
        """Keep the values of a stage that no stage reads until each is popped."""
        self._kept[position] = self._kept_while_read(self._stages[position])

    def pop(self, position: int, task: int) -> Any:
        """Return the value of a task as it is kept, and forget it; what is kept elsewhere is not deleted."""
        kept = self._kept[position]
        if not isinstance(kept, dict):
            return None
        return (
            kept[task]
            if isinstance(kept, _Journaled) and not dict.__contains__(kept, task)
            else kept.pop(task)
        )

    def open(self, value: Any) -> Any:
        """Return a value that was popped, decoded, and delete it where it was kept; it may block."""
        opened = decode(value, self._store)
        self.delete((value,))
        return opened

    def results(self) -> dict[str, list[Any]]:
        """Return the values of the returned stages, by stage name; it may block."""
        return {
            name: [decode(value, self._store) for value in self._results[self._positions[name]]]
            for name in self._returned
        }

    def take(self, names: Iterable[str]) -> dict[str, list[Any]]:
        """Return the values of these stages as they are kept, by stage name; the caller deletes them from now on."""
        taken: dict[str, list[Any]] = {}
        for name in names:
            position = self._positions[name]
            taken[name] = self._results.pop(position)
            # So that `close` does not delete what belongs to the caller now.
            self._kept[position] = None
        return taken

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
        if kept is None:
            return _nothing  # an array stage: its readers read from storage
        if read.item:
            items = self._items
            # The items are gone where the value was computed again, for a task that runs again.
            return lambda task: (
                items[position][task] if position in items else ItemOf(kept[0], task)
            )
        if edge.identical and not read.many:
            return kept.__getitem__
        if read.many:
            return lambda task: Many(tuple(kept[p] for run in edge.producers(task) for p in run))
        return lambda task: kept[next(edge.producers(task))[0]]


def _check_length(stage: str, name: str, value: Sequence[Any], items: Sequence[Any]) -> None:
    if len(value) != len(items):
        raise StageSizeError(
            f"stage {stage!r} maps over items: the value of {name!r}, of type {type(value).__name__}, has the length "
            f"{len(value)} and gives {len(items)} items: have {name!r} return a list of what is to be gone through"
        )


def _no_inputs(task: int) -> tuple[Any, ...]:  # noqa: ARG001 - the form of every reader
    return ()


def _nothing(task: int) -> None:  # noqa: ARG001 - the form of every source
    return None
