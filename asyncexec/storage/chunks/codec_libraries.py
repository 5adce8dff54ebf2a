"""The library that encodes and decodes each codec: numcodecs, or a quicker one where it is installed.

What is stored is in the same format, whoever encoded it. By ``python -m benchmarks codecs_large codecs_small``,
zstandard keeps its tables from one small chunk to the next, and isal writes gzip several times as fast as zlib.
"""

from __future__ import annotations

import json
import math
import threading
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from asyncexec.storage.chunks.buffers import LEAST_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncexec.storage.chunks.arrays import StoredArray

SMALL_BYTES = LEAST_BYTES
"""Below that, zstd spends much on making its tables, and chunks are not decoded into memory that is used again."""

_SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}
_ZSTD_DEFAULT_LEVEL = 3
_ISAL_LEVELS = {1: 1, 2: 1, 3: 2, 4: 3, 5: 3}
"""Levels of isal for those of zlib; from 6 on people ask for small files, which zlib makes."""


def codec(compressor: str, chunk_bytes: int | None = None) -> Any:
    """Return what encodes chunks of ``chunk_bytes``; None for ``compressor=""``.

    Parameters
    ----------
    compressor : str
        JSON in Zarr 3's terms.
    chunk_bytes : int, optional
        Where it is not given, chunks may have any size.
    """
    if not compressor:
        return None
    library = codec_library(compressor, chunk_bytes)
    if library == "zstandard":
        return _Zstandard(**json.loads(compressor).get("configuration", {}))
    plain = plain_codec(compressor)
    return _Isal(plain) if library == "isal" else plain


def plain_codec(compressor: str) -> Any:
    """Return the codec of numcodecs that ``compressor`` (JSON in Zarr 3's terms) describes."""
    # Imported here, as it takes as long as NumPy, of which workers that need none are spared.
    numcodecs = import_module("numcodecs")
    document = json.loads(compressor)
    name, options = document["name"], dict(document.get("configuration", {}))
    if name == "blosc":
        options["shuffle"] = _SHUFFLES[options["shuffle"]]
        options.pop("typesize", None)  # numcodecs takes it from the buffer
        return numcodecs.Blosc(**options)
    return {"zstd": numcodecs.Zstd, "gzip": numcodecs.GZip}[name](**options)


def codec_library(compressor: str, chunk_bytes: int | None = None) -> str:
    """Return the name of the library that encodes such chunks in this process; ``""`` where nothing is encoded."""
    if not compressor:
        return ""
    name = json.loads(compressor)["name"]
    # The format is gzip's whoever writes it, so that the quickest may.
    if name == "gzip" and _found("isal.igzip") is not None:
        return "isal"
    is_small = chunk_bytes is not None and chunk_bytes < SMALL_BYTES
    return "zstandard" if name == "zstd" and is_small and _found("zstandard") else "numcodecs"


def codec_words(arrays: Iterable[StoredArray]) -> str:
    """Return the codecs of ``arrays``, each with its library: ``"gzip by isal, zstd by numcodecs"``."""
    found = set[str]()
    for array in arrays:
        if array.encoding is not None and (compressor := array.encoding.compressor):
            nbytes = math.prod(array.chunks) * array.numpy_dtype.itemsize
            name = json.loads(compressor)["name"]
            found.add(f"{name} by {codec_library(compressor, nbytes)}")
    return ", ".join(sorted(found))


@lru_cache
def _found(module: str) -> Any:
    """Return a module of an optional package; None where it is not installed."""
    try:
        return import_module(module)
    except ImportError:
        return None


class _Zstandard:
    """The codec zstd by the package zstandard, with one context a thread."""

    def __init__(self, *, level: int = 0, checksum: bool = False) -> None:
        self._level = level or _ZSTD_DEFAULT_LEVEL
        self._checksum = checksum
        # A context must not be used by two threads at once, and takes long to make.
        self._contexts = threading.local()

    def encode(self, buf: Any) -> Any:
        try:
            encoder = self._contexts.encoder
        except AttributeError:
            encoder = self._contexts.encoder = _found("zstandard").ZstdCompressor(
                level=self._level, write_checksum=self._checksum
            )
        return encoder.compress(buf)

    def decode(self, buf: Any) -> Any:
        try:
            decoder = self._contexts.decoder
        except AttributeError:
            decoder = self._contexts.decoder = _found("zstandard").ZstdDecompressor()
        try:
            return decoder.decompress(buf, allow_extra_data=False)
        except Exception:  # noqa: BLE001 - the library's own error, whatever its name is
            # Frames of unknown size, several frames, or damage, of which the other library tells as ever.
            return import_module("numcodecs").Zstd(self._level).decode(buf)


class _Isal:
    """The codec gzip by the package isal."""

    def __init__(self, plain: Any) -> None:
        self._plain = plain
        self._igzip = _found("isal.igzip")
        self._level = _ISAL_LEVELS.get(plain.level)

    def encode(self, buf: Any) -> Any:
        if self._level is None:
            return self._plain.encode(buf)
        return self._igzip.compress(memoryview(buf).cast("B"), self._level, mtime=0)

    def decode(self, buf: Any) -> Any:
        try:
            return self._igzip.decompress(buf)
        except Exception:  # noqa: BLE001 - as above
            return self._plain.decode(buf)
