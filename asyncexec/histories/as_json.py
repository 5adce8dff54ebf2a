"""Records of runs, recorded and simulated, in plain types, for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from types import FunctionType
from typing import Any, cast


def plain(value: Any) -> Any:
    """Return a value in plain types: None for a number not finite, a function by its path, the repr of others."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        named = cast("Mapping[str, Any]", value)
        return {name: plain(each) for name, each in named.items()}
    if isinstance(value, list | tuple | range):
        return [plain(each) for each in cast("list[Any]", value)]
    if isinstance(value, FunctionType):
        return f"{value.__module__}:{value.__qualname__}"  # Without its address, which differs from run to run.
    return repr(value)


def attributes(record: object, *names: str) -> dict[str, Any]:
    """Return attributes of a record in plain types; by default its fields."""
    of = names or [each.name for each in fields(cast("Any", record))]
    return {name: plain(getattr(record, name)) for name in of}
