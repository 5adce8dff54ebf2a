"""Arrays of this package as data arrays of xarray."""

from __future__ import annotations

from typing import Any

from asyncexec.errors import MissingExtraError

try:
    import xarray as xr
except ModuleNotFoundError as error:
    if error.name != "xarray":
        raise
    raise MissingExtraError.of("arrays in xarray", "xarray", extra="xarray") from error

from asyncexec.array.array import Array
from asyncexec.array.wrapping import as_array
from asyncexec.integrations.xarray.duck_array import DuckArray


def data_array(array: Array, dims: Any = None, coords: Any = None, **options: Any) -> xr.DataArray:
    """Return ``array`` as a data array, as lazy as it is; the arguments are those of ``xarray.DataArray``.

    >>> from asyncexec.integrations.xarray import data_array
    >>> da = data_array(xp.ones((4, 6), chunks=(2, 6)), dims=("y", "x"), name="ones")
    >>> da.chunks
    ((2, 2), (6,))
    >>> float(da.sum())
    24.0

    Raises
    ------
    TypeError
        If it is no array.
    """
    return xr.DataArray(DuckArray(as_array(array, "data_array")), coords, dims, **options)
