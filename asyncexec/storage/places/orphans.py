"""Chunks that late attempts of ended runs have left where nothing else is: they keep nobody from the place."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from asyncexec.errors import AsyncexecError
from asyncexec.storage.places.ahead import Ahead
from asyncexec.storage.places.errors import storage_error
from asyncexec.storage.places.object_records import GENERATION
from asyncexec.storage.places.objects import Objects, objects_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from asyncexec.storage.places.locations import Location

CHUNK = re.compile(r"c|(c[./])?\d+([./]\d+)*")
"""The names of chunks, whatever keys an array has."""
OWN = ".asyncexec"
"""What the names of objects begin with that only runs make."""
_MOST = 1_000


def names_at(location: Location) -> list[str]:
    """Return the names of the objects at ``location``, and of many the first ones.

    Raises
    ------
    StorageError
        If they cannot be listed.
    """
    return _NAMES.answer(location)


def names_ahead(locations: Iterable[Location]) -> AbstractContextManager[None]:
    """Have the objects at ``locations`` listed at the same time; the first :func:`names_at` of each has the names.

    What nobody has asked for by the end is forgotten.
    """
    return _NAMES.asked(locations, least=1)


def orphans_at(location: Location, names: Sequence[str] | None = None) -> list[str] | None:
    """Return the names of what runs have left at ``location``; None if anything else is there.

    A chunk is known by the generation that it was written with. Of stores that keep none, nothing is known. ``names``
    are those of :func:`names_at`, where they have been read.
    """
    if names is None:
        names = names_at(location)
    if not names:
        return []
    objects = objects_at(location, read_only=True)
    if len(names) > _MOST or not all(_is_left(objects, name) for name in names):
        return None
    return [name for name in names if not name.startswith(OWN)]


def _names(location: Location) -> list[str]:
    try:
        return list(islice(objects_at(location, read_only=True).names(), _MOST + 1))
    except AsyncexecError:
        raise
    except Exception as error:  # noqa: BLE001 - as the store puts it
        raise storage_error(error, location, "cannot be read") from None


def _is_left(objects: Objects, name: str) -> bool:
    if name.startswith(OWN):
        return True
    if not CHUNK.fullmatch(name):
        return False
    found = objects.fetch(name)
    return found is None or bool(found.attributes.get(GENERATION))


_NAMES = Ahead(_names)
