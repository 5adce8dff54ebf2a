"""Options as people type them."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

from asyncexec.errors import OptionError


def parse_pairs(pairs: Iterable[str], *, option: str) -> dict[str, Any]:
    """Return ``NAME=VALUE`` texts as a dict; values are Python literals where they can be, else text.

    Parameters
    ----------
    pairs : iterable of str
    option : str
        What the option is called, for the message.

    Raises
    ------
    OptionError
        If one is not of that form, or a name comes twice.
    """
    parsed: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise OptionError(
                f"{option} {pair!r} is not of the form NAME=VALUE (max_workers=2, say)"
            )
        if name in parsed:
            raise OptionError(f"{option} gives {name!r} twice")
        parsed[name] = literal(value)
    return parsed


def literal(text: str) -> Any:
    """Return the Python number, text, list, … that ``text`` spells, or ``text`` itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return {"true": True, "false": False, "none": None}.get(text.lower(), text)
