"""Checks of the options that executors take, and types of options with their checks.

A check takes a value, ``executor`` and ``option`` for its message, and returns the value as it is kept. It raises
:class:`~asyncexec.errors.OptionError` where the value is not what the check returns.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from asyncexec.errors import OptionError
from asyncexec.plan.memory import parse_bytes


def whole_number(value: object, *, executor: str, option: str, least: int = 1) -> int:
    """Return a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise OptionError(
            f"executor {executor!r}: {option} must be a whole number of at least {least}, "
            f"not {value!r}"
        )
    return value


def seconds(value: object, *, executor: str, option: str) -> float:
    """Return a number of seconds, from 0 to infinity, as a float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise OptionError(f"executor {executor!r}: {option} must be in seconds, not {value!r}")
    if math.isnan(value) or value < 0:
        raise OptionError(f"executor {executor!r}: {option} must be 0 or more, not {value!r}")
    return float(value)


def amount(value: object, *, executor: str, option: str, above_zero: bool = False) -> float:
    """Return a finite number of 0 or more (above 0 where it must be) as a float."""
    number = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    if not 0 <= number < math.inf or (above_zero and not number):
        least = "above 0" if above_zero else "of 0 or more"
        raise OptionError(
            f"executor {executor!r}: {option} must be a number {least}, not {value!r}"
        )
    return number


def amounts(
    value: object, *, executor: str, option: str, above_zero: bool = False
) -> dict[str, float]:
    """Return what maps names to what :func:`amount` takes as a dict."""
    given = mapping(value, executor=executor, option=option)
    return {
        name: amount(each, executor=executor, option=f"{option}[{name!r}]", above_zero=above_zero)
        for name, each in given.items()
    }


def memory_bytes(value: float | str | None, *, executor: str, option: str) -> int | None:
    """Return an amount of memory, at least a byte, in bytes; None where nothing was said."""
    if value is None:
        return None
    size = parse_bytes(value, what=f"executor {executor!r}: {option}")
    if size < 1:
        raise OptionError(f"executor {executor!r}: {option} must be above 0, not {value!r}")
    return size


def bytes_of(size: float | str | None) -> int | None:
    """Return an amount of memory that has been checked in bytes; None where nothing was said."""
    return None if size is None else parse_bytes(size)


def text(value: object, *, executor: str, option: str) -> str:
    """Return a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise OptionError(f"executor {executor!r}: {option} must be text, not {value!r}")
    return value


def optional_text(value: object, *, executor: str, option: str) -> str | None:
    """Return ``value`` as :func:`text` does; None where nothing was said."""
    return None if value is None else text(value, executor=executor, option=option)


def texts(value: object, *, executor: str, option: str) -> tuple[str, ...]:
    """Return several texts; none where nothing was said."""
    if value is None:
        return ()
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise OptionError(f"executor {executor!r}: {option} must be a list of texts, not {value!r}")
    return tuple(text(each, executor=executor, option=f"each of {option}") for each in value)


def text_or_texts(value: object, *, executor: str, option: str) -> str | tuple[str, ...]:
    """Return one text, or several."""
    if isinstance(value, str):
        return text(value, executor=executor, option=option)
    return texts(value, executor=executor, option=option)


def path(value: object, *, executor: str, option: str) -> str:
    """Return the path or address as text."""
    given = os.fspath(value) if isinstance(value, os.PathLike) else value
    return text(given, executor=executor, option=option)


def place(value: object, *, executor: str, option: str) -> str:
    """Return a path of this machine at which there is something, or an address, as text."""
    given = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(given, str) or not given:
        raise OptionError(
            f"executor {executor!r}: {option} takes paths and addresses, not {value!r}"
        )
    if "://" not in given and not Path(given).exists():
        raise OptionError(f"executor {executor!r}: {option}: there is no {given!r}")
    return given


def places(value: object, *, executor: str, option: str) -> tuple[str, ...]:
    """Return several of what :func:`place` takes."""
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise OptionError(f"executor {executor!r}: {option} must be a list of paths, not {value!r}")
    return tuple(place(each, executor=executor, option=option) for each in value)


def mapping(value: object, *, executor: str, option: str) -> dict[str, Any]:
    """Return what maps names to values as a dict, an empty one where nothing was said.

    No message shows a value, since many are secret; the same holds for :func:`environment`.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        kind = type(value).__name__
        raise OptionError(
            f"executor {executor!r}: {option} must map names to values, not be a {kind}"
        )
    for name in value:
        if not isinstance(name, str) or not name:
            raise OptionError(
                f"executor {executor!r}: {option} must map names to values, and {name!r} is no name"
            )
    return dict(value)


def environment(
    variables: Mapping[str, str] | None, *, executor: str, option: str = "env_vars"
) -> dict[str, str]:
    """Return environment variables, names mapped to text, as a dict."""
    given = mapping(variables, executor=executor, option=option)
    for name, value in given.items():
        if "=" in name or "\0" in name:
            raise OptionError(
                f"executor {executor!r}: {option}: {name!r} cannot be the name of a variable"
            )
        if not isinstance(value, str) or "\0" in value:
            raise OptionError(
                f"executor {executor!r}: {option} must map names to text, "
                f"not {name!r} to {'text with a NUL in it' if isinstance(value, str) else type(value).__name__}"
            )
    return given


def flag(value: object, *, executor: str, option: str) -> bool:
    """Return True or False."""
    if not isinstance(value, bool):
        raise OptionError(f"executor {executor!r}: {option} must be True or False, not {value!r}")
    return value


def described(options: Mapping[str, Any]) -> str:
    """Return option names with their defaults, for messages; ``...`` stands for a required one."""
    return ", ".join(
        name if default is ... else f"{name}={default!r}" for name, default in options.items()
    )


Count = Annotated[int, whole_number]
"""At least 1."""

CountFromZero = Annotated[int, partial(whole_number, least=0)]
"""At least 0."""

Seconds = Annotated[float, seconds]
Memory = Annotated[int | str, memory_bytes]
"""Bytes, or text such as ``"2GB"``; kept as bytes."""

Texts = Annotated[Sequence[str], texts]
TextOrTexts = Annotated[str | Sequence[str], text_or_texts]
AnyPath = Annotated[str | os.PathLike[str], path]
Place = Annotated[str | os.PathLike[str], place]
Places = Annotated[Sequence[str | os.PathLike[str]], places]
EnvVars = Annotated[Mapping[str, str], environment]
