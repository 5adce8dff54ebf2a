"""Element types that arrays can have, and the reasons why they cannot have others."""

from __future__ import annotations

from typing import Any

import numpy as np

_OBJECTS = (
    "objects of Python have no size that is known, and Zarr cannot store them; use a boolean, integer, floating or "
    "complex type, such as by .astype('float64') before, times such as 'datetime64[ns]', or text, by .astype('U')"
)
_MISSING_TEXT = (
    "Zarr stores no value for missing text; use numpy.dtypes.StringDType() without na_object, and fill what is missing "
    "before"
)
_SUBARRAY = (
    "a field of several elements is not stored; use a field for each of them, or another axis"
)
_NUMBERS = "use a boolean, integer, floating (up to float64) or complex type, such as by .astype('float64') before"
_WIDEST = {"f": 8, "c": 16}


def reason_against(dtype: np.dtype[Any]) -> str:
    """Return the reason why arrays cannot have elements of ``dtype``, and what to do; nothing where they can."""
    if dtype.subdtype is not None:
        return _SUBARRAY
    if dtype.names is not None:
        reasons = (reason_against(dtype[name]) for name in dtype.names)
        return next((f"of a field: {reason}" for reason in reasons if reason), "")
    if dtype.kind == "T":
        return _MISSING_TEXT if hasattr(dtype, "na_object") else ""
    if dtype.kind in "mM" and np.datetime_data(dtype)[0] == "generic":
        return f"they have no unit; use '{dtype.name}[ns]' or another unit"
    if dtype.kind == "O":
        return _OBJECTS
    known = dtype.kind in "biufcmMSUV" and dtype.itemsize > 0
    return "" if known and dtype.itemsize <= _WIDEST.get(dtype.kind, dtype.itemsize) else _NUMBERS
