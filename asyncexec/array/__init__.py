"""Lazy chunked arrays with functions of the array API standard (docs/reference/array.md says which).

>>> import asyncexec.array as xp
>>> x = xp.arange(6, chunks=2)
>>> xp.sum(x * x).compute()
array(55)

Every operation returns at once; the whole expression becomes one plan when it is computed. One module a section of the
standard; what the standard lacks (chunks, Zarr, functions of one's own) is in ``block_functions`` and ``storing``.

The names are imported when the first of them is used: a worker runs kernels, and needs none of them.
"""

from typing import TYPE_CHECKING

from asyncexec.lazy import names_from

if TYPE_CHECKING:
    from asyncexec.array import fft as fft, linalg as linalg, random as random
    from asyncexec.array.api import *  # noqa: F403 - that module lists the names
else:
    __getattr__, __dir__ = names_from(__name__, "api", frozenset({"fft", "linalg", "random"}))
