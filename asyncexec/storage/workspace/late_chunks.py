"""Chunks in object stores that late attempts of ended runs have left, and no array reads.

They are known by the generation that they were written with, of stores that keep it. Where an array is, they have other
keys than its own: those of an array that was to replace it, or of one that it has replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from asyncexec.storage.chunks.chunk_keys import chunk_keys_of
from asyncexec.storage.chunks.written_by import generations_at
from asyncexec.storage.places.concurrently import for_each
from asyncexec.storage.places.metadata import documents, is_array
from asyncexec.storage.places.object_records import METADATA
from asyncexec.storage.places.objects import objects_at
from asyncexec.storage.places.orphans import orphans_at
from asyncexec.storage.workspace.staging import document_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncexec.storage.places.locations import Location

_SPELLINGS = {
    "c/": re.compile(r"(?:(.*?)/)?c(?:/\d+)+"),
    "c.": re.compile(r"(?:(.*)/)?c(?:\.\d+)+"),
    "c": re.compile(r"(?:(.*)/)?c"),
    ".": re.compile(r"(?:(.*)/)?(?:\d+(?:\.\d+)+|0)"),
}
"""The spellings of keys that say where the array would be; of ``0/0`` alone that is not known."""
_WHEREVER = 2**62
"""More chunks than an array has: those beyond its end are not looked at, as it may grow again."""


def spelling_of(name: str) -> tuple[str, str] | None:
    """Return the folder of the array that a chunk would be of, and how its key is spelt; None of other names."""
    for spelling, pattern in _SPELLINGS.items():
        found = pattern.fullmatch(name)
        if found is not None:
            return found[1] or "", spelling
    return None


def may_be_late(spelling: str, found: Mapping[str, bytes]) -> bool:
    """Return whether chunks so spelt are none of an array with the metadata ``found``, if there is one."""
    if not is_array(found):
        return not found and spelling in ("c/", "c.")
    document = document_of(found)
    if document is None:
        return False
    keys, ndim = chunk_keys_of(document), len(document["shape"])
    if keys.kind == "default":
        return spelling != (keys.prefix if ndim else "c")
    return spelling != "." or (keys.separator == "/" and ndim > 1)


def late_chunks_at(location: Location) -> list[str]:
    """Return the names of chunks at ``location`` that late attempts have left there.

    Raises
    ------
    StorageError
        If the place cannot be read.
    """
    found = documents(location)
    if not found:
        return orphans_at(location) or []
    # Without generations nothing says that a chunk is late, and it is left alone.
    document, written_by = document_of(found), generations_at(location)
    if document is None or written_by is None or not is_array(found):
        return []
    keys, grid = chunk_keys_of(document), (_WHEREVER,) * len(document["shape"])
    names = [
        name
        for name in objects_at(location, read_only=True).names()
        if (spelling_of(name) or ("/", ""))[0] == "" and keys.index(name, grid) is None
    ]
    return having(names, lambda name: written_by(name) not in ("", METADATA))


def having(names: list[str], holds: Callable[[str], bool]) -> list[str]:
    """Return those of ``names`` of which something ``holds`` that the store is asked for, many at a time."""
    answers = for_each(holds, names, stop=_go_on)
    return [name for name, answer in zip(names, answers, strict=True) if answer]


def _go_on() -> None:
    """Return: nobody cancels this."""
