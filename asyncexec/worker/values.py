"""Values that stay near the workers: what keeps them, and how a value is pickled for it."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Collection
from typing import Any, Protocol

import cloudpickle

from asyncexec.errors import SerializationError
from asyncexec.events.outcome import ValueHandle


class ValueStore(Protocol):
    """Keeps the values of tasks under handles, which the driver holds instead of the values.

    A value belongs to the backend until the outcome with its handle is reported, and then to the run, which deletes it
    when its last reader is complete. What nobody has deleted goes when the backend's context is left.
    """

    def put(self, attempt: int, value: Any, /) -> Any:
        """Keep the value that ``attempt`` has returned, and return its handle; one that is small comes back instead.

        Called on a worker. A value that is small comes back as it is or ``Encoded``.

        Raises
        ------
        SerializationError
            If it cannot be pickled.
        OutOfSpaceError
            If there is no room for it.
        """
        ...

    def get(self, handle: ValueHandle, /) -> Any:
        """Return the value; it may block, and is called in any thread, of workers and of the driver.

        Raises
        ------
        ValueLostError
            If the value is gone.
        """
        ...

    def delete(self, handles: Collection[ValueHandle], /) -> None:
        """Delete these values, soon; called on the driver, in any thread, and returns at once."""
        ...


def pickle_value(value: Any, buffers: list[pickle.PickleBuffer] | None = None) -> bytes:
    """Return a task's value as bytes; a script's classes and functions are pickled by value.

    With a list ``buffers``, those that the value is made of are put there instead.

    Raises
    ------
    SerializationError
        If it cannot be pickled.
    """
    callback = None if buffers is None else buffers.append
    try:
        return pickle.dumps(value, protocol=5, buffer_callback=callback)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - as a rule it is defined in a script; what else it is, cloudpickle says
        if buffers is not None:
            buffers.clear()
        return _by_value(value, callback)


def _by_value(value: Any, callback: Callable[[pickle.PickleBuffer], Any] | None) -> bytes:
    try:
        data: bytes = cloudpickle.dumps(value, protocol=5, buffer_callback=callback)
    except MemoryError:
        raise
    except BaseException as error:
        raise SerializationError(
            f"what the function returned (a {type(value).__qualname__}) cannot be pickled: {type(error).__name__}: "
            f"{error}. Return plain data, or run on executor='threads'"
        ) from error
    return data
