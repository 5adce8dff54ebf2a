"""The exceptions inside a group that an attempt raised (of ``asyncio.TaskGroup``, say), which decide what it is."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from asyncexec.events.outcome import ErrorInfo
from asyncexec.exception_data.recording import MOST_ITEMS, message_of, qualified_name

if TYPE_CHECKING:
    from collections.abc import Iterator

_GROUP = "builtins.BaseExceptionGroup"


def is_exception_group(error: ErrorInfo) -> bool:
    """Return whether an exception is a group of others."""
    return error.type == _GROUP or _GROUP in error.bases


def members_of(error: ErrorInfo) -> list[ErrorInfo]:
    """Return the exceptions in a group, and in the groups in it, that are no groups; empty if they are not known."""
    found = _of_group(error.exception) if error.exception is not None else _of_record(error.record)
    return [member for _, member in zip(range(MOST_ITEMS), found, strict=False)]


def _of_group(error: BaseException) -> Iterator[ErrorInfo]:
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if isinstance(one, BaseExceptionGroup):
            waiting.extend(reversed(one.exceptions))
        else:
            name, *bases = map(qualified_name, type(one).__mro__[:-1])
            yield ErrorInfo(name, tuple(bases), message_of(one))


def _of_record(text: str) -> Iterator[ErrorInfo]:
    waiting: list[Any] = []
    with contextlib.suppress(ValueError, RecursionError):
        waiting.append(json.loads(text or "null"))
    while waiting:
        one = waiting.pop()
        if not isinstance(one, dict):
            continue
        if one.get("group"):
            waiting.extend(reversed(one["group"]))
        else:
            bases = tuple(map(str, one.get("bases", ())))
            yield ErrorInfo(str(one.get("type", "")), bases, str(one.get("message", "")))
