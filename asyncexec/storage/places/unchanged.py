"""The check that the array at a place is still the one that a reference was opened as."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from asyncexec.errors import ArrayNotFoundError, ArrayReplacedError
from asyncexec.storage.places.metadata import array_document, documents, is_array

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncexec.storage.chunks.arrays import StoredArray


def check_unchanged(ref: StoredArray, found: Mapping[str, bytes] | None = None) -> None:
    """Check that the array that ``ref`` was opened as is still at its place; its values may have changed.

    ``found`` is the metadata there, where it has been read.

    Raises
    ------
    ArrayNotFoundError
        If there is no array any more.
    ArrayReplacedError
        If there is another one.
    StorageError
        If the place cannot be read.
    """
    location = ref.location
    found = documents(location) if found is None else found
    if not is_array(found):
        raise ArrayNotFoundError(
            f"there is no Zarr array at {location} any more: somebody removed it"
        )
    now = array_document(found)
    if ref.metadata and now != ref.metadata:
        raise ArrayReplacedError(
            f"{location} was replaced since it was opened, by an array with other {_differences(ref.metadata, now)}: "
            f"open it again, and build what reads it anew"
        )


def _differences(before: str, now: str) -> str:
    """Return the names of the fields in which two metadata documents differ, for a message."""
    old, new = (json.loads(text or "{}") for text in (before, now))
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    return ", ".join(names)
