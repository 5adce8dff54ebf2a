"""The values of tasks as pickles: what a script defines is pickled by value, as workers cannot import it."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import cloudpickle

from asyncexec.errors import SerializationError

if TYPE_CHECKING:
    from collections.abc import Callable

NO_VALUE = (
    "what the function returned (a {kind}) cannot be pickled: {why}. Return plain data, "
    "or run on executor='threads'"
)


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
    except BaseException:  # noqa: BLE001 - as a rule it is defined in a script; what else it is, cloudpickle says
        if buffers is not None:
            buffers.clear()
        return _by_value(value, callback)


def _by_value(value: Any, callback: Callable[[pickle.PickleBuffer], Any] | None) -> bytes:
    try:
        data: bytes = cloudpickle.dumps(value, protocol=5, buffer_callback=callback)
    except MemoryError:
        raise
    except BaseException as error:
        raise SerializationError(cannot_be_pickled(value, error)) from error
    return data


def cannot_be_pickled(value: Any, error: BaseException, said: str = NO_VALUE) -> str:
    """Return ``said`` with what ``value`` is for ``kind``, and with what ``error`` says for ``why``."""
    why = f"{type(error).__name__}: {error}".rstrip(".")
    return said.format(kind=type(value).__qualname__, why=why)
