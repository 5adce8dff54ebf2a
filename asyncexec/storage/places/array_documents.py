"""The metadata files of an array that is to be created, as Zarr writes them."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import zarr
from zarr.core.buffer import Buffer
from zarr.errors import UnknownCodecError, UnstableSpecificationWarning
from zarr.storage import MemoryStore

from asyncexec.errors import OptionError

if TYPE_CHECKING:
    from asyncexec.storage.chunks.arrays import StoredArray


def array_documents(ref: StoredArray, dimension_names: Sequence[str] = ()) -> dict[str, bytes]:
    """Return the metadata files that describe ``ref``, by name.

    Raises
    ------
    OptionError
        If Zarr knows no such compressor or element type.
    """
    files: dict[str, Buffer] = {}
    codecs: Any = [json.loads(ref.compressor)] if ref.compressor else []
    # Behind the compressor, so that damage is noticed before anything is made of it.
    codecs += [{"name": "crc32c"}] if ref.checksum else []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnstableSpecificationWarning)
            zarr.create_array(
                MemoryStore(files),
                shape=ref.shape,
                dtype=ref.numpy_dtype,
                chunks=ref.chunks,
                shards=ref.shards,
                compressors=codecs or None,
                filters=None,
                fill_value=ref.fill_element[()],
                zarr_format=3,
                dimension_names=list(dimension_names) or None,
            )
    except (UnknownCodecError, ValueError, TypeError, KeyError) as error:
        raise OptionError(f"{ref.location} cannot be made as asked: {error}") from None
    return {name: data.to_bytes() for name, data in files.items()}
