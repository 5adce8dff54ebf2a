"""Places that may be one though their names differ, found out by a small object that is written and looked for.

Wrappers of others may change keys, and one server may have several names. Where the metadata of two such places are the
same, something is written through one and looked for through the other.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from asyncexec.storage.places.errors import storage_error
from asyncexec.storage.places.held_names import known_name
from asyncexec.storage.places.identity import identity
from asyncexec.storage.places.metadata import documents
from asyncexec.storage.places.objects import objects_at
from asyncexec.storage.places.url_names import OBJECTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncexec.storage.places.locations import Location


def probed(
    written: Sequence[Location], others: Sequence[Location]
) -> tuple[Location, Location] | None:
    """Return the first of ``written`` that is one place with another of ``others``; None without any.

    Nothing is written where names decide, or where nothing is yet.

    Raises
    ------
    StorageError
        If a place cannot be read or written.
    """
    for place in written:
        for other in others:
            if other is not place and _may_be_one(place, other) and _is_one(place, other):
                return place, other
    return None


def _may_be_one(one: Location, other: Location) -> bool:
    if _is_unnamed(one) or _is_unnamed(other):
        return True
    names = [identity(location) for location in (one, other)]
    if not all(name.startswith(OBJECTS) for name in names):
        return False
    # Of one bucket and key on two servers, or behind a web address.
    paths = [name.removeprefix(OBJECTS).partition("/")[2] for name in names]
    return names[0] != names[1] and any(
        f"/{one}".endswith(f"/{other}") for one, other in (paths, paths[::-1])
    )


def _is_unnamed(location: Location) -> bool:
    return location.store is not None and known_name(location.store) is None


def _is_one(written: Location, other: Location) -> bool:
    there = documents(written)
    if not there or documents(other) != there:
        return False
    name, data = f".asyncexec-probe-{uuid.uuid4().hex}", b"asyncexec"
    objects = objects_at(written)
    try:
        objects.put(name, data)
        return objects_at(other, read_only=True).get(name) == data
    except Exception as error:  # noqa: BLE001 - as the store puts it
        raise storage_error(error, written, "cannot be written") from None
    finally:
        with suppress(Exception):
            objects.remove(name)
