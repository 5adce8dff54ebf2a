"""Policies from the fields that a file or a mapping gives for them."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from inspect import signature
from typing import Any

from asyncexec.errors import OptionError


def from_fields[T](kind: type[T], given: Mapping[Any, Any]) -> T:
    """Return an object of its fields by name; lists are tuples.

    >>> from asyncexec.policies.from_fields import from_fields
    >>> from_fields(ax.Retry, {"attempts": 6, "transient": ["aiohttp.ClientError"]}).transient
    ('aiohttp.ClientError',)

    Raises
    ------
    OptionError
        If a name is unknown, with the nearest that is known, or a value cannot be.
    """
    names = list(signature(kind).parameters)
    for name in given:
        if name not in names:
            near = get_close_matches(str(name), names, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise OptionError(
                f"there is no {name!r} in {kind.__name__}: {hint}it has {', '.join(names)}"
            )
    try:
        return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()})
    except TypeError as error:
        raise OptionError(f"{kind.__name__}: {error}") from error
