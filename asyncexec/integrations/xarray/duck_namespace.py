"""The namespace that xarray asks the chunk manager for: NumPy's functions, and those that make arrays of nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import asyncexec.array as xp
from asyncexec.array.operands import chunk_limit
from asyncexec.integrations.xarray.chunk_tuples import settled_chunks
from asyncexec.integrations.xarray.duck_array import DuckArray
from asyncexec.integrations.xarray.settings import chosen_spec

_MADE: dict[str, Callable[..., Any]] = {
    "arange": xp.arange,
    "empty": xp.empty,
    "eye": xp.eye,
    "full": xp.full,
    "linspace": xp.linspace,
    "ones": xp.ones,
    "zeros": xp.zeros,
}


class DuckNamespace:
    """NumPy's functions, which hand lazy arrays over to those of :mod:`asyncexec.array`, and its creation functions.

    >>> from asyncexec.integrations.xarray.duck_namespace import DuckNamespace
    >>> DuckNamespace().zeros((4, 2), chunks=((3, 1), (2,)))
    <asyncexec DuckArray shape=(4, 2) dtype=float64 chunks=(3, 2)>
    >>> DuckNamespace().sqrt is np.sqrt
    True
    """

    def __getattr__(self, name: str) -> Any:
        make = _MADE.get(name)
        return getattr(np, name) if make is None else _lazily(make)


def _lazily(make: Callable[..., Any]) -> Callable[..., DuckArray]:
    def made(*args: Any, chunks: Any = "auto", **keywords: Any) -> DuckArray:
        keywords.pop("meta", None)
        spec = chosen_spec()
        found = make(*args, **keywords, spec=spec)
        limit = chunk_limit(spec)
        settled = settled_chunks(chunks, found.shape, found.itemsize, limit=limit)
        return DuckArray(make(*args, **keywords, chunks=settled, spec=spec))

    return made
