"""The keys of an array's chunks: their names below the array."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from asyncexec.plan.box import Index, Shape


@dataclass(frozen=True, slots=True)
class ChunkKeys:
    """The keys of the chunks of an array: Zarr 3's ``chunk_key_encoding``, format 2's ``dimension_separator``.

    >>> from asyncexec.storage.chunks.chunk_keys import ChunkKeys
    >>> ChunkKeys().key((0, 1)), ChunkKeys("v2", ".").key((0, 1))
    ('c/0/1', '0.1')
    >>> ChunkKeys().index("c/0/1", grid=(2, 2))
    (0, 1)

    Attributes
    ----------
    kind : "default" or "v2"
        Whether keys begin with ``c``, or are the numbers of the chunk alone.
    separator : "/" or "."
        What is between the numbers.
    """

    kind: Literal["default", "v2"] = "default"
    separator: str = "/"

    @property
    def prefix(self) -> str:
        """The beginning of the keys of an array with axes: ``"c/"``, ``"c."`` or nothing."""
        return f"c{self.separator}" if self.kind == "default" else ""

    def key(self, index: Index) -> str:
        """Return the key of the chunk ``index``; ``c`` or ``0`` is the chunk of an array without axes."""
        if not index:
            return "c" if self.kind == "default" else "0"
        return self.prefix + self.separator.join(map(str, index))

    def index(self, key: str, grid: Shape) -> Index | None:
        """Return the chunk of ``key`` in a ``grid`` of so many chunks along each axis; None for another key."""
        if not grid:
            return () if key == self.key(()) else None
        parts = key.removeprefix(self.prefix).split(self.separator)
        if len(parts) != len(grid) or not all(part.isdecimal() for part in parts):
            return None
        index = tuple(int(part) for part in parts)
        # What is spelt in another way, such as "c/00", is not a chunk.
        inside = all(i < n for i, n in zip(index, grid, strict=True))
        return index if inside and self.key(index) == key else None


DEFAULT_KEYS = ChunkKeys()
"""The keys of chunks of arrays that runs make in format 3."""


def chunk_keys_of(document: Mapping[str, Any]) -> ChunkKeys:
    """Return the keys that the metadata ``document`` of an array (of format 3 or 2) declares."""
    if document["zarr_format"] == 2:
        return ChunkKeys("v2", document.get("dimension_separator") or ".")
    encoding = document["chunk_key_encoding"]
    kind: Literal["default", "v2"] = "v2" if encoding["name"] == "v2" else "default"
    separator = encoding.get("configuration", {}).get("separator")
    return ChunkKeys(kind, separator or ("." if kind == "v2" else "/"))
