"""Places that may be one though their names differ, found out by a small object that is written and looked for.

Wrappers of others may change keys, and one server may have several names. Where the metadata of two such places are the
same, something is written through one and looked for through the other.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass
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
    # By identity, as places that are equal are what is looked for.
    found = {id(place): _Named.of(place) for place in others}
    known: dict[str, dict[str, bytes]] = {}
    # Of those that names decide about, none is asked for.
    asked = [named for named in found.values() if named.path or named.unnamed]
    for place in written:
        mine = found.get(id(place)) or _Named.of(place)
        for other in asked if not mine.unnamed else found.values():
            if other.place is not place and mine.may_be(other) and _is_one(mine, other, known):
                return place, other.place
    return None


@dataclass(frozen=True, slots=True)
class _Named:
    """A place, with what its name says of others that may be it.

    Attributes
    ----------
    place : Location
    unnamed : bool
        Whether its store does not say where it leads to.
    name : str
    path : str
        The bucket and key of a place on a server.
    """

    place: Location
    unnamed: bool
    name: str
    path: str

    @classmethod
    def of(cls, place: Location) -> _Named:
        name = identity(place)
        unnamed = place.store is not None and known_name(place.store) is None
        path = name.removeprefix(OBJECTS).partition("/")[2] if name.startswith(OBJECTS) else ""
        return cls(place, unnamed, name, path)

    def may_be(self, other: _Named) -> bool:
        """Return whether both may be one place: a bucket of one name on two servers, or behind a web address."""
        if self.unnamed or other.unnamed:
            # Of one store, the paths say it.
            return self.place.store is not other.place.store
        if not self.path or not other.path or self.name == other.name:
            return False
        mine, others = f"/{self.path}", f"/{other.path}"
        return mine.endswith(others) or others.endswith(mine)


def _is_one(mine: _Named, other: _Named, known: dict[str, dict[str, bytes]]) -> bool:
    """Return whether both are one place; ``known`` has the metadata that have been read, by name."""
    for named in (mine, other):
        if named.name not in known:
            known[named.name] = documents(named.place)
    # Nothing is written as long as what is there says that they differ.
    if not known[mine.name] or known[other.name] != known[mine.name]:
        return False
    name, data = f".asyncexec-probe-{uuid.uuid4().hex}", b"asyncexec"
    objects = objects_at(mine.place)
    try:
        objects.put(name, data)
        return objects_at(other.place, read_only=True).get(name) == data
    except Exception as error:  # noqa: BLE001 - as the store puts it
        raise storage_error(error, mine.place, "cannot be written") from None
    finally:
        with suppress(Exception):
            objects.remove(name)
