"""What is opened is read when it is needed, block by block."""

import json
import pickle

import numpy as np
import pytest
import zarr

xr = pytest.importorskip("xarray")

import asyncexec as ax
from asyncexec.errors import UnfinishedArrayError
from asyncexec.integrations.xarray import DuckArray, set_options
from asyncexec.integrations.xarray.lazy_sources import ReadSlices
from tests.integrations.xarray.datasets import chunked, counted_runs, in_memory


@pytest.fixture(autouse=True)
def options():
    with xr.set_options(chunk_manager="asyncexec"):
        yield


def operations(array):
    """The names of the nodes of an expression."""
    found, left = [], [array.node]
    while left:
        node = left.pop()
        found.append(node.operation)
        left.extend(node.inputs)
    return found


@pytest.fixture
def store(tmp_path):
    place = str(tmp_path / "a.zarr")
    packed = {"dtype": "int16", "scale_factor": 0.5, "_FillValue": -1}
    ds = in_memory().assign(when=("time", in_memory().time.values), name=("y", list("abcde")))
    with set_options(spec=None):
        chunked(ds).to_zarr(place, consolidated=False, encoding={"n": packed})
    return place


def test_zarr_arrays_are_read_by_this_package_and_decoded_chunk_by_chunk(store, monkeypatch):
    with counted_runs(monkeypatch) as runs:
        ds = xr.open_zarr(store, consolidated=False)
    assert not runs
    assert ds.t.chunks == ((4, 4, 4), (3, 2), (6,))
    assert "from_zarr" in operations(ds.t.data.array)
    assert set(operations(ds.n.data.array)) == {"decode", "from_zarr"}
    assert ds.when.chunks is ds.name.chunks is None
    expected = in_memory()
    xr.testing.assert_allclose(ds[["t", "n"]].compute(), expected)
    assert list(ds.name.values) == list("abcde")
    np.testing.assert_array_equal(ds.when.values, expected.time.values)


def test_what_was_selected_before_chunking_is_read_alone(store):
    opened = xr.open_zarr(store, consolidated=False, chunks=None)
    part = opened.isel(time=slice(1, 9, 2), y=2, x=[5, 0])[["t"]]
    found = part.chunk(time=2)
    assert isinstance(found.t.data, DuckArray)
    assert "from_zarr" in operations(found.t.data.array)
    xr.testing.assert_allclose(
        found.compute(), in_memory()[["t"]].isel(time=slice(1, 9, 2), y=2, x=[5, 0])
    )


def test_other_chunks_than_those_stored(store):
    ds = xr.open_zarr(store, consolidated=False, chunks={"time": 12})
    assert ds.t.chunks == ((12,), (3, 2), (6,))
    whole = xr.open_zarr(store, consolidated=False, chunks="auto")
    assert whole.t.chunks == ((12,), (5,), (6,))
    xr.testing.assert_allclose(ds.t.mean("time").compute(), in_memory().t.mean("time"))


def test_a_dataset_is_read_on_other_processes(store):
    with set_options(spec=ax.Spec(executor="processes", executor_options={"max_workers": 1})):
        ds = xr.open_zarr(store, consolidated=False)
        xr.testing.assert_allclose(ds[["t", "n"]].sum("x").compute(), in_memory().sum("x"))


def test_elements_that_only_zarr_reads_are_read_through_xarray(store, monkeypatch):
    def refuse(*_, **__):
        raise TypeError("elements of another kind")

    with monkeypatch.context() as patch:
        patch.setattr("asyncexec.array.from_zarr", refuse)
        ds = xr.open_zarr(store, consolidated=False)
    assert operations(ds.t.data.array) == ["from_xarray"]
    xr.testing.assert_allclose(ds[["t", "n"]].compute(), in_memory())


def test_an_array_that_cannot_be_read_is_an_error_and_not_read_another_way(store, monkeypatch):
    def refuse(*_, **__):
        raise UnfinishedArrayError("still being written")

    monkeypatch.setattr("asyncexec.array.from_zarr", refuse)
    with pytest.raises(UnfinishedArrayError):
        xr.open_zarr(store, consolidated=False)


@pytest.mark.parametrize("engine", ["netcdf4", "scipy"])
def test_netcdf_variables_are_read_slice_by_slice(engine, tmp_path, monkeypatch):
    pytest.importorskip({"netcdf4": "netCDF4", "scipy": "scipy"}[engine])
    place = str(tmp_path / "a.nc")
    in_memory().to_netcdf(place, engine=engine)
    with xr.open_dataset(place, engine=engine, chunks={"time": 5}) as ds:
        assert ds.t.chunks == ((5, 5, 2), (5,), (6,))
        assert operations(ds.t.data.array) == ["from_xarray"]
        shapes = []
        real = ReadSlices.__call__

        def counting(self, positions):
            shapes.append(tuple(map(len, positions)))
            return real(self, positions)

        with monkeypatch.context() as patch:
            patch.setattr(ReadSlices, "__call__", counting)
            found = ds.t.isel(x=slice(0, 4, 2)).sum("time").compute()
        assert sorted(shapes) == [(2, 5, 2), (5, 5, 2), (5, 5, 2)]
        xr.testing.assert_allclose(found, in_memory().t.isel(x=slice(0, 4, 2)).sum("time"))
        xr.testing.assert_allclose(ds.t.isel(time=[7, 0, 1]).compute(), in_memory().t[[7, 0, 1]])
        xr.testing.assert_allclose(
            ds.t.isel(y=slice(None, None, -1)).compute(), in_memory().t[:, ::-1]
        )


