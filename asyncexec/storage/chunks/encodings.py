"""The encoding of an array's chunks, from its metadata, where they can be read and written without Zarr."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from asyncexec.storage.chunks.arrays import Encoding

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np


def encoding_of(document: Mapping[str, Any], dtype: np.dtype[Any]) -> Encoding | None:
    """Return the encoding of chunks: elements in C order, at most one compressor, perhaps a checksum; else None."""
    if dtype.kind not in "biufc":
        return None
    return _encoding_2(document) if document["zarr_format"] == 2 else _encoding_3(document, dtype)


def _encoding_2(document: Mapping[str, Any]) -> Encoding | None:
    compressor = document.get("compressor")
    if (
        document.get("filters")
        or document["order"] != "C"
        or (compressor and compressor["id"] != "zstd")
    ):
        return None
    level = (compressor or {}).get("level", 0)
    text = (
        json.dumps({"configuration": {"checksum": False, "level": level}, "name": "zstd"})
        if compressor
        else ""
    )
    return Encoding(str(document["dtype"]), text)


def _encoding_3(document: Mapping[str, Any], dtype: np.dtype[Any]) -> Encoding | None:
    grid, codecs = document["chunk_grid"], list(document["codecs"])
    if (
        grid["name"] not in ("regular", "rectilinear")
        or document.get("storage_transformers")
        or not codecs
        or codecs[0]["name"] != "bytes"
    ):
        return None
    checksum = codecs[-1]["name"] == "crc32c"
    compressors = codecs[1:-1] if checksum else codecs[1:]
    if len(compressors) > 1 or any(
        codec["name"] not in ("zstd", "gzip", "blosc") for codec in compressors
    ):
        return None
    endian = codecs[0].get("configuration", {}).get("endian", "little")
    # Versions of Zarr give it as text or as a member of an enumeration.
    stored = dtype.newbyteorder(">" if str(getattr(endian, "value", endian)) == "big" else "<").str
    compressor = (
        json.dumps(compressors[0], sort_keys=True, default=lambda o: getattr(o, "value", str(o)))
        if compressors
        else ""
    )
    return Encoding(stored, compressor, checksum)
