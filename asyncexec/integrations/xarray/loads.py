"""Loads that xarray asks for: done by a blocking call, or refused where they would happen in silence."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from asyncexec.array.blocking import run
from asyncexec.plan import Plannable

_MOST_FRAMES = 8
"""How far above a conversion to NumPy's arrays, or to a truth value, the function is that asks for it."""

_REFUSED = {
    ("xarray.core.duck_array_ops", "_push"): (
        "ffill() and bfill() of xarray would load the array, as they hand it to bottleneck or numbagg: write "
        ".asyncexec.ffill(dim), or .asyncexec.bfill(dim), which stay lazy"
    ),
    ("xarray.core.nputils", "least_squares"): (
        "polyfit() of xarray would load the array, as it fits around missing values in memory alone: fill them before "
        "and give skipna=False, or fit chunk by chunk with xr.apply_ufunc(..., dask='parallelized')"
    ),
}
"""What is said of functions of xarray, by their modules and names, that take arrays of Dask and of NumPy alone."""


def loaded(plan: Plannable, options: Mapping[str, Any]) -> Any:
    """Run ``plan`` and return its value; options are those of ``Array.compute``.

    Raises
    ------
    RunningLoopError
        If the event loop of a service is running here; it says what a coroutine writes with xarray.
    """
    return run(
        plan,
        options,
        called="ds.load(), ds.compute() or da.values",
        instead="await ds.asyncexec.compute()",
    )


def refuse_silent_load() -> None:
    """Refuse a conversion on behalf of functions of xarray that would load an array of theirs without a word.

    Raises
    ------
    TypeError
        If one of them asks for it.
    """
    frame = sys._getframe(1)  # noqa: SLF001 - nothing else says who converts
    for _ in range(_MOST_FRAMES):
        said = _REFUSED.get((frame.f_globals.get("__name__", ""), frame.f_code.co_name))
        if said is not None:
            raise TypeError(said)
        if frame.f_back is None:
            return
        frame = frame.f_back
