"""Values that stay near the workers: what a store of them does, and which of a stage's values go there."""

from __future__ import annotations

import pickle
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from asyncexec.events.outcome import Encoded, ValueHandle
from asyncexec.worker.pickling import pickle_value
from asyncexec.worker.value_layout import layout_bytes

THRESHOLD_BYTES = 64_000
"""Values of this size and more are kept, where nobody says otherwise."""

_SMALL = frozenset({type(None), bool, int, float})
dumps, new = pickle.dumps, tuple.__new__


class PickledValue(NamedTuple):
    """A value as its pickle, and the big buffers (arrays) that it is made of, which the pickle refers to."""

    data: bytes
    buffers: Sequence[memoryview]

    @property
    def nbytes(self) -> int:
        """The bytes that it takes in one piece (see :mod:`~asyncexec.worker.value_layout`)."""
        return layout_bytes(self.data, self.buffers)


class ValueStore(Protocol):
    """Keeps the values of tasks under handles, which the driver holds instead of the values.

    A value belongs to the backend until the outcome with its handle is reported, and then to the run, which deletes it
    when its last reader is complete. What nobody has deleted goes when the backend's context is left.

    A store goes to the workers with the program of each stage of values: what it is there, its pickle says.
    """

    def put(self, attempt: int, value: PickledValue, /) -> ValueHandle | None:
        """Keep the value that ``attempt`` has returned; None where this worker cannot, so that the value travels.

        Called on a worker.

        Raises
        ------
        OutOfSpaceError
            If there is no room for it.
        """
        ...

    def get(self, handle: ValueHandle, /) -> Any:
        """Return the value; it may block, and is called in any thread, of workers and of the driver.

        What its reader changes in it is changed for nobody else.

        Raises
        ------
        ValueLostError
            If the value is gone.
        """
        ...

    def delete(self, handles: Collection[ValueHandle], /) -> None:
        """Delete these values, soon; called on the driver, in any thread, and returns at once."""
        ...


@runtime_checkable
class SpillingStore(Protocol):
    """The further member of a store that has a place on disk besides the one in memory."""

    def spill(self, now: bool, /) -> None:  # noqa: FBT001 - called once, with a name for it
        """Begin or cease to put all further values on disk; called on the driver."""
        ...


@runtime_checkable
class DiscardingStore(Protocol):
    """The further member of a store in which an attempt can leave a value that no outcome reports."""

    def discard(self, attempts: Collection[int], /) -> None:
        """Delete what these attempts have left, soon; called on the driver when they are lost or cancelled."""
        ...


class LargeValues:
    """Those values of a stage that go to a store, by their size; all others travel with their outcomes.

    Parameters
    ----------
    store : ValueStore
    threshold : int
        The bytes that a value must have to be kept.
    """

    __slots__ = ("_store", "_threshold", "get")

    def __init__(self, store: ValueStore, threshold: int = THRESHOLD_BYTES) -> None:
        self._store = store
        self._threshold = threshold
        self.get = store.get

    def __reduce__(self) -> tuple[type[LargeValues], tuple[ValueStore, int]]:
        return LargeValues, (self._store, self._threshold)

    def put(self, attempt: int, value: Any, /) -> Any:
        """Keep the value that ``attempt`` has returned, and return its handle; one that travels comes back, pickled.

        Raises
        ------
        SerializationError
            If it cannot be pickled.
        OutOfSpaceError
            If there is no room for it.
        """
        if type(value) in _SMALL:
            return value
        buffers: list[pickle.PickleBuffer] = []
        try:  # As `pickle_value` does, without one more call for every task.
            data = dumps(value, 5, buffer_callback=buffers.append)
        except BaseException:  # noqa: BLE001 - as a rule it is defined in a script; what else it is, this says
            buffers.clear()
            data = pickle_value(value, buffers)
        if not buffers and len(data) < self._threshold:
            return new(Encoded, (data,))
        pickled = PickledValue(data, [buffer.raw() for buffer in buffers])
        handle = self._store.put(attempt, pickled) if pickled.nbytes >= self._threshold else None
        return Encoded(pickle_value(value)) if handle is None else handle
