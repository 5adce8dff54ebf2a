"""The accessor ``.asyncexec`` of datasets and data arrays: what xarray has no way for, above all ``await``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr

import asyncexec.array as xp
from asyncexec.array.array import Array
from asyncexec.array.chunks import is_regular
from asyncexec.engine.default_engine import compute, execute
from asyncexec.errors import OptionError
from asyncexec.integrations.xarray.duck_array import DuckArray
from asyncexec.integrations.xarray.extreme_labels import label_of_extreme
from asyncexec.integrations.xarray.fills import filled_forward
from asyncexec.integrations.xarray.mapped_parts import mapped_parts
from asyncexec.integrations.xarray.numpy_calls import unwrapped
from asyncexec.integrations.xarray.read_places import check_group_not_read
from asyncexec.integrations.xarray.writing import Writing
from asyncexec.plan import Plan

Reduced = Literal[
    "all",
    "any",
    "count",
    "first",
    "last",
    "max",
    "mean",
    "median",
    "min",
    "prod",
    "std",
    "sum",
    "var",
]
_REDUCED: tuple[str, ...] = get_args(Reduced)


class DatasetAccessor:
    """``ds.asyncexec``: the lazy arrays of a dataset, computed and written without holding an event loop.

    >>> import xarray as xr
    >>> ds = xr.Dataset({"t": ("x", np.arange(6.0))}).chunk(x=2, chunked_array_type="asyncexec")
    >>> loaded = await (ds * 2).asyncexec.compute()
    >>> loaded.t.values
    array([ 0.,  2.,  4.,  6.,  8., 10.])
    >>> await ds.asyncexec.to_zarr("t.zarr", consolidated=False)
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        self._dataset = dataset

    @property
    def arrays(self) -> dict[Hashable, Array]:
        """The lazy arrays, by the names of their variables."""
        found = {k: _data_of(v) for k, v in self._dataset.variables.items()}
        return {k: unwrapped(v) for k, v in found.items() if isinstance(v, DuckArray | Array)}

    async def compute(self, **options: Any) -> xr.Dataset:
        """Return the dataset in memory, computed by one plan; options as for :func:`asyncexec.compute`.

        What xarray has opened and not chunked is read as well, as ``load_async`` does.
        """
        lazy = self.arrays
        values = await compute(*lazy.values(), **options)
        found = self._dataset.copy(deep=False)
        for name, value in zip(lazy, values, strict=True):
            found.variables[name].data = value
        return await found.load_async()

    async def to_zarr(
        self, store: Any, *, options: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Write the dataset as ``Dataset.to_zarr`` does; chunks that differ in length are stored in regular ones.

        Parameters
        ----------
        store : path, URL or Zarr store
        options : dict, optional
            Those of :func:`asyncexec.execute`, such as ``executor`` or ``retry``.
        **kwargs
            Those of ``Dataset.to_zarr``, ``compute`` excepted.

        Raises
        ------
        OptionError
            If ``compute`` is given, or what is written is computed of what would be overwritten.
        """
        if "compute" in kwargs:
            raise OptionError(
                "compute has no effect here: this is a coroutine, which nothing runs before it is awaited"
            )
        if kwargs.get("mode") == "w":
            # xarray empties the group before it asks for anything.
            await asyncio.to_thread(
                check_group_not_read, list(self.arrays.values()), store, **kwargs
            )
        of_run: dict[str, Any] = options or {}
        writings: list[Writing] = []
        more = {**(kwargs.pop("chunkmanager_store_kwargs", None) or {}), "collected": writings}
        # xarray writes metadata, and what is in memory, by blocking calls.
        write: Any = self._in_regular_chunks().to_zarr
        await asyncio.to_thread(write, store, chunkmanager_store_kwargs=more, **kwargs)
        for writing in writings:
            await execute(writing, **of_run)

    def _in_regular_chunks(self) -> xr.Dataset:
        """Return the dataset with chunks of one length along each axis: xarray writes no others."""
        found = self._dataset.copy(deep=False)
        for name, array in self.arrays.items():
            if not is_regular(array.own_node.chunks):
                found.variables[name].data = DuckArray(Array(array.node, array.own_spec))
        return found

    def map_blocks(
        self,
        func: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        template: Any = None,
        extra_memory: int | str = 0,
    ) -> Any:
        """Return what ``func`` makes of each part of the dataset: lazily, as ``xr.map_blocks`` does of Dask's.

        >>> import xarray as xr
        >>> ds = xr.Dataset({"t": ("x", np.arange(6.0))}).chunk(x=2, chunked_array_type="asyncexec")
        >>> ds.asyncexec.map_blocks(lambda part: part - part.mean()).t.values
        array([-0.5,  0.5, -0.5,  0.5, -0.5,  0.5])
        >>> firsts = ds.isel(x=slice(0, None, 2)).chunk(x=1, chunked_array_type="asyncexec")
        >>> ds.asyncexec.map_blocks(lambda part: part.isel(x=[0]), template=firsts).t.values
        array([0., 2., 4.])

        A part has one chunk of every lazy variable, and what belongs to it of variables in memory. Where results of
        several variables have the same chunked dimensions, a part is computed by one call.

        Parameters
        ----------
        func : callable
            ``func(part, *args, **kwargs)``, which returns a dataset or data array in memory. It must not change its
            part, and may run more than once.
        args : sequence
            Datasets and data arrays, of which each part gets its own, in the same chunks; others as they are.
        kwargs : mapping, optional
            What all parts get as it is.
        template : Dataset or DataArray, optional
            Like the result: its variables, their dimensions and types, chunks of which each is made of one part, and
            coordinates in memory, which are those of the result. Without it, ``func`` is tried on a part without
            elements, and parts must keep their length along chunked dimensions.
        extra_memory : int or str
            What ``func`` holds beyond its part, its result, and one array of the size of the result.

        Raises
        ------
        OptionError
            If variables are chunked differently, or it is unknown what ``func`` returns, or the template has other
            numbers of chunks.
        TypeError
            If the template is neither a dataset nor a data array, or a keyword is lazy.
        """
        return mapped_parts(func, (self._dataset, *args), kwargs or {}, template, extra_memory)

    def plan(self) -> Plan:
        """Return the one plan that computes all lazy arrays.

        Raises
        ------
        OptionError
            If there are none.
        """
        lazy = self.arrays
        if not lazy:
            raise OptionError(
                "nothing is lazy here: chunk it, by .chunk(..., chunked_array_type='asyncexec')"
            )
        return xp.plan_of(*lazy.values())

    def visualize(self, path: str | Path | None = None) -> Any:
        """Draw that plan; see :meth:`asyncexec.Plan.visualize`."""
        return self.plan().visualize(path)


class DataArrayAccessor:
    """``da.asyncexec``: the same for a data array, and its array as :mod:`asyncexec.array` takes it.

    >>> import xarray as xr
    >>> da = xr.DataArray(np.arange(6.0), dims="x").chunk(x=2, chunked_array_type="asyncexec")
    >>> da.asyncexec.array
    <asyncexec.Array shape=(6,) dtype=float64 chunks=(2,) (48 B)>
    >>> (await da.sum().asyncexec.compute()).item()
    15.0
    """

    def __init__(self, data_array: xr.DataArray) -> None:
        self._data_array = data_array

    @property
    def array(self) -> Array:
        """The lazy array behind it.

        Raises
        ------
        OptionError
            If it is not lazy.
        """
        data = _data_of(self._data_array.variable)
        if not isinstance(data, DuckArray | Array):
            raise OptionError(
                f"the data is a {type(data).__name__}: chunk it, by .chunk(..., chunked_array_type='asyncexec')"
            )
        found: Array = unwrapped(data)
        return found

    async def compute(self, **options: Any) -> xr.DataArray:
        """Return the data array in memory; options as for :func:`asyncexec.compute`."""
        dataset = self._data_array._to_temp_dataset()  # noqa: SLF001 - as DataArray.load does
        loaded = await DatasetAccessor(dataset).compute(**options)
        return self._data_array._from_temp_dataset(loaded)  # noqa: SLF001 - as DataArray.load does

    async def to_zarr(self, store: Any, **kwargs: Any) -> None:
        """Write it as ``DataArray.to_zarr`` does; see :meth:`DatasetAccessor.to_zarr`."""
        own = self._data_array.name
        name = "__xarray_dataarray_variable__" if own is None else own
        await DatasetAccessor(self._data_array.to_dataset(name=name)).to_zarr(store, **kwargs)

    def groupby_reduce(
        self, group: xr.DataArray, func: Reduced, *, skipna: bool = True, ddof: float = 0
    ) -> xr.DataArray:
        """Return the reduction of each group along the dimension of ``group``, by reading the array once.

        >>> import xarray as xr
        >>> da = xr.DataArray(np.arange(6.0), dims="x").chunk(x=2, chunked_array_type="asyncexec")
        >>> parity = xr.DataArray([0, 1, 0, 1, 0, 1], dims="x", name="parity")
        >>> da.asyncexec.groupby_reduce(parity, "mean").values
        array([2., 3.])

        Parameters
        ----------
        group : DataArray
            Labels along one dimension, in memory, with a name. What has no label is left out.
        func : str
            ``"all"``, ``"any"``, ``"count"``, ``"first"``, ``"last"``, ``"max"``, ``"mean"``, ``"median"``, ``"min"``,
            ``"prod"``, ``"std"``, ``"sum"`` or ``"var"``, by :func:`asyncexec.array.groupby_reduce`.
        skipna : bool
            Whether missing values are left out.
        ddof : float
            Of deviations: what is subtracted from the count of elements.

        Raises
        ------
        OptionError
            If the group has no name, or not one dimension of this array, or there is no such reduction.
        """
        array = self._data_array
        if group.name is None or group.ndim != 1 or group.dims[0] not in array.dims:
            raise OptionError(
                f"group must have a name, and one dimension of {array.dims}; it has {group.dims}: "
                f"da.time.dt.month has both"
            )
        if func not in _REDUCED:
            raise OptionError(f"func={func!r} of groups: use one of {', '.join(_REDUCED)}")
        (dim,) = group.dims
        axis = array.dims.index(dim)
        known = np.flatnonzero(group.notnull())
        labels, numbers = np.unique(np.asarray(group)[known], return_inverse=True)
        codes = np.full(group.size, -1)
        codes[known] = numbers
        lazy = self.array
        if func == "count" and not skipna:
            lazy = xp.zeros_like(lazy, dtype=np.bool_)  # Nothing of it is missing.
        skips = skipna and func not in ("all", "any", "count")
        found, _ = xp.groupby_reduce(
            lazy,
            codes,
            func=f"nan{func}" if skips else func,
            axis=axis,
            expected_groups=np.arange(len(labels)),
            correction=ddof,
        )
        dims = [group.name if d == dim else d for d in array.dims]
        coords = {k: v for k, v in array.coords.items() if dim not in v.dims}
        coords[group.name] = xr.DataArray(labels, dims=[group.name])
        data = DuckArray(xp.moveaxis(found, -1, axis))
        return xr.DataArray(data, coords, dims, name=array.name, attrs=array.attrs)

    def ffill(self, dim: Hashable, limit: int | None = None) -> xr.DataArray:
        """Return it with missing values replaced by the last value before along ``dim``, ``limit`` in a row at most."""
        axis = self._data_array.get_axis_num(dim)
        return self._data_array.copy(data=DuckArray(filled_forward(self.array, axis, limit)))

    def bfill(self, dim: Hashable, limit: int | None = None) -> xr.DataArray:
        """Return it with missing values replaced by the next value along ``dim``, ``limit`` in a row at most."""
        axis = self._data_array.get_axis_num(dim)
        turned = filled_forward(xp.flip(self.array, axis=axis), axis, limit)
        return self._data_array.copy(data=DuckArray(xp.flip(turned, axis=axis)))

    def idxmax(self, dim: Hashable, *, skipna: bool | None = None) -> xr.DataArray:
        """Return the label along ``dim`` of the greatest value, missing where all are, as ``DataArray.idxmax``."""
        return label_of_extreme(self._data_array, dim, "argmax", skipna=skipna)

    def idxmin(self, dim: Hashable, *, skipna: bool | None = None) -> xr.DataArray:
        """Return the label along ``dim`` of the least value, missing where all are, as ``DataArray.idxmin``."""
        return label_of_extreme(self._data_array, dim, "argmin", skipna=skipna)

    def map_blocks(
        self,
        func: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        template: Any = None,
        extra_memory: int | str = 0,
    ) -> Any:
        """Return what ``func`` makes of each part of the data array; see :meth:`DatasetAccessor.map_blocks`."""
        return mapped_parts(func, (self._data_array, *args), kwargs or {}, template, extra_memory)

    def plan(self) -> Plan:
        """Return the plan that computes it, with its lazy coordinates."""
        return DatasetAccessor(self._data_array._to_temp_dataset()).plan()  # noqa: SLF001 - as DataArray.load does

    def visualize(self, path: str | Path | None = None) -> Any:
        """Draw that plan; see :meth:`asyncexec.Plan.visualize`."""
        return self.plan().visualize(path)


def _data_of(variable: Any) -> Any:
    return variable._data  # noqa: SLF001 - .data would read what xarray has not
