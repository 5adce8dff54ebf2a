"""Arrays that are no files of this machine, each opened in the way that suits its store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncexec.storage.chunks.zarr_chunks import ZarrChunks
from asyncexec.storage.places.objects import client_of
from asyncexec.storage.places.stores import open_place

if TYPE_CHECKING:
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.chunks.object_chunks import ObjectChunks


def remote_chunks(ref: StoredArray) -> ObjectChunks | ZarrChunks:
    """Return the array that ``ref`` refers to, opened: directly where its store is obstore's and its encoding simple.

    Raises
    ------
    MissingExtraError, StorageError
        If the store cannot be opened.
    """
    if ref.encoding is None or ref.location.local_path is not None:
        return ZarrChunks(ref)
    place = open_place(ref.location, read_only=ref.location.read_only)
    client = client_of(place.store)
    if client is None:
        return ZarrChunks(ref)
    from asyncexec.storage.chunks.object_chunks import ObjectChunks  # noqa: PLC0415 - brings obstore, which is optional

    return ObjectChunks(ref, ref.encoding, client, place.path)