@pytest.mark.parametrize("combine", ["by_coords", "nested"])
@pytest.mark.parametrize("engine", ["netcdf4", "h5netcdf", "scipy", "zarr"])
def test_many_files_become_one_dataset(engine, combine, tmp_path, monkeypatch):
    pytest.importorskip({"netcdf4": "netCDF4"}.get(engine, engine))
    places = [str(tmp_path / f"{number}.{engine}") for number in range(3)]
    more = {"consolidated": False} if engine == "zarr" else {}
    for number, place in enumerate(places):
        part = in_memory().isel(time=slice(4 * number, 4 * number + 4))
        write = part.to_zarr if engine == "zarr" else part.to_netcdf
        write(place, **(more or {"engine": engine}))
    along = {"concat_dim": "time"} if combine == "nested" else {}
    with counted_runs(monkeypatch) as runs, xr.set_options(use_new_combine_kwarg_defaults=True):
        ds = xr.open_mfdataset(
            places,
            chunks={} if engine == "zarr" else {"y": 3},
            chunked_array_type="asyncexec",
            combine=combine,
            data_vars="minimal",
            engine=engine,
            **along,
            **more,
        )
    with ds:
        assert not runs
        assert isinstance(ds.t.data, DuckArray)
        assert ds.t.chunks == ((4, 4, 4), (5,) if engine == "zarr" else (3, 2), (6,))
        xr.testing.assert_allclose(ds.t.mean("time").compute(), in_memory().t.mean("time"))
        xr.testing.assert_allclose(ds.compute(), in_memory())


@pytest.mark.parametrize("kind", ["memory", "zarr", "netcdf"])
def test_lazy_datasets_are_pickled(kind, store, tmp_path, monkeypatch):
    if kind == "netcdf":
        pytest.importorskip("netCDF4")
        in_memory().to_netcdf(tmp_path / "a.nc")
        ds = xr.open_dataset(tmp_path / "a.nc", chunks={"time": 5})
    else:
        ds = chunked() if kind == "memory" else xr.open_zarr(store, consolidated=False)
    with ds, counted_runs(monkeypatch) as runs:
        again = pickle.loads(pickle.dumps(ds.t.mean("time") + 1))
    with again:
        assert not runs
        assert isinstance(again.data, DuckArray)
        xr.testing.assert_allclose(again.compute(), in_memory().t.mean("time") + 1)


def test_what_is_read_through_xarray_is_never_taken_from_another_run(tmp_path):
    pytest.importorskip("netCDF4")
    place = str(tmp_path / "a.nc")
    in_memory().to_netcdf(place)
    with (
        xr.open_dataset(place, chunks={"time": 5}) as one,
        xr.open_dataset(place, chunks={"time": 5}) as other,
    ):
        assert one.t.data.to_plan().fingerprint != other.t.data.to_plan().fingerprint


def store_of_many_chunks(path, shape, chunks):
    """The metadata of a store, and not one chunk."""
    group = zarr.open_group(path, mode="w")
    group.create_array("t", shape=shape, chunks=chunks, dtype="f4", dimension_names=("y", "x"))


def test_opening_looks_at_no_chunk(tmp_path, monkeypatch):
    place = str(tmp_path / "many.zarr")
    # 10^4 by 10^4 chunks.
    store_of_many_chunks(place, (10**7, 10**7), (10**3, 10**3))
    calls = []
    real = zarr.storage.LocalStore.get

    async def counting(self, key, *args, **options):
        calls.append(key)
        return await real(self, key, *args, **options)

    monkeypatch.setattr(zarr.storage.LocalStore, "get", counting)
    ds = xr.open_zarr(place, consolidated=False)
    anomaly = ds.t - ds.t.isel(y=0)
    part = anomaly.isel(x=slice(0, 10**4)).mean("y")
    assert {key.rpartition("/")[2] for key in calls} <= {
        "zarr.json",
        ".zgroup",
        ".zattrs",
        ".zarray",
        ".zmetadata",
    }
    assert len(calls) < 30
    assert len(ds.t.chunks[0]) == 10**4
    assert len(operations(part.data.array)) < 15


@pytest.mark.slow
def test_opening_a_store_of_many_chunks_takes_little_memory(tmp_path):
    import subprocess
    import sys

    place = str(tmp_path / "many.zarr")
    store_of_many_chunks(place, (10**7, 10**7), (10**3, 10**3))
    code = f"""
import json, time, psutil, xarray as xr, zarr, asyncexec.array as xp
xr.set_options(chunk_manager="asyncexec")
xr.namedarray.parallelcompat.list_chunkmanagers()
before = psutil.Process().memory_info().rss
ds = xr.open_zarr({place!r}, consolidated=False)
print(json.dumps(psutil.Process().memory_info().rss - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) < 100e6


def test_files_are_opened_at_once_and_stay_lazy(tmp_path, monkeypatch):
    dask = pytest.importorskip("dask")
    whole = in_memory()[["t"]]
    places = [str(tmp_path / f"{k}.zarr") for k in range(3)]
    for k, place in enumerate(places):
        whole.isel(time=slice(4 * k, 4 * k + 4)).to_zarr(place, consolidated=False)
    # Dask keeps the threads of a pool of its own.
    with counted_runs(monkeypatch) as runs, dask.config.set(scheduler="sync"):
        found = xr.open_mfdataset(
            places, engine="zarr", consolidated=False, chunks={}, parallel=True
        )
    assert not runs
    assert isinstance(found.t.variable._data, DuckArray)
    xr.testing.assert_identical(found.compute(), whole)
