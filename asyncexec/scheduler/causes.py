"""Exceptions of workers made again on the driver, of the same class where that is safe, else as stand-ins.

A record (``worker/exception_record``) is data of somebody else, so that nothing in it may decide what code runs here.
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

from asyncexec.errors import RemoteError
from asyncexec.events.outcome import ErrorInfo, Outcome
from asyncexec.worker.exception_record import qualified_name

_MADE_IN_PYTHON = 1 << 9  # Py_TPFLAGS_HEAPTYPE


def with_own_name(outcome: Outcome) -> Outcome:
    """Return ``outcome`` with the names that the class of its exception, and the bases of that, have here.

    A class that was sent by value has another on the worker: without the names of the functions around it.
    """
    info = outcome.error
    if info is None or '"class"' not in info.record:
        return outcome
    cause = cause_of(info)
    if cause is None or type(cause).__name__ != info.type.rpartition(".")[2]:
        return outcome
    kind, *bases = map(qualified_name, type(cause).__mro__[:-1])
    return outcome._replace(error=info._replace(type=kind, bases=tuple(bases)))


def cause_of(info: ErrorInfo) -> BaseException | None:
    """Return the exception that ``info`` describes: itself where it is here, else one like it; None if there was none.

    It has the notes, the causes and the members of the one on the worker, and no traceback.
    """
    if info.exception is not None:
        return info.exception
    if not info.type:
        return None
    record: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        record = json.loads(info.record or "null")
    if not isinstance(record, dict):
        record = {"type": info.type, "message": info.message, "args": [info.message]}
    error = _exception(record)
    if isinstance(error, RemoteError):
        error.remote_traceback = info.traceback
    return error


def _exception(record: Mapping[str, Any]) -> BaseException:
    error: BaseException | None = None
    with contextlib.suppress(
        Exception
    ):  # Of a class that cannot be made so, or a record that is none.
        error = _same_class(record)
    if error is None:
        error = _stand_in(record)
    with contextlib.suppress(Exception):
        _attach(error, record)
    return error


def _attach(error: BaseException, record: Mapping[str, Any]) -> None:
    if notes := record.get("notes"):
        vars(error).setdefault("__notes__", []).extend(map(str, notes))
    if (told := record.get("cause")) is not None:
        cause = _exception(told)
        _set(error, "__cause__", cause)
        _set(error, "__context__", cause)
    if (told := record.get("context")) is not None:
        _set(error, "__context__", _exception(told))
    _set(error, "__suppress_context__", bool(record.get("suppressed")))


def _set(error: BaseException, name: str, value: object) -> None:
    """Set what every exception has, without a method of its class."""
    vars(BaseException)[name].__set__(error, value)


def _same_class(record: Mapping[str, Any]) -> BaseException | None:
    """Return an exception of the class that the record names; None if that is not here, or its arguments are not."""
    kind = _sent_class(record) or _class_here(record["type"])
    if kind is None or "args" not in record:
        return None
    builtin: Any = next(k for k in kind.__mro__ if not k.__flags__ & _MADE_IN_PYTHON)
    new: Any = builtin.__new__
    arguments = tuple(_value(each) for each in record["args"])
    if issubclass(builtin, BaseExceptionGroup):
        return _filled(new(kind, str(arguments[0]), _members(record)), record)
    error = new(kind, *arguments)
    builtin.__init__(error, *arguments)
    _set(error, "args", arguments)
    return _filled(error, record)


def _filled(error: BaseException, record: Mapping[str, Any]) -> BaseException:
    """Set the attributes that a record has, without any method of the exception's class."""
    owners = {qualified_name(kind): kind for kind in type(error).__mro__}
    for owner, name, value in record.get("slots", ()):
        slot = vars(owners[owner]).get(name) if owner in owners else None
        if type(slot) is MemberDescriptorType:
            with contextlib.suppress(AttributeError, TypeError):  # Some are for reading only.
                slot.__set__(error, _value(value))
    vars(error).update({str(k): _value(v) for k, v in record.get("state", {}).items()})
    return error


def _stand_in(record: Mapping[str, Any]) -> BaseException:
    name, message = str(record.get("type", "")), str(record.get("message", ""))
    if record.get("group"):
        error = BaseExceptionGroup(str(_value(record["args"][0])), _members(record))
        error.add_note(f"Its class on the worker was {name}.")
        return error
    return RemoteError(
        f"{name}: {message}" if message else name, exception_type=name, exception_message=message
    )


def _members(record: Mapping[str, Any]) -> list[BaseException]:
    return [_exception(member) for member in record["group"]]


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


def _value(value: Any) -> Any:
    """Return what a value in a record stands for."""
    if type(value) is list:
        return [_value(each) for each in value]
    if type(value) is not dict:
        return value
    ((kind, content),) = value.items()
    return _READERS[kind](content)


_READERS: dict[str, Callable[[Any], Any]] = {
    "tuple": lambda items: tuple(map(_value, items)),
    "set": lambda items: set(map(_value, items)),
    "frozenset": lambda items: frozenset(map(_value, items)),
    "dict": lambda pairs: {_value(k): _value(v) for k, v in pairs},
    "bytes": bytes.fromhex,
    "bytearray": bytearray.fromhex,
    "complex": lambda parts: complex(*parts),
    "datetime": dt.datetime.fromisoformat,
    "date": dt.date.fromisoformat,
    "timedelta": lambda parts: dt.timedelta(*parts),
    "path": pathlib.Path,
    "exception": lambda record: _exception(record),  # noqa: PLW0108 - defined in terms of each other
}
