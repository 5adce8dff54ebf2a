"""The check that what workers in other processes write comes back: a store that travels may be another one there."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from asyncexec.errors import OptionError
from asyncexec.storage.places.errors import safe_message
from asyncexec.storage.places.objects import objects_at
from asyncexec.storage.places.suitability import check_travels

if TYPE_CHECKING:
    from asyncexec.storage.places.locations import Location

PROBE = ".asyncexec-probe-"
"""The name of an object that is written at a place, looked for and deleted begins so."""


def check_shared(locations: Iterable[Location]) -> None:
    """Check that workers in other processes reach ``locations``, and that what they write there comes back.

    Of each store that was handed in, a small object is written by a copy that has travelled, looked for in the store
    itself, and deleted.

    Raises
    ------
    OptionError
        If a place is in this process's memory, its store cannot travel, or what a copy of it writes is lost.
    """
    tried: list[Any] = []
    for location in locations:
        travelled = check_travels(location)
        # Once for each store, as each time costs several requests.
        if location.store is None or any(location.store is store for store in tried):
            continue
        tried.append(location.store)
        _check_comes_back(location, travelled)


def _check_comes_back(location: Location, travelled: Location) -> None:
    name = f"{PROBE}{uuid.uuid4().hex}"
    mine, theirs = objects_at(location), objects_at(travelled)
    kind, why = type(location.store).__name__, "is another store"
    try:
        theirs.put(name, b"asyncexec")
        if mine.get(name) is not None:
            return
    except Exception as error:  # noqa: BLE001 - as the store puts it
        why = f"cannot be written to ({type(error).__name__}: {safe_message(error, location)})"
    finally:
        for objects in (theirs, mine):
            with suppress(Exception):
                objects.remove(name)
    raise OptionError(
        f"{location} is not shared with workers of this executor: a {kind} sent to them {why}, so that what they write "
        f"would be lost. Use executor='threads', or a directory or bucket"
    )
