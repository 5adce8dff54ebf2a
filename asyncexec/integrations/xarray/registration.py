"""The accessor ``.asyncexec`` of datasets and data arrays: registered at once, imported when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xarray as xr

if TYPE_CHECKING:
    from asyncexec.integrations.xarray.accessors import DataArrayAccessor, DatasetAccessor


def register() -> None:
    """Give datasets and data arrays their accessors, once."""
    for_datasets: Any = xr.register_dataset_accessor
    for_data_arrays: Any = xr.register_dataarray_accessor
    if not hasattr(xr.Dataset, "asyncexec"):
        for_datasets("asyncexec")(_of_dataset)
        for_data_arrays("asyncexec")(_of_data_array)


def _of_dataset(dataset: xr.Dataset) -> DatasetAccessor:
    """Return what is described in :class:`asyncexec.integrations.xarray.accessors.DatasetAccessor`."""
    from asyncexec.integrations.xarray.accessors import (  # noqa: PLC0415 - with all of the arrays
        DatasetAccessor,
    )

    return DatasetAccessor(dataset)


def _of_data_array(data_array: xr.DataArray) -> DataArrayAccessor:
    """Return what is described in :class:`asyncexec.integrations.xarray.accessors.DataArrayAccessor`."""
    from asyncexec.integrations.xarray.accessors import (  # noqa: PLC0415 - with all of the arrays
        DataArrayAccessor,
    )

    return DataArrayAccessor(data_array)
