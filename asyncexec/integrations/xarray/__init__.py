"""Datasets of xarray on this engine: ``ds.chunk(..., chunked_array_type="asyncexec")``, ``xr.open_zarr``, and so on.

xarray finds the chunk manager by its entry point; nothing has to be imported for it. What is offered here besides::

    from asyncexec.integrations.xarray import data_array, set_options

    set_options(spec=ax.Spec(work_dir="s3://bucket/tmp", allowed_mem="2GB"))  # for all that xarray makes from now on
    wind = data_array(xp.hypot(u, v), dims=("time", "y", "x"))                # an array of ours, as xarray wants it

Importing it also registers the accessor ``.asyncexec`` of datasets and data arrays (xarray's manager does so as well).
"""

from typing import TYPE_CHECKING

from asyncexec.integrations.xarray.registration import register
from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec.integrations.xarray.chunk_manager import AsyncexecManager as AsyncexecManager
    from asyncexec.integrations.xarray.data_arrays import data_array as data_array
    from asyncexec.integrations.xarray.duck_array import DuckArray as DuckArray
    from asyncexec.integrations.xarray.settings import set_options as set_options
else:
    __getattr__, __dir__ = names_of(
        __name__,
        {
            "AsyncexecManager": "chunk_manager",
            "DuckArray": "duck_array",
            "data_array": "data_arrays",
            "set_options": "settings",
        },
    )

register()
