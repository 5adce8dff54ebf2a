"""Arrays that are no files of this machine, each opened in the way that suits its store."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from asyncexec.storage.chunks.shard_codec import ShardCodec, layout_of
from asyncexec.storage.chunks.shard_objects import BucketReads, ShardObjects, StoreReads
from asyncexec.storage.chunks.zarr_chunks import ZarrChunks
from asyncexec.storage.places.objects import client_of
from asyncexec.storage.places.stores import open_place

if TYPE_CHECKING:
    from zarr.storage import StorePath

    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.chunks.object_chunks import ObjectChunks
    from asyncexec.storage.chunks.shard_layout import ShardLayout


def remote_chunks(ref: StoredArray) -> ObjectChunks | ShardObjects | ZarrChunks:
    """Return the array that ``ref`` refers to, opened: directly where its encoding is simple.

    Chunks are directly read and written in stores of obstore's, shards read in stores of any kind.

    Raises
    ------
    MissingExtraError, StorageError
        If the store cannot be opened.
    """
    layout = layout_of(ref)
    if ref.location.local_path is not None or (ref.encoding is None and layout is None):
        return ZarrChunks(ref)
    place = open_place(ref.location, read_only=ref.location.read_only)
    client = client_of(place.store)
    if layout is not None:
        return _shards(ref, layout, place, client)
    if client is None or ref.encoding is None:
        return ZarrChunks(ref)
    from asyncexec.storage.chunks.object_chunks import ObjectChunks  # noqa: PLC0415 - brings obstore, which is optional

    return ObjectChunks(ref, ref.encoding, client, place.path)


def _shards(ref: StoredArray, layout: ShardLayout, place: StorePath, client: Any) -> ShardObjects:
    if client is None:
        return ShardObjects(ref, layout, place.path, reads=StoreReads(place.store))
    from asyncexec.storage.chunks.object_units import ObjectUnits  # noqa: PLC0415 - brings obstore, which is optional

    units = ObjectUnits(
        ref,
        client,
        place.path,
        encoded=ShardCodec(ref, layout).encoded,
        nbytes=math.prod(ref.unit) * ref.numpy_dtype.itemsize,
    )
    return ShardObjects(ref, layout, place.path, reads=BucketReads(units), writes=units)
