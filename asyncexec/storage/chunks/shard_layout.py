"""The layout of a shard: inner chunks one after another, and an index of where each is, with a checksum.

That of Zarr 3's codec ``sharding_indexed`` (https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/index.html):
two 64-bit numbers for each inner chunk in C order, its offset and its length in bytes, both of all ones where there is
no such chunk; the index is at the end of the shard or at its beginning.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np

from asyncexec.storage.chunks.encodings import encoding_of

if TYPE_CHECKING:
    from asyncexec.plan.box import Shape
    from asyncexec.storage.chunks.arrays import Encoding

MISSING = np.uint64(2**64 - 1)
"""Offset and length of an inner chunk that is not there."""

GAP_BYTES = 64 * 1024
"""Inner chunks with no more between them are read at once, and what is between them with them."""

_CHECKSUM_BYTES = 4
_ENTRY = np.dtype("<u8")


@dataclass(frozen=True, slots=True)
class ShardLayout:
    """The layout of the shards of one array.

    Attributes
    ----------
    encoding : Encoding
        That of the inner chunks.
    grid : tuple of int
        The inner chunks of a shard along each axis.
    at_end : bool
        Whether the index is at the end.
    """

    encoding: Encoding
    grid: Shape
    at_end: bool

    @property
    def index_bytes(self) -> int:
        """The size of the index with its checksum."""
        return 16 * math.prod(self.grid) + _CHECKSUM_BYTES

    def index(self, data: Any) -> np.ndarray | None:
        """Return offset and length of each inner chunk, as a shard's index has them; None where it is damaged."""
        # A shard that is cut off, or smaller than its index.
        if len(data) != self.index_bytes:
            return None
        entries = np.frombuffer(data, np.uint8)[:-_CHECKSUM_BYTES]
        if data[-_CHECKSUM_BYTES:] != _crc32c(entries):
            return None
        return entries.view(_ENTRY).reshape(*self.grid, 2)

    def joined(self, chunks: Sequence[Any]) -> bytes:
        """Return the shard of encoded ``chunks``, in C order; None stands for one that is not there."""
        lengths = [0 if data is None else len(data) for data in chunks]
        ends = np.cumsum(lengths, dtype=np.int64)
        entries = np.stack([ends - lengths, lengths], axis=-1).astype(_ENTRY)
        entries[:, 0] += 0 if self.at_end else self.index_bytes
        entries[[data is None for data in chunks]] = MISSING
        index = entries.tobytes()
        index += _crc32c(np.frombuffer(index, np.uint8))
        written = [data for data in chunks if data is not None]
        return b"".join([*written, index] if self.at_end else [index, *written])


def shard_layout(
    document: Mapping[str, Any], dtype: np.dtype[Any], shards: Shape, chunks: Shape
) -> ShardLayout | None:
    """Return the layout of shards from an array's metadata; None where Zarr alone can read and write them."""
    if document["zarr_format"] != 3 or document["chunk_grid"]["name"] != "regular":
        return None
    outer = document["codecs"]
    if len(outer) != 1 or outer[0]["name"] != "sharding_indexed":
        return None
    options = outer[0]["configuration"]
    names = [codec["name"] for codec in options["index_codecs"]]
    big = "big" in str(options["index_codecs"][0].get("configuration", {}).get("endian", "little"))
    # Nobody writes an index otherwise; Zarr reads those that somebody does.
    if names != ["bytes", "crc32c"] or big:
        return None
    encoding = encoding_of({**document, "codecs": options["codecs"]}, dtype)
    if encoding is None:
        return None
    grid = tuple(n // c for n, c in zip(shards, chunks, strict=True))
    place = options.get("index_location", "end")
    return ShardLayout(encoding, grid, str(getattr(place, "value", place)) == "end")


def ranges(
    entries: Iterable[tuple[int, int]], gap: int = GAP_BYTES, most: int | None = None
) -> list[tuple[int, int]]:
    """Return the ranges of bytes, from start to stop, that have all ``entries`` (offset and length), as few as can be.

    None is longer than ``most``, unless an entry is.

    >>> from asyncexec.storage.chunks.shard_layout import ranges
    >>> ranges([(300, 50), (0, 100), (100, 20)], gap=10)
    [(0, 120), (300, 350)]
    >>> ranges([(300, 50), (0, 100), (100, 20)], gap=1000, most=200)
    [(0, 120), (300, 350)]
    """
    found: list[tuple[int, int]] = []
    for offset, length in sorted(entries):
        start, stop = found[-1] if found else (0, -gap - 1)
        longer = max(stop, offset + length)
        if offset <= stop + gap and (most is None or longer - start <= most or longer == stop):
            found[-1] = start, longer
        else:
            found.append((offset, offset + length))
    return found


def _crc32c(data: np.ndarray) -> bytes:
    return int(google_crc32c.value(data)).to_bytes(_CHECKSUM_BYTES, "little")
