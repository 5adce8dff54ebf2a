"""Labels of extremes along a dimension, which xarray looks up for NumPy and Dask alone."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import xarray as xr

from asyncexec.array.wrapping import elementwise
from asyncexec.errors import OptionError
from asyncexec.integrations.xarray.duck_array import DuckArray
from asyncexec.integrations.xarray.numpy_calls import unwrapped
from asyncexec.integrations.xarray.selection import ElementsAt


def label_of_extreme(
    array: xr.DataArray, dim: Hashable, position: str, *, skipna: bool | None
) -> xr.DataArray:
    """Return the label along ``dim`` at the ``position`` ("argmax" or "argmin"), missing where all values are.

    Raises
    ------
    OptionError
        If the dimension has no labels.
    """
    if dim not in array.coords:
        raise OptionError(f"dimension {dim!r} has no labels: there are those of {[*array.coords]}")
    skips = skipna is not False and array.dtype.kind in "fc"
    missing = array.isnull().all([dim]) if skips else None
    known = array if missing is None else array.where(~missing, 0)
    found: xr.DataArray = getattr(known, position)(dim, skipna=skips)
    labels = np.asarray(array[dim].values)
    looked_up = elementwise("label", ElementsAt(labels), unwrapped(found.data), dtype=labels.dtype)
    result = found.copy(data=DuckArray(looked_up)).rename(dim)
    result.attrs = found.attrs
    return result if missing is None else result.where(~missing)
