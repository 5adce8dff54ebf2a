"""Targets in zip files: made in the run's own place, and packed when they are complete.

A zip file takes every name once, and nothing in it is removed or replaced. So a run writes the chunks elsewhere, on
whatever executor, and the driver puts them into the file at the end, the metadata last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from asyncexec.errors import TargetExistsError
from asyncexec.storage.chunks.chunk_files import PARTIAL
from asyncexec.storage.places.creation import described
from asyncexec.storage.places.errors import storage_error
from asyncexec.storage.places.groups import Surroundings, make_group, surroundings
from asyncexec.storage.places.held_stores import innermost
from asyncexec.storage.places.metadata import documents
from asyncexec.storage.places.objects import objects_at

if TYPE_CHECKING:
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.places.locations import Location
    from asyncexec.storage.workspace.work_dir import WorkPlace

_METADATA = ("zarr.json", ".zarray", ".zattrs")


def is_packed(location: Location) -> bool:
    """Return whether ``location`` is in a zip file that is open for writing."""
    store = location.store
    return (
        store is not None and not store.read_only and type(innermost(store)).__name__ == "ZipStore"
    )


@dataclass(frozen=True, slots=True)
class PackedTarget:
    """A target in a zip file.

    Attributes
    ----------
    location : Location
        Its place in the zip file.
    ref : StoredArray
        As the run makes it, in its own place.
    around : Surroundings
        The groups that it is in.
    """

    location: Location
    ref: StoredArray
    around: Surroundings

    def publish(self) -> None:
        """Put the array into the zip file.

        Raises
        ------
        TargetExistsError
            If there is an array by now.
        StorageError
            If it cannot be written; what has been written of it stays in the file, without metadata.
        """
        check_empty(self.location)
        made = objects_at(self.ref.location, read_only=True)
        files = described(self.ref.at(self.location), grouped=self.around.is_grouped)
        try:
            for group in self.around.missing:
                make_group(group, self.around.zarr_format)
            packed = objects_at(self.location)
            # The metadata last: until they are there, the file holds no array.
            for name in made.names():
                if name not in _METADATA and not name.startswith(PARTIAL):
                    packed.put(name, made.get(name) or b"")
            for name, data in files.items():
                packed.put(name, data)
        except Exception as error:  # noqa: BLE001 - as the store puts it
            raise storage_error(error, self.location, "cannot be packed") from None


def pack_targets(
    refs: Sequence[StoredArray], place: WorkPlace, generation: str
) -> list[PackedTarget]:
    """Return the targets ``refs`` in zip files as a run with ``generation`` makes them, in its own place.

    Raises
    ------
    TargetExistsError
        If there is an array already, or anything else.
    """
    packed: list[PackedTarget] = []
    for number, ref in enumerate(refs):
        check_empty(ref.location)
        around = surroundings(ref.location).in_format(ref.traits.zarr_format)
        own = ref.in_format(around.zarr_format).at(place.location.join(f"packed-{number}"))
        packed.append(PackedTarget(ref.location, replace(own, generation=generation), around))
    return packed


def check_empty(location: Location) -> None:
    """Check that there is no array, group or anything else at ``location``.

    Raises
    ------
    TargetExistsError
        If there is.
    """
    if documents(location) or not objects_at(location, read_only=True).is_empty():
        raise TargetExistsError(
            f"{location} holds something already, and nothing in a zip file is replaced, also not with overwrite=True. "
            f"Store at another path in it, or in another file"
        )
