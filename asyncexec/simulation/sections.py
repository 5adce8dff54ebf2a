"""Sections of a simulation's file as dataclasses: unknown keys and values of another type are refused."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from asyncexec.errors import OptionError

type Tables = dict[str, dict[str, Any]]
"""Sections by name, each with its keys and values."""

_NO_PARSERS: Mapping[str, Callable[[Any], object]] = MappingProxyType({})


def read_tables(path: Path) -> Tables:
    """Return the sections of a TOML file.

    Raises
    ------
    OptionError
        If it cannot be read, is no TOML, or has keys outside of sections.
    """
    try:
        tables: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OptionError(f"the simulation's file {path} cannot be read: {error}") from error
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise OptionError(f"{path}: {name!r} stands outside of a section; begin one: [cluster]")
    return cast("Tables", tables)


def assign(tables: Tables, assignment: str) -> None:
    """Put ``section.key=value`` into ``tables``; the value is TOML where it can be, else text.

    Raises
    ------
    OptionError
        If it is not of that form.
    """
    path, equals, text = assignment.partition("=")
    section, dot, key = path.strip().partition(".")
    if not (equals and dot and key):
        raise OptionError(
            f"{assignment!r} is not of the form SECTION.KEY=VALUE (cluster.cold_start_seconds=30)"
        )
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    tables.setdefault(section, {})[key] = value


def section_of[T](
    kind: type[T],
    name: str,
    table: Mapping[str, Any],
    parsers: Mapping[str, Callable[[Any], object]] = _NO_PARSERS,
) -> T:
    """Return the section ``name`` as a ``kind``, a dataclass whose defaults say of which type its values are.

    Parameters
    ----------
    kind : type
    name : str
    table : mapping of str to object
    parsers : mapping of str to callable
        For the keys whose values are read in another way.

    Raises
    ------
    OptionError
        If a key is unknown, or its value is of another type or out of range.
    """
    defaults = {field.name: field.default for field in fields(cast("Any", kind))}
    refuse_unknown(table, defaults, f"the section [{name}]")
    return kind(
        **{
            key: parsers[key](value)
            if key in parsers
            else _as_typed(defaults[key], value, f"{name}.{key}")
            for key, value in table.items()
        }
    )


def refuse_unknown(given: Mapping[str, Any], known: Mapping[str, Any], where: str) -> None:
    """Raise OptionError for the first key of ``given`` that is not ``known``, with the nearest that is."""
    for key in given:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise OptionError(f"there is no {key!r} in {where}: {hint}it has {', '.join(known)}")


def one_of(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise OptionError if ``value`` is not one of ``choices``."""
    if value not in choices:
        raise OptionError(f"{name} is one of {', '.join(choices)}, not {value!r}")


def _as_typed(default: object, value: object, name: str) -> object:
    """Return ``value`` as what ``default`` is: a flag, a number, a text, or several of one of these."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match default:
        case bool() if isinstance(value, bool):
            return value
        case int() if not isinstance(default, bool) and number and isinstance(value, int):
            return value
        case float() if number:
            return float(cast("float", value))
        case None if number:  # A number that has no default.
            return value
        case str() if isinstance(value, str):
            return value
        case tuple() if isinstance(value, list | tuple):
            several = cast("Sequence[object]", value)
            if isinstance(default[0], str) or len(several) == len(default):
                return tuple(_as_typed(default[0], each, name) for each in several)
        case _:
            pass
    raise OptionError(f"{name} must be like {default!r}, not {value!r}")
