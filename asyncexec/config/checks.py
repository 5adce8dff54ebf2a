"""Checks of settings, and types of fields with their checks.

A check takes a value and ``where`` it stands, for its message (``"executor 'ray': max_workers"``), and returns the
value as it is kept. It raises :class:`~asyncexec.errors.OptionError` where the value is not what the check returns.
What a check has returned passes it again, unchanged.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from asyncexec.errors import OptionError
from asyncexec.masking import masked_logins
from asyncexec.plan.given_numbers import as_real_number, as_whole_number
from asyncexec.plan.memory import parse_bytes


def whole_number(value: object, where: str, *, least: int = 1) -> int:
    """Return a whole number of at least ``least``."""
    number = as_whole_number(value)
    if number is None or number < least:
        raise OptionError(f"{where} must be a whole number of at least {least}, not {value!r}")
    return number


def duration(value: object, where: str) -> float:
    """Return a number of seconds, from 0 to infinity, as a float."""
    seconds = as_real_number(value)
    if seconds is None:
        raise OptionError(f"{where} must be in seconds, not {value!r}")
    if math.isnan(seconds) or seconds < 0:
        raise OptionError(f"{where} must be 0 or more, not {value!r}")
    return float(seconds)


def amount(
    value: object, where: str, *, least: float = 0, most: float = math.inf, above_zero: bool = False
) -> float:
    """Return a finite number within bounds (above 0 where it must be) as a float."""
    given = as_real_number(value)
    number = math.nan if given is None else float(given)
    if not least <= number <= most or number == math.inf or (above_zero and not number):
        kind = "number" if math.isfinite(number) else "finite number"
        bounds = ["above 0" if above_zero else f"of at least {least:g}"]
        if most < math.inf:
            bounds = (
                ["above 0", f"up to {most:g}"] if above_zero else [f"from {least:g} to {most:g}"]
            )
        raise OptionError(f"{where} must be a {kind} {' and '.join(bounds)}, not {value!r}")
    return number


def above_zero_or_infinite(value: object, where: str) -> float:
    """Return a number above 0 as a float; infinity is one."""
    return math.inf if value == math.inf else amount(value, where, above_zero=True)


def amounts(value: object, where: str, *, above_zero: bool = False) -> dict[str, float]:
    """Return what maps names to what :func:`amount` takes as a dict."""
    return {
        name: amount(each, f"{where}[{name!r}]", above_zero=above_zero)
        for name, each in mapping(value, where).items()
    }


def memory_bytes(value: float | str | None, where: str) -> int | None:
    """Return an amount of memory, at least a byte, in bytes; None where nothing was said."""
    if value is None:
        return None
    size = parse_bytes(value, what=where)
    if size < 1:
        raise OptionError(f"{where} must be above 0, not {value!r}")
    return size


def size_or_zero(value: float | str, where: str) -> int:
    """Return an amount of memory in bytes; 0 is one as well."""
    return parse_bytes(value, what=where) if value != "0" else 0


def bytes_of(size: float | str | None) -> int | None:
    """Return an amount of memory that has been checked in bytes; None where nothing was said."""
    return None if size is None else parse_bytes(size)


def text(value: object, where: str) -> str:
    """Return a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise OptionError(f"{where} must be text, not {value!r}")
    return value


def address(value: object, where: str) -> str:
    """Return the address of a service: a text without a login, which logs of systems would show."""
    given = text(value, where)
    if masked_logins(given) != given:
        raise OptionError(
            f"{where} must hold no user, no password and no key, which logs would show. Give them by the system's own "
            f"configuration, or by the option for them"
        )
    return given


def texts(value: object, where: str) -> tuple[str, ...]:
    """Return several texts; none where nothing was said."""
    if value is None:
        return ()
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise OptionError(f"{where} must be a list of texts, not {value!r}")
    return tuple(text(each, f"{where}[{place}]") for place, each in enumerate(value))


def text_or_texts(value: object, where: str) -> str | tuple[str, ...]:
    """Return one text, or several."""
    return text(value, where) if isinstance(value, str) else texts(value, where)


def path(value: object, where: str) -> str:
    """Return the path or address as text."""
    return text(os.fspath(value) if isinstance(value, os.PathLike) else value, where)


def place(value: object, where: str) -> str:
    """Return a path of this machine at which there is something, or an address, as text."""
    given = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(given, str) or not given:
        raise OptionError(f"{where} takes paths and addresses, not {value!r}")
    if "://" not in given and not Path(given).exists():
        raise OptionError(f"{where}: there is no {given!r}")
    return given


def places(value: object, where: str) -> tuple[str, ...]:
    """Return several of what :func:`place` takes."""
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise OptionError(f"{where} must be a list of paths, not {value!r}")
    return tuple(place(each, where) for each in value)


def mapping(value: object, where: str) -> dict[str, Any]:
    """Return what maps names to values as a dict, an empty one where nothing was said.

    No message shows a value, since many are secret; the same holds for :func:`environment`.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise OptionError(f"{where} must map names to values, not be a {type(value).__name__}")
    for name in value:
        if not isinstance(name, str) or not name:
            raise OptionError(f"{where} must map names to values, and {name!r} is no name")
    return dict(value)


def environment(variables: Mapping[str, str] | None, where: str) -> dict[str, str]:
    """Return environment variables, names mapped to text, as a dict."""
    given = mapping(variables, where)
    for name, value in given.items():
        if "=" in name or "\0" in name:
            raise OptionError(f"{where}: {name!r} cannot be the name of a variable")
        if not isinstance(value, str) or "\0" in value:
            kind = "text with a NUL in it" if isinstance(value, str) else type(value).__name__
            raise OptionError(f"{where} must map names to text, not {name!r} to {kind}")
    return given


def port(value: object, where: str) -> int:
    """Return the number of a port."""
    number = whole_number(value, where)
    if number > 65_535:
        raise OptionError(f"{where} must be a port, at most 65535, not {number}")
    return number


def flag(value: object, where: str) -> bool:
    """Return True or False."""
    if not isinstance(value, bool):
        raise OptionError(f"{where} must be True or False, not {value!r}")
    return value


def one_of(value: object, where: str, *, choices: Sequence[str]) -> str:
    """Return one of ``choices``."""
    if not isinstance(value, str) or value not in choices:
        *others, last = map(repr, choices)
        raise OptionError(f"{where} must be {', '.join(others)} or {last}, not {value!r}")
    return value


Count = Annotated[int, whole_number]
"""At least 1."""

CountFromZero = Annotated[int, partial(whole_number, least=0)]
"""At least 0."""

Amount = Annotated[float, amount]
"""Finite, at least 0."""

Share = Annotated[float, partial(amount, most=1)]
"""From 0 to 1."""

Rate = Annotated[float, above_zero_or_infinite]
"""Above 0; infinity where there is no limit."""

Port = Annotated[int, port]
Seconds = Annotated[float, duration]
Memory = Annotated[int | str, memory_bytes]
"""Bytes, or text such as ``"2GB"``; kept as bytes."""

Address = Annotated[str, address]
"""Of a service, without a login."""

Texts = Annotated[Sequence[str], texts]
TextOrTexts = Annotated[str | Sequence[str], text_or_texts]
AnyPath = Annotated[str | os.PathLike[str], path]
Place = Annotated[str | os.PathLike[str], place]
Places = Annotated[Sequence[str | os.PathLike[str]], places]
EnvVars = Annotated[Mapping[str, str], environment]
