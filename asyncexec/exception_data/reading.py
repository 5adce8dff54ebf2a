"""Exceptions made again of their records, of the same class where that is safe, else as stand-ins.

A record (``exception_data/recording``) is data of somebody else, so that nothing in it may decide what code runs here.
No module is imported: a class is one that this process has already, or has itself sent to its workers. None of its own
methods is called: the object is made by the built-in class that it derives from, and its attributes are put into its
dictionary.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import pathlib
import sys
from collections.abc import Callable, Mapping
from types import MemberDescriptorType, ModuleType
from typing import Any, TypeGuard

from asyncexec.exception_data.recording import qualified_name

type StandIn = Callable[[str, str], BaseException]
"""Makes what stands for an exception, of the name of its class and its message."""

_MADE_IN_PYTHON = 1 << 9  # Py_TPFLAGS_HEAPTYPE


def exception_of(
    text: str, *, stand_in: StandIn, otherwise: Mapping[str, Any] | None = None
) -> BaseException | None:
    """Return the exception that a record describes; of the record ``otherwise``, or None, where ``text`` is none."""
    record: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        record = json.loads(text or "null")
    if not isinstance(record, dict):
        record = otherwise
    return None if record is None else _Reader(stand_in).exception(record)


class _Reader:
    """Makes exceptions of records.

    Parameters
    ----------
    stand_in : callable
        Makes what stands for an exception that cannot be made again.
    """

    def __init__(self, stand_in: StandIn) -> None:
        self._stand_in = stand_in

    def exception(self, record: Mapping[str, Any]) -> BaseException:
        error: BaseException | None = None
        # Of a class that cannot be made so, or a record that is none.
        with contextlib.suppress(Exception):
            error = self._same_class(record)
        if error is None:
            error = self._other_class(record)
        with contextlib.suppress(Exception):
            self._attach(error, record)
        return error

    def _attach(self, error: BaseException, record: Mapping[str, Any]) -> None:
        if notes := record.get("notes"):
            vars(error).setdefault("__notes__", []).extend(map(str, notes))
        if (told := record.get("cause")) is not None:
            cause = self.exception(told)
            _set(error, "__cause__", cause)
            _set(error, "__context__", cause)
        if (told := record.get("context")) is not None:
            _set(error, "__context__", self.exception(told))
        _set(error, "__suppress_context__", bool(record.get("suppressed")))

    def _same_class(self, record: Mapping[str, Any]) -> BaseException | None:
        """Return an exception of the class that a record names; None if that is not here, or its arguments are not."""
        kind = _sent_class(record) or _class_here(record["type"])
        if kind is None or "args" not in record:
            return None
        builtin: Any = next(k for k in kind.__mro__ if not k.__flags__ & _MADE_IN_PYTHON)
        new: Any = builtin.__new__
        arguments = tuple(self._value(each) for each in record["args"])
        if issubclass(builtin, BaseExceptionGroup):
            error = new(kind, str(arguments[0]), self._members(record))
            return self._filled(error, record)
        error = new(kind, *arguments)
        builtin.__init__(error, *arguments)
        _set(error, "args", arguments)
        return self._filled(error, record)

    def _filled(self, error: BaseException, record: Mapping[str, Any]) -> BaseException:
        """Set the attributes that a record has, without any method of the exception's class."""
        owners = {qualified_name(kind): kind for kind in type(error).__mro__}
        for owner, name, value in record.get("slots", ()):
            slot = vars(owners[owner]).get(name) if owner in owners else None
            if type(slot) is MemberDescriptorType:
                with contextlib.suppress(AttributeError, TypeError):  # Some are for reading only.
                    slot.__set__(error, self._value(value))
        for name, value in record.get("state", {}).items():
            # A class that was sent by value has lost its slots on the worker.
            slot = next((vars(k)[name] for k in type(error).__mro__ if name in vars(k)), None)
            if type(slot) is MemberDescriptorType:
                slot.__set__(error, self._value(value))
            else:
                vars(error)[str(name)] = self._value(value)
        return error

    def _other_class(self, record: Mapping[str, Any]) -> BaseException:
        name, message = str(record.get("type", "")), str(record.get("message", ""))
        if record.get("group"):
            told = str(self._value(record["args"][0]))
            group = BaseExceptionGroup(told, self._members(record))
            group.add_note(f"Its class on the worker was {name}.")
            return group
        return self._stand_in(name, message)

    def _members(self, record: Mapping[str, Any]) -> list[BaseException]:
        return [self.exception(member) for member in record["group"]]

    def _value(self, value: Any) -> Any:
        """Return what a value in a record stands for."""
        if type(value) is list:
            return [self._value(each) for each in value]
        if type(value) is not dict:
            return value
        ((kind, content),) = value.items()
        if kind in _COLLECTIONS:
            return _COLLECTIONS[kind](map(self._value, content))
        if kind == "dict":
            return {self._value(k): self._value(v) for k, v in content}
        return self.exception(content) if kind == "exception" else _READERS[kind](content)


def _set(error: BaseException, name: str, value: object) -> None:
    """Set what every exception has, without a method of its class."""
    vars(BaseException)[name].__set__(error, value)


def _sent_class(record: Mapping[str, Any]) -> type[BaseException] | None:
    """Return the class that this process has sent by value to its workers, and that a record names by its number."""
    tracked = getattr(
        sys.modules.get("cloudpickle.cloudpickle"), "_DYNAMIC_CLASS_TRACKER_BY_ID", {}
    )
    kind = tracked.get(record.get("class"))
    # What travels by value has lost the names of the functions around it.
    name = record["type"].rpartition(".")[2]
    return (
        kind if isinstance(kind, type) and _is_exception(kind) and kind.__name__ == name else None
    )


def _class_here(name: str) -> type[BaseException] | None:
    """Return the exception class of that qualified name if its module has been imported; None otherwise."""
    parts = name.split(".")
    for count in range(len(parts) - 1, 0, -1):
        found: Any = sys.modules.get(".".join(parts[:count]))
        if not isinstance(found, ModuleType):
            continue
        for part in parts[count:]:
            # By its dictionary: a module or class may run code when it is asked for a name it does not have.
            found = vars(found).get(part) if isinstance(found, ModuleType | type) else None
        if isinstance(found, type) and _is_exception(found) and qualified_name(found) == name:
            return found
        return None
    return None


def _is_exception(kind: type) -> TypeGuard[type[BaseException]]:
    return BaseException in kind.__mro__


_COLLECTIONS: dict[str, Callable[[Any], Any]] = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
}
_READERS: dict[str, Callable[[Any], Any]] = {
    "bytes": bytes.fromhex,
    "bytearray": bytearray.fromhex,
    "complex": lambda parts: complex(*parts),
    "datetime": dt.datetime.fromisoformat,
    "date": dt.date.fromisoformat,
    "timedelta": lambda parts: dt.timedelta(*parts),
    "path": pathlib.Path,
}
