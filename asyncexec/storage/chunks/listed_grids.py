"""Zarr's rectilinear grids, in which the chunks along an axis are listed: what documents say of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import accumulate, takewhile
from typing import TYPE_CHECKING, Any

from asyncexec.plan.lengths import Lengths

if TYPE_CHECKING:
    from asyncexec.plan.box import Shape
    from asyncexec.storage.chunks.arrays import StoredArray


def listed_lengths(document: Mapping[str, Any], shape: Shape) -> Shape:
    """Return the chunk lengths that the ``document`` of an array of ``shape`` lists, as far as the array goes.

    Equal lengths that are listed stay so: a last chunk that is listed is stored in its own length.
    """
    return tuple(_within(edges, n) for edges, n in zip(_edges(document), shape, strict=True))


def is_exact(document: Mapping[str, Any], shape: Shape) -> bool:
    """Return whether the chunks that are listed end where the array does."""
    pairs = zip(_edges(document), shape, strict=True)
    return all(isinstance(edges, int) or sum(edges) == n for edges, n in pairs)


def listed_counts(document: Mapping[str, Any]) -> Shape:
    """Return how many chunks the ``document`` of an array has along each axis, also those beyond its end."""
    pairs = zip(_edges(document), document["shape"], strict=True)
    return tuple(-(-n // e) if isinstance(e, int) else len(e) for e, n in pairs)


def resized(array: StoredArray, shape: Shape, more: Mapping[int, Shape]) -> StoredArray:
    """Return a reference to the same array, which was opened, with another shape.

    Along an axis whose chunks are listed, what is added is in chunks of the lengths ``more``, or else one chunk.
    """
    document = json.loads(array.metadata) | {"shape": list(shape)}
    chunks = array.chunks
    if array.is_irregular:
        document["chunk_grid"] = _resized_grid(document, shape, more)
        chunks = listed_lengths(document, shape)
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return replace(array, shape=shape, metadata=text, chunks=chunks)


def _resized_grid(document: Mapping[str, Any], shape: Shape, more: Mapping[int, Shape]) -> Any:
    """Return the chunk grid of ``document`` for another ``shape``."""
    edges = list(_edges(document))
    for axis, n in enumerate(shape):
        own = edges[axis]
        # Chunks that are listed beyond the end stay there: the array may have been longer.
        if isinstance(own, int) or sum(own) >= n:
            continue
        added = more.get(axis, ())
        fits = sum(own) + sum(added) == n
        edges[axis] = [*own, *(added if fits else (n - sum(own),))]
    grid = document["chunk_grid"]
    return grid | {"configuration": grid["configuration"] | {"chunk_shapes": edges}}


def _edges(document: Mapping[str, Any]) -> list[int | list[int]]:
    shapes = document["chunk_grid"]["configuration"]["chunk_shapes"]
    return [each if isinstance(each, int) else _expanded(each) for each in shapes]


def _expanded(edges: list[int | list[int]]) -> list[int]:
    """Return edges one by one; equal ones may be written as a pair of length and number."""
    found: list[int] = []
    for edge in edges:
        length, count = (edge, 1) if isinstance(edge, int) else edge
        found += [length] * count
    return found


def _within(edges: int | list[int], extent: int) -> int:
    if isinstance(edges, int):
        return edges
    if not extent:
        return max(edges)
    inside = takewhile(lambda end: end < extent, accumulate(edges))
    return Lengths((*inside, extent))
