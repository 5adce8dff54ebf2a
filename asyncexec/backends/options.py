"""Checks of the options that executors take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from asyncexec.errors import OptionError


def whole_number(value: object, *, executor: str, option: str, least: int = 1) -> int:
    """Return ``value`` as an int.

    Raises
    ------
    OptionError
        If it is not a whole number, or less than ``least``.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise OptionError(
            f"executor {executor!r}: {option} must be a whole number of at least {least}, "
            f"not {value!r}"
        )
    return value


def seconds(value: object, *, executor: str, option: str) -> float:
    """Return ``value`` as a float.

    Raises
    ------
    OptionError
        If it is not a number of seconds, from 0 to infinity.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise OptionError(f"executor {executor!r}: {option} must be in seconds, not {value!r}")
    if math.isnan(value) or value < 0:
        raise OptionError(f"executor {executor!r}: {option} must be 0 or more, not {value!r}")
    return float(value)


def environment(variables: Mapping[str, str] | None, *, executor: str) -> dict[str, str]:
    """Return environment variables as a dict.

    Raises
    ------
    OptionError
        If they do not map names to text; no value is told, since many are secret.
    """
    given: dict[Any, Any] = dict(variables or {})
    for name, value in given.items():
        if not isinstance(name, str) or not name or "=" in name or not isinstance(value, str):
            raise OptionError(
                f"executor {executor!r}: env_vars must map names to text, "
                f"not {name!r} to a {type(value).__name__}"
            )
    return given


def flag(value: object, *, executor: str, option: str) -> bool:
    """Return ``value`` as a bool.

    Raises
    ------
    OptionError
        If it is not True or False.
    """
    if not isinstance(value, bool):
        raise OptionError(f"executor {executor!r}: {option} must be True or False, not {value!r}")
    return value


def described(options: Mapping[str, Any]) -> str:
    """Return option names with their defaults, for messages; ``...`` stands for a required one."""
    return ", ".join(
        name if default is ... else f"{name}={default!r}" for name, default in options.items()
    )
