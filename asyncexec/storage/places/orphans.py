"""Chunks that late attempts of ended runs have left where nothing else is: they keep nobody from the place."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from asyncexec.storage.places.object_records import GENERATION
from asyncexec.storage.places.objects import Objects, objects_at

if TYPE_CHECKING:
    from asyncexec.storage.places.locations import Location

CHUNK = re.compile(r"c|(c[./])?\d+([./]\d+)*")
"""The names of chunks, whatever keys an array has."""
OWN = ".asyncexec"
"""What the names of objects begin with that only runs make."""
_MOST = 1_000


def orphans_at(location: Location) -> list[str] | None:
    """Return the names of what runs have left at ``location``; None if anything else is there.

    A chunk is known by the generation that it was written with. Of stores that keep none, nothing is known.
    """
    objects = objects_at(location, read_only=True)
    names = list(islice(objects.names(), _MOST + 1))
    if len(names) > _MOST or not all(_is_left(objects, name) for name in names):
        return None
    return [name for name in names if not name.startswith(OWN)]


def _is_left(objects: Objects, name: str) -> bool:
    if name.startswith(OWN):
        return True
    if not CHUNK.fullmatch(name):
        return False
    found = objects.fetch(name)
    return found is None or bool(found.attributes.get(GENERATION))
