"""Functions of NumPy that xarray calls, and that :mod:`asyncexec.array` leaves out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import asyncexec.array as xp
from asyncexec.array.array import Array
from asyncexec.integrations.xarray.least_squares import least_squares_fit


def _refused(*_: Any, **__: Any) -> Any:
    raise TypeError(
        "arrays in memory are to become lazy ones (numpy.asarray(..., like=)), as flox does, which groups in memory: "
        "group without it, by xr.set_options(use_flox=False), or by .asyncexec.groupby_reduce()"
    )


def _isin(element: Any, test_elements: Any, **options: Any) -> Any:
    # The namespace takes no lists.
    lazy = isinstance(test_elements, Array)
    among: Any = test_elements if lazy else np.asarray(test_elements)
    return xp.isin(element, among, **options)


ALWAYS: dict[str, Callable[..., Any]] = {"array": _refused, "asarray": _refused, "isin": _isin}
"""Functions that are called so whatever the namespace has."""

EQUIVALENTS: dict[str, Callable[..., Any]] = {"lstsq": least_squares_fit}
"""Functions that are called so where the namespace has none."""
