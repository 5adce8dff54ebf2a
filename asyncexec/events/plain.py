"""Events as plain data, for JSON: logs, files, server-sent events."""

from __future__ import annotations

import math
import os
import traceback
from collections.abc import Iterable, Mapping, Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import date, time
from enum import Enum
from pathlib import PurePath
from typing import Any

type Plain = bool | int | float | str | list[Plain] | dict[str, Plain] | None

LEFT_OUT = frozenset({"value", "exception", "record"})
"""Fields that are objects of the user, of any size, or that only some executors have; results and errors have them."""
_REPR_CHARACTERS = 1_000


def event_as_dict(event: Any) -> dict[str, Any]:
    """Return an event as plain data, all of whose types JSON has.

    ``event`` is the name of its class, ``execution`` and ``at`` are those that every event has, and others are its
    fields by name. Tuples are lists, enumerations their text, scalars of NumPy plain numbers, and NaN and infinities,
    for which JSON has no number, the texts ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``. An error has ``type``,
    ``bases``, ``message`` and ``traceback``; the exception itself, and the values of tasks, are left out.

    :func:`asyncexec.events.reading.event_of` makes the record again.
    """
    named = {"event": type(event).__name__, "execution": event.execution, "at": event.at}
    return {name: as_plain(value) for name, value in {**named, **_fields(event)}.items()}


def as_plain(value: Any) -> Plain:
    """Return ``value`` as data that JSON has, by the rules of :func:`event_as_dict`; anything else as its repr."""
    if value is None or type(value) in {bool, int, str}:
        plain: Plain = value
    elif isinstance(value, Enum):
        plain = str(value.value) if isinstance(value.value, str) else value.name
    elif isinstance(value, float):
        plain = float(value) if math.isfinite(value) else _not_finite(value)
    elif isinstance(value, int | str):
        plain = int(value) if isinstance(value, int) else str(value)
    elif isinstance(value, BaseException):
        plain = _exception(value)
    else:
        plain = _container(value)
    return plain


def _container(value: Any) -> Plain:
    if isinstance(value, Mapping):
        return {_key(key): as_plain(item) for key, item in value.items()}
    if hasattr(value, "_fields") or (is_dataclass(value) and not isinstance(value, type)):
        return {name: as_plain(item) for name, item in _fields(value).items()}
    if isinstance(value, list | tuple | range | AbstractSet):
        return [as_plain(item) for item in value]
    # Arrays and scalars of NumPy, which nobody has to have loaded.
    to_list = getattr(value, "tolist", None)
    if type(value).__module__ == "numpy" and callable(to_list):
        plain = to_list()
        return as_plain(plain) if type(plain) is not type(value) else str(value)
    if isinstance(value, date | time):
        return value.isoformat()
    return os.fspath(value) if isinstance(value, PurePath) else repr(value)[:_REPR_CHARACTERS]


def field_names(record: Any) -> Iterable[str]:
    """Return the names of the fields of a named tuple or dataclass, or of a class of them."""
    return getattr(record, "_fields", None) or [field.name for field in fields(record)]


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in field_names(record) if name not in LEFT_OUT}


def _key(key: Any) -> str:
    plain = as_plain(key)
    return plain if isinstance(plain, str) else repr(plain)


def _not_finite(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _exception(error: BaseException) -> dict[str, Plain]:
    kind = type(error)
    return {
        "type": f"{kind.__module__}.{kind.__qualname__}",
        "message": str(error),
        "traceback": "".join(traceback.format_exception(error)),
    }
