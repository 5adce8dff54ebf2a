"""The checks of :mod:`asyncexec.config.checks`, and its types, under the names that backends knew before.

Here a check takes ``executor`` and ``option`` as well, in place of ``where``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol

from asyncexec.config import checks
from asyncexec.config.checks import (
    AnyPath,
    Count,
    CountFromZero,
    EnvVars,
    Memory,
    Place,
    Places,
    Seconds,
    TextOrTexts,
    Texts,
    bytes_of,
)


class _OptionCheck[T](Protocol):
    def __call__(
        self, value: Any, where: str = "", *, executor: str = "", option: str = "", **bounds: Any
    ) -> T: ...


def _of_executors[T](check: Callable[..., T]) -> _OptionCheck[T]:
    @wraps(check)
    def checked(
        value: Any, where: str = "", *, executor: str = "", option: str = "", **bounds: Any
    ) -> T:
        return check(value, where or f"executor {executor!r}: {option}", **bounds)

    return checked


amount = _of_executors(checks.amount)
amounts = _of_executors(checks.amounts)
environment = _of_executors(checks.environment)
flag = _of_executors(checks.flag)
mapping = _of_executors(checks.mapping)
memory_bytes = _of_executors(checks.memory_bytes)
path = _of_executors(checks.path)
place = _of_executors(checks.place)
places = _of_executors(checks.places)
seconds = _of_executors(checks.duration)
text = _of_executors(checks.text)
text_or_texts = _of_executors(checks.text_or_texts)
texts = _of_executors(checks.texts)
whole_number = _of_executors(checks.whole_number)

__all__ = [
    "AnyPath",
    "Count",
    "CountFromZero",
    "EnvVars",
    "Memory",
    "Place",
    "Places",
    "Seconds",
    "TextOrTexts",
    "Texts",
    "amount",
    "amounts",
    "bytes_of",
    "environment",
    "flag",
    "mapping",
    "memory_bytes",
    "path",
    "place",
    "places",
    "seconds",
    "text",
    "text_or_texts",
    "texts",
    "whole_number",
]
