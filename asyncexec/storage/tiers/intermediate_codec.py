"""The encoding of intermediates, which nobody but their run reads: decided by their place, apart from targets.

Measured (``docs/explanation/storage.md``): on this machine's disk, no codec is as quick as none; where chunks travel,
blosc's lz4 with shuffle makes chunks as small as zstd does, in a quarter of its time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncexec.storage.chunks.array_traits import compressor_json

if TYPE_CHECKING:
    from asyncexec.storage.chunks.arrays import CompressorLike, StoredArray
    from asyncexec.storage.places.locations import Location


def intermediate(ref: StoredArray, compressor: CompressorLike = "auto") -> StoredArray:
    """Return ``ref``, an intermediate at its place, with its chunks compressed by ``compressor``.

    By default, those on this machine's disks are not, and those elsewhere are by blosc's lz4 with shuffle.
    """
    auto = isinstance(compressor, str) and compressor == "auto"
    chosen = codec_at(ref.location, ref.numpy_dtype.itemsize) if auto else compressor
    return ref.compressed(compressor_json(chosen))


def codec_at(place: Location, itemsize: int) -> dict[str, Any] | None:
    """Return the codec for intermediates at a place, of elements of so many bytes."""
    if place.local_path is not None or place.process_bound:
        return None
    options = {"cname": "lz4", "clevel": 5, "shuffle": "shuffle", "typesize": min(itemsize, 255)}
    return {"name": "blosc", "configuration": {**options, "blocksize": 0}}
