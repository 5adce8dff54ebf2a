"""The runs by which chunks were written, as far as their store keeps that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncexec.storage.chunks.generations import is_own
from asyncexec.storage.places.concurrently import for_each
from asyncexec.storage.places.object_records import GENERATION
from asyncexec.storage.places.objects import client_of
from asyncexec.storage.places.stamps import STAGED
from asyncexec.storage.places.stores import open_place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncexec.plan.box import Index
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.places.locations import Location

_DOCUMENTS = ("zarr.json", ".zarray", STAGED)
_LOOKED_AT_ONCE = 64


def written_by_plan(ref: StoredArray) -> Callable[[Index], bool]:
    """Return a function that returns whether a chunk (or shard) of ``ref`` is of a run of its plan.

    Where the store keeps no attributes of objects, all that is there is taken for such a run's.

    Raises
    ------
    StorageError
        If the store cannot be opened.
    """
    if not ref.generation:
        return _is_taken
    written_by = generations_at(ref.location)
    if written_by is None:
        return _is_taken
    return lambda unit: is_own(written_by(ref.keys.key(unit)), ref.generation)


def generations_at(location: Location) -> Callable[[str], str] | None:
    """Return a function that returns the generation of an object below ``location``, empty where it has none.

    None where the store keeps no attributes of objects.

    Raises
    ------
    StorageError
        If the store cannot be opened.
    """
    if location.local_path is not None:
        return None
    place = open_place(location, read_only=True)
    client = client_of(place.store)
    if client is None:
        return None
    from asyncexec.storage.places.object_client import attributes  # noqa: PLC0415 - brings obstore, which is optional

    prefix = f"{place.path.strip('/')}/" if place.path.strip("/") else ""
    if not any(GENERATION in attributes(client, f"{prefix}{name}") for name in _DOCUMENTS):
        return None
    return lambda name: attributes(client, f"{prefix}{name}").get(GENERATION, "")


def written_by_runs(location: Location, names: Sequence[str]) -> list[str]:
    """Return those of ``names``, of chunks below ``location``, that some run has written and nobody else.

    All of them where the store keeps no attributes of objects.

    Raises
    ------
    StorageError
        If the store cannot be opened.
    """
    written_by = generations_at(location) if names else None
    if written_by is None:
        return list(names)
    generations = for_each(written_by, names, width=_LOOKED_AT_ONCE)
    return [name for name, found in zip(names, generations, strict=True) if found]


def _is_taken(_unit: Index) -> bool:
    return True
