"""Random elements, tile by tile: each tile of an array has a stream of its own, whatever chunks there are.

A stream is that of NumPy's bit generator Philox (Salmon, Moraes, Dror and Shaw, https://doi.org/10.1145/2063384.2063405),
which computes any place of itself from a key and a counter. The key is that of the array, and the highest word of the
counter is the number of the tile, so that no two tiles share any part of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asyncexec.plan.box import Shape

TILE_ELEMENTS = 1 << 14
"""The most elements of a tile: few enough to make one for a part of it, and many enough to pay for its stream."""

_SIDE = 128
"""The longest side of a tile of several long axes."""

type _Parts = tuple[int, Any, Any]
"""The number of a tile along an axis, and where its elements are in the block, and in the tile."""


def tile_of(shape: Shape) -> Shape:
    """Return the lengths of the tiles of an array of ``shape``, which depend on that alone."""
    tile = [1] * len(shape)
    for axis in range(len(shape) - 1, -1, -1):
        others = math.prod(n for n in shape[:axis])
        left = TILE_ELEMENTS // math.prod(tile)
        tile[axis] = max(1, min(shape[axis], left, _SIDE if others > 1 else left))
    for axis in range(len(shape) - 1, -1, -1):
        left = TILE_ELEMENTS // (math.prod(tile) // tile[axis])
        tile[axis] = max(tile[axis], min(shape[axis], left))
    return tuple(tile)


def stream(key: tuple[int, int], number: int) -> np.random.Generator:
    """Return the generator of the tile ``number`` of the array that has ``key``."""
    counter = np.array([0, 0, 0, number], np.uint64)
    return np.random.Generator(np.random.Philox(key=np.array(key, np.uint64), counter=counter))


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomTiles:
    """Makes blocks of an array of random elements from their element numbers.

    Attributes
    ----------
    key : tuple of int
        Of the array.
    method : str
        Of ``numpy.random.Generator``.
    arguments, keywords
        Those of the method.
    shape : tuple of int
        Of the array, without the axes that each draw has by itself.
    """

    key: tuple[int, int]
    method: str
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    shape: Shape

    def __call__(self, positions: tuple[NDArray[np.int64], ...]) -> NDArray[Any]:
        ndim = len(self.shape)
        tile = tile_of(self.shape)
        grid = tuple(-(-n // t) for n, t in zip(self.shape, tile, strict=True))
        found: Any = None
        counts = tuple(map(len, positions[:ndim]))
        along = [_parts(p, t) for p, t in zip(positions, tile, strict=False)]
        for parts in product(*along):
            number = 0
            for n, (place, _, _) in zip(grid, parts, strict=True):
                number = number * n + place
            drawn = self._drawn(number, tile)
            if found is None:
                found = np.empty((*counts, *drawn.shape[ndim:]), drawn.dtype)
            found[_index([part[1] for part in parts])] = drawn[_index([part[2] for part in parts])]
        if found is None:
            sample = self._drawn(0, (0,))
            found = np.empty((*counts, *sample.shape[1:]), sample.dtype)
        if len(positions) == ndim:
            return np.asarray(found)
        return np.asarray(found[(..., *np.ix_(*positions[ndim:]))])

    def _drawn(self, number: int, size: Shape) -> NDArray[Any]:
        method = getattr(stream(self.key, number), self.method)
        return np.asarray(method(*self.arguments, size=size, **self.keywords))


def _parts(positions: NDArray[np.int64], tile: int) -> list[_Parts]:
    if not len(positions):
        return []
    first, last = int(positions[0]), int(positions[-1])
    if last - first == len(positions) - 1 and (
        len(positions) < 3 or (np.diff(positions) == 1).all()
    ):
        ends = [
            (k, max(first, k * tile), min(last + 1, (k + 1) * tile))
            for k in range(first // tile, last // tile + 1)
        ]
        return [
            (k, slice(a - first, b - first), slice(a - k * tile, b - k * tile)) for k, a, b in ends
        ]
    numbers = positions // tile
    found: list[_Parts] = []
    for k in np.unique(numbers).tolist():
        where = np.flatnonzero(numbers == k)
        found.append((k, where, positions[where] - k * tile))
    return found


def _index(parts: list[Any]) -> Any:
    """Return an index that takes the product of slices and positions."""
    if all(isinstance(part, slice) for part in parts):
        return tuple(parts)
    listed = [np.arange(p.start, p.stop) if isinstance(p, slice) else p for p in parts]
    return np.ix_(*listed)
