"""Keys and namespaces: what they may be, and the error for a key that is not there."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

from asyncexec.errors import KeyNotFoundError, OptionError

MOST_CHARACTERS = 512
_COMPARED = 500
"""Keys that are compared with a missing one: more would take longer than anybody waits for an error."""


def checked_name(name: object, what: str) -> str:
    """Return a key or namespace.

    Raises
    ------
    OptionError
        If it is no text of 1 to 512 characters.
    """
    if not isinstance(name, str) or not 0 < len(name) <= MOST_CHARACTERS or not _is_unicode(name):
        raise OptionError(
            f"{what} must be text of 1 to {MOST_CHARACTERS} characters, not {name!r:.80}"
        )
    return name


def key_not_found(key: str, namespace: str, known: Iterable[str], where: str) -> KeyNotFoundError:
    """Return the error for a ``key`` that is not there, with those ``known`` that are spelled most like it."""
    near = nearest_keys(key, known)
    hint = f": did you mean {' or '.join(map(repr, near))}?" if near else ""
    return KeyNotFoundError(f"there is no {key!r} in namespace {namespace!r} of {where}{hint}")


def nearest_keys(key: str, known: Iterable[str]) -> list[str]:
    """Return up to three of the first ``known`` keys that are spelled most like ``key``."""
    return get_close_matches(key, list(islice(known, _COMPARED)), n=3)


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
