"""The values of a run's stages by name: those that it returned, and those that stay where they are until asked for."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from asyncexec.errors import ValueLostError
from asyncexec.events.outcome import ValueHandle
from asyncexec.worker.attempt import decode

if TYPE_CHECKING:
    from asyncexec.scheduler.value_account import ValueAccount
    from asyncexec.worker.values import ValueStore


class StageValues(Mapping[str, Any]):
    """The values of a run's stages; those that the plan ``keeps`` are opened each time they are asked for.

    A stage with an axis has the list of its tasks' values. What is kept is deleted by :meth:`close`, with this object,
    or when the engine closes, whichever comes first. Large values may take a while to open; a coroutine calls
    ``await asyncio.to_thread(result.values.get, "name")`` where that matters.

    >>> first = ax.Plan.map(abs, [-1, 2])
    >>> plan = first.reduce(sum)
    >>> result = ax.sync.execute(ax.Plan(plan.stages, keeps=first.returns))
    >>> result.value, result.values["abs"], sorted(result.values)
    (3, [1, 2], ['abs', 'sum'])

    Parameters
    ----------
    returned : mapping of str to object
        The values that are here already.
    kept : mapping of str to list
        The values of the tasks of other stages, as they are kept.
    single : collection of str
        The stages without an axis.
    store : ValueStore or None
        Where those are that have handles.
    account : ValueAccount
        Has them, as long as they are kept.
    """

    def __init__(
        self,
        returned: Mapping[str, Any],
        kept: Mapping[str, Sequence[Any]],
        single: Collection[str],
        store: ValueStore | None,
        account: ValueAccount,
    ) -> None:
        self._returned = dict(returned)
        self._kept = dict(kept)
        self._single = single
        self._store = store
        handles = [v for values in kept.values() for v in values if type(v) is ValueHandle]
        self._delete = None
        if store is not None and handles:
            self._delete = weakref.finalize(self, _delete, handles, store, account)
            self._delete.atexit = False  # What is left then, the engine has deleted or nobody can.

    def __getitem__(self, stage: str) -> Any:
        """Return the value of a stage.

        Raises
        ------
        KeyError
            If the plan neither returns nor keeps it.
        ValueLostError
            If it is gone, because the result or the engine is closed, or its worker has died.
        """
        if stage in self._returned:
            return self._returned[stage]
        values = [self._open(value) for value in self._kept[stage]]
        return values[0] if stage in self._single else values

    def task(self, stage: str, task: int) -> Any:
        """Return the value of one task of a stage, without opening the others; raises as looking up a stage does."""
        if stage in self._returned:
            value = self._returned[stage]
            return value if stage in self._single else value[task]
        return self._open(self._kept[stage][task])

    def __iter__(self) -> Iterator[str]:
        yield from self._returned
        yield from self._kept

    def __len__(self) -> int:
        return len(self._returned) + len(self._kept)

    def load(self) -> None:
        """Open all that is kept, and have it here from now on, also when the engine has closed; it may block."""
        self._returned |= {name: self[name] for name in self._kept}
        self._kept.clear()
        self.close()

    def close(self) -> None:
        """Delete what is kept elsewhere; what is here stays."""
        if self._delete is not None:
            self._delete()

    def _open(self, value: Any) -> Any:
        if type(value) is ValueHandle and (self._delete is None or not self._delete.alive):
            raise ValueLostError(
                "this value was deleted when the result, or the engine that ran the plan, was closed: open it before",
                value,
            )
        return decode(value, self._store)

    def __repr__(self) -> str:
        return f"<StageValues of {', '.join(map(repr, self))}>"


def _delete(handles: Sequence[ValueHandle], store: ValueStore, account: ValueAccount) -> None:
    account.remove(handles)
    store.delete(handles)
