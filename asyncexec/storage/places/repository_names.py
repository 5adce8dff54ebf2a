"""Names of the repositories that sessions of Icechunk belong to, for messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec

from asyncexec.masking import masked_logins

ICECHUNK = "icechunk"
_NAMES = ("bucket", "container", "prefix", "path")
"""The parts of a repository's storage that name it; others may be secrets."""


def repository_name(session: Any) -> str:
    """Return the place of the repository that ``session`` belongs to, without secrets, as far as it is said."""
    with suppress(Exception):  # What is in a session's bytes is its own affair.
        state = msgspec.msgpack.decode(session._session.as_bytes(), strict=False)  # noqa: SLF001 - there is no other
        for part in filter(_is_storage, _parts(state)):
            server = next((text for text in _parts(part) if _is_url(text)), "")
            said = [server, *(str(part[name]) for name in _NAMES if part.get(name))]
            return f"{ICECHUNK} {masked_logins(' '.join(filter(None, said)))}"
    return ICECHUNK


def _parts(state: Any) -> Iterator[Any]:
    """Yield ``state``, and all that is in it."""
    yield state
    inner = state.values() if isinstance(state, dict) else state if isinstance(state, list) else ()
    for part in inner:
        yield from _parts(part)


def _is_storage(part: Any) -> bool:
    return isinstance(part, dict) and any(
        part.get(name) for name in ("bucket", "container", "path")
    )


def _is_url(part: Any) -> bool:
    return isinstance(part, str) and part.startswith(("http://", "https://"))
