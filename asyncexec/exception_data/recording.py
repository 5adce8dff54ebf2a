"""An exception as plain data in JSON, so that the driver can make one like it without unpickling anything.

A record has the class by name, the arguments and attributes that are plain data, notes, the chain of causes, and the
members of a group. ``exception_data/reading`` makes an exception of it, of the same class where that is safe.

What JSON has no form for is an object with one key, the name of its type: ``{"tuple": [1, 2]}``.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sys
from collections.abc import Callable
from types import MemberDescriptorType
from typing import Any

LONGEST_TEXT = 20_000
"""The most characters of a text, and bytes of a value, that a record carries."""
MOST_ITEMS = 5_000
"""The most values and exceptions in one record; what comes after them is left out."""
DEEPEST = 24
"""The deepest that values and exceptions are nested in one record."""

# Large integers take long to read as decimal digits, and Python refuses to.
_MOST_BITS = 8_192
# They are told otherwise, or are not plain: the object that has no such attribute, the members of a group.
_NOT_TOLD = frozenset({"obj", "exceptions"})


class _NotPlainError(Exception):
    """A value is not plain data, or there is too much of it."""


def exception_record(error: BaseException) -> str:
    """Return ``error`` as JSON in ASCII, with all that is plain data of it; its name and message if that fails."""
    try:
        return json.dumps(_Recorder().exception(error, 0))
    except BaseException:  # noqa: BLE001 - whatever an exception of the user raises that is looked into
        return exception_stub(error)


def exception_stub(error: BaseException) -> str:
    """Return the record of an exception of which nothing but its name and message are known: of a stand-in."""
    return json.dumps({"type": qualified_name(type(error)), "message": message_of(error)})


def shortened(text: str) -> str:
    """Return ``text`` without its middle if it is long: it travels with the outcome, and stands in errors and logs."""
    if len(text) <= LONGEST_TEXT:
        return text
    half = LONGEST_TEXT // 2
    return f"{text[:half]} … ({len(text) - 2 * half:,} characters left out) … {text[-half:]}"


def message_of(error: BaseException) -> str:
    """Return the message of an exception, shortened."""
    try:
        return shortened(str(error))
    except BaseException:  # noqa: BLE001 - a broken __str__ must not hide the failure
        return "(its message cannot be made)"


def qualified_name(kind: type) -> str:
    """Return the name of a class with its module."""
    return f"{kind.__module__}.{kind.__qualname__}"


class _Recorder:
    """Makes one record; counts what it holds."""

    def __init__(self) -> None:
        self._left = MOST_ITEMS
        self._seen: set[int] = set()

    def exception(self, error: BaseException, depth: int) -> dict[str, Any]:
        self._count(depth)
        self._seen.add(id(error))
        kind = type(error)
        record: dict[str, Any] = {"type": qualified_name(kind), "message": message_of(error)}
        if (number := _tracked_class(kind)) is not None:
            record["class"] = number
        if isinstance(error, BaseExceptionGroup):
            record["group"] = self._members(error, depth)
            record["args"] = [shortened(error.message)]
        else:
            # Without them, the driver makes a stand-in.
            with contextlib.suppress(_NotPlainError):
                record["args"] = [self.value(each, depth + 1) for each in error.args]
        record["slots"] = self._slots(error, depth)
        attributes = {k: v for k, v in vars(error).items() if k != "__notes__"}
        record["state"] = self._plain_ones(attributes, depth)
        notes = getattr(error, "__notes__", None)
        if isinstance(notes, list | tuple):
            record["notes"] = [shortened(note) for note in notes[:100] if isinstance(note, str)]
        self._chain(error, record, depth)
        return record

    def _chain(self, error: BaseException, record: dict[str, Any], depth: int) -> None:
        """Add what an exception came of, where it is not in the record yet."""
        record["suppressed"] = error.__suppress_context__
        for name, other in (("cause", error.__cause__), ("context", error.__context__)):
            hidden = name == "context" and (other is error.__cause__ or error.__suppress_context__)
            if other is None or hidden or id(other) in self._seen:
                continue
            try:
                record[name] = self.exception(other, depth + 1)
            except _NotPlainError:
                return

    def _members(self, error: BaseExceptionGroup[BaseException], depth: int) -> list[Any]:
        found: list[Any] = []
        for member in error.exceptions:
            try:
                # A policy decides by the members of a group, whose classes it may not have.
                bases = [qualified_name(base) for base in type(member).__mro__[1:-1]]
                found.append({**self.exception(member, depth + 1), "bases": bases})
            except _NotPlainError:
                break
        return found

    def _slots(self, error: BaseException, depth: int) -> list[tuple[str, str, Any]]:
        """Return the attributes that are not in the exception's dictionary: ``errno`` and ``filename``, say."""
        found: list[tuple[str, str, Any]] = []
        for kind in type(error).__mro__:
            for name, member in vars(kind).items():
                if (
                    type(member) is not MemberDescriptorType
                    or name in _NOT_TOLD
                    or name[:2] == "__"
                ):
                    continue
                try:
                    value = member.__get__(error)
                    if value is not None:
                        found.append((qualified_name(kind), name, self.value(value, depth + 1)))
                except (AttributeError, _NotPlainError):
                    continue
        return found

    def _plain_ones(self, values: dict[str, Any], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in values.items():
            try:
                found[name] = self.value(value, depth + 1)
            except _NotPlainError:
                continue
        return found

    def value(self, value: Any, depth: int) -> Any:
        """Return a value in its form in JSON; raises _NotPlainError."""
        self._count(depth)
        kind = type(value)
        if value is None or kind is bool or kind is float:
            return value
        if (write := _WRITERS.get(kind)) is not None:
            return write(value)
        if kind is list:
            return [self.value(each, depth + 1) for each in value]
        if kind in _COLLECTIONS:
            return {kind.__name__: [self.value(each, depth + 1) for each in value]}
        if kind is dict:
            pairs = [[self.value(k, depth + 1), self.value(v, depth + 1)] for k, v in value.items()]
            return {"dict": pairs}
        return self._other(value, depth)

    def _other(self, value: Any, depth: int) -> Any:
        if isinstance(value, BaseException):
            if id(value) in self._seen:
                raise _NotPlainError
            return {"exception": self.exception(value, depth + 1)}
        # Members of enumerations, NumPy's own texts and floats.
        if isinstance(value, str):
            return shortened(str.__str__(value))
        if isinstance(value, int):
            return _integer(int(value))
        if isinstance(value, float):
            return float(value)
        if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
            return self.value(value.item(), depth + 1)
        if type(value).__module__.partition(".")[0] == "pathlib":
            return {"path": str(value)}
        raise _NotPlainError

    def _count(self, depth: int) -> None:
        self._left -= 1
        if self._left < 0 or depth > DEEPEST:
            raise _NotPlainError


def _integer(value: int) -> int:
    if value.bit_length() > _MOST_BITS:
        raise _NotPlainError
    return value


def _bytes(value: bytes | bytearray) -> dict[str, str]:
    if len(value) > LONGEST_TEXT:
        raise _NotPlainError
    return {type(value).__name__: value.hex()}


_COLLECTIONS = frozenset({tuple, set, frozenset})
_WRITERS: dict[type, Callable[[Any], Any]] = {
    str: shortened,
    int: _integer,
    bytes: _bytes,
    bytearray: _bytes,
    complex: lambda value: {"complex": [value.real, value.imag]},
    dt.datetime: lambda value: {"datetime": value.isoformat()},
    dt.date: lambda value: {"date": value.isoformat()},
    dt.timedelta: lambda value: {"timedelta": [value.days, value.seconds, value.microseconds]},
}


def _tracked_class(kind: type) -> str | None:
    """Return the number by which the driver finds a class that it has sent by value; None if it came otherwise."""
    cloudpickle = sys.modules.get("cloudpickle.cloudpickle")
    tracked = getattr(cloudpickle, "_DYNAMIC_CLASS_TRACKER_BY_CLASS", None)
    return None if tracked is None else tracked.get(kind)
