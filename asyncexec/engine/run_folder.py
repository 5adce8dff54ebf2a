"""The folder of a run's values, on the driver."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from asyncexec.events.outcome import ValueHandle
    from asyncexec.storage.workspace.work_dir import WorkPlace
    from asyncexec.worker.placed_values import PlacedValues
    from asyncexec.worker.values import PickledValue


class RunFolder:
    """The folder of a run's values, as the driver uses it: a store, and the end of the folder.

    Parameters
    ----------
    place : WorkPlace
    values : PlacedValues
        Those in the folder; the workers' side.
    keeps : bool
        Whether nothing is deleted before the end, because a further run may read it.
    """

    def __init__(self, place: WorkPlace, values: PlacedValues, *, keeps: bool) -> None:
        self._place = place
        self._values = values
        self._keeps = keeps
        self._held: set[ValueHandle] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="asyncexec-values")

    def __reduce__(self) -> tuple[Callable[[PlacedValues], PlacedValues], tuple[PlacedValues]]:
        return _same, (self._values,)  # The workers' side.

    def put(self, attempt: int, value: PickledValue, /) -> ValueHandle | None:
        """Keep a value as a worker does."""
        return self._values.put(attempt, value)

    def get(self, handle: ValueHandle, /) -> Any:
        """Return the value."""
        return self._values.get(handle)

    def delete(self, handles: Collection[ValueHandle], /) -> None:
        """Delete these values, soon; nothing before the end of a run that may be resumed."""
        if self._held is not None:
            self._held.difference_update(handles)
            if not self._held:
                self._remove()
        elif not self._keeps:
            self._thread.submit(self._values.delete, handles)

    def close(self, *, stays: bool, held: Collection[ValueHandle]) -> None:
        """Remove the folder, once no value is held that is in it; or let it stay for a further run."""
        self._thread.shutdown()
        if stays:
            self._keeps = True
            self._place.release()
            return
        self._held = set(held)
        if not held:
            self._remove()

    def _remove(self) -> None:
        self._place.remove()


def _same(values: PlacedValues) -> PlacedValues:
    return values
