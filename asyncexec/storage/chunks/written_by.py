"""The runs by which chunks were written, as far as their store keeps that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncexec.storage.chunks.generations import is_own
from asyncexec.storage.places.object_records import GENERATION
from asyncexec.storage.places.objects import client_of
from asyncexec.storage.places.stores import open_place

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncexec.plan.box import Index
    from asyncexec.storage.chunks.arrays import StoredArray

_DOCUMENTS = ("zarr.json", ".zarray")


def written_by_plan(ref: StoredArray) -> Callable[[Index], bool]:
    """Return a function that returns whether a chunk (or shard) of ``ref`` is of a run of its plan.

    Where the store keeps no attributes of objects, all that is there is taken for such a run's.

    Raises
    ------
    StorageError
        If the store cannot be opened.
    """
    if not ref.generation or ref.location.local_path is not None:
        return _is_taken
    place = open_place(ref.location, read_only=True)
    client = client_of(place.store)
    if client is None:
        return _is_taken
    from asyncexec.storage.places.object_client import attributes  # noqa: PLC0415 - brings obstore, which is optional

    prefix = f"{place.path.strip('/')}/" if place.path.strip("/") else ""
    if not any(GENERATION in attributes(client, f"{prefix}{name}") for name in _DOCUMENTS):
        return _is_taken

    def is_of_plan(unit: Index) -> bool:
        found = attributes(client, f"{prefix}{ref.keys.key(unit)}").get(GENERATION, "")
        return is_own(found, ref.generation)

    return is_of_plan


def _is_taken(_unit: Index) -> bool:
    return True
