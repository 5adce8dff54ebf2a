"""Durations as people write them."""

from __future__ import annotations

import re

from asyncexec.config.checks import duration
from asyncexec.errors import OptionError

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])\s*")
_WHOLE = re.compile(rf"\s*(?:{_PART.pattern})+")


def parse_duration(value: float | str, *, what: str = "duration") -> float:
    """Return a duration in seconds.

    >>> from asyncexec.config.durations import parse_duration
    >>> parse_duration("1h30m"), parse_duration("2 d"), parse_duration(5)
    (5400.0, 172800.0, 5.0)

    Parameters
    ----------
    value : float or str
        A number of seconds, or text such as ``"90s"``, ``"1h30m"`` or ``"2d"``.
    what : str
        What takes so long, for the message.

    Raises
    ------
    OptionError
        If it is no duration.
    """
    if isinstance(value, str):
        if _WHOLE.fullmatch(value):
            return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(value))
        try:
            value = float(value)
        except ValueError as error:
            raise OptionError(
                f"{what}={value!r} is not a duration: write seconds, or text such as '90s', '1h30m' or '2d'"
            ) from error
    return duration(value, what)
