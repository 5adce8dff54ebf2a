"""Settings as people type them: ``name=value`` and ``section.key=value``."""

from __future__ import annotations

import ast
import json
import tomllib
from collections.abc import Callable, Iterable
from datetime import date, time
from typing import Any

from asyncexec.config.tables import Tables
from asyncexec.errors import OptionError


def parse_json_pairs(pairs: Iterable[str], *, option: str) -> dict[str, Any]:
    """Return ``NAME=VALUE`` texts as a dict; a value is read as JSON where it is JSON, and is a text otherwise.

    Raises
    ------
    OptionError
        As :func:`parse_pairs`.
    """
    return parse_pairs(pairs, option=option, parse=_json_or_text, example="city=Utrecht")


def parse_pairs(
    pairs: Iterable[str],
    *,
    option: str,
    parse: Callable[[str], Any] | None = None,
    example: str = "max_workers=2",
) -> dict[str, Any]:
    """Return ``NAME=VALUE`` texts as a dict, with what :func:`parse_value` returns.

    Parameters
    ----------
    pairs : iterable of str
    option : str
        The option's name, for the message.
    parse : callable, optional
        Makes a value of its text instead.
    example : str
        For the message.

    Raises
    ------
    OptionError
        If one is not of that form, or a name comes twice.
    """
    parsed: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise OptionError(f"{option} {pair!r} is not of the form NAME=VALUE ({example}, say)")
        if name in parsed:
            raise OptionError(f"{option} gives {name!r} twice")
        parsed[name] = (parse or parse_value)(value)
    return parsed


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def assign_setting(tables: Tables, assignment: str) -> None:
    """Put ``section.key=value`` into ``tables``, with what :func:`parse_value` returns.

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
    tables.setdefault(section, {})[key] = parse_value(text.strip())


def parse_value(text: str) -> Any:
    """Return what ``text`` spells in Python or TOML (a number, a list, …), or ``text`` itself."""
    if text.lower() == "none":
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        pass
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    plain = parsed.keys() == {"value"} and not isinstance(parsed["value"], date | time)
    return parsed["value"] if plain else text
