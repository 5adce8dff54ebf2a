"""The accessors: what xarray has no way for."""

import asyncio
import sys
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pandas as pd
import pytest

xr = pytest.importorskip("xarray")

from asyncexec.errors import OptionError, RunningLoopError
from asyncexec.integrations.xarray.accessors import Reduced
from asyncexec.testing.patience import scaled
from tests.integrations.xarray.datasets import chunked, counted_runs, in_memory, is_lazy


async def test_a_dataset_is_awaited():
    ds = chunked()
    found = await (ds * 2).asyncexec.compute(executor="threads")
    xr.testing.assert_allclose(found, in_memory() * 2)
    assert not is_lazy(found)
    assert is_lazy(ds)


async def test_what_is_opened_and_not_chunked_is_loaded_too(tmp_path):
    place = str(tmp_path / "a.zarr")
    in_memory().to_zarr(place, consolidated=False)
    found = await xr.open_zarr(place, consolidated=False, chunks=None).asyncexec.compute()
    xr.testing.assert_allclose(found, in_memory())
    assert all(v._in_memory for v in found.variables.values())


async def test_a_data_array_is_awaited_with_its_coordinates():
    da = chunked().t.assign_coords(m=chunked().n)
    found = await da.asyncexec.compute()
    xr.testing.assert_identical(found, in_memory().t.assign_coords(m=in_memory().n))


async def test_writing_is_awaited(tmp_path):
    place = str(tmp_path / "a.zarr")
    await chunked().asyncexec.to_zarr(place, consolidated=False, options={"executor": "threads"})
    await chunked().asyncexec.to_zarr(place, consolidated=False, append_dim="time")
    found = xr.open_zarr(place, consolidated=False, chunks=None)
    xr.testing.assert_allclose(found.isel(time=slice(12, None)).load(), in_memory())
    await chunked().n.asyncexec.to_zarr(str(tmp_path / "b.zarr"), consolidated=False)
    assert "n" in xr.open_zarr(str(tmp_path / "b.zarr"), consolidated=False, chunks=None)
    with pytest.raises(OptionError, match="compute has no effect"):
        await chunked().asyncexec.to_zarr(place, compute=False)


async def test_the_event_loop_stays_alive_meanwhile():
    started = asyncio.Event()
    done = asyncio.create_task(chunked().asyncexec.compute())
    asyncio.get_running_loop().call_soon(started.set)
    await asyncio.wait_for(started.wait(), scaled(10))
    assert not done.done()
    await done


async def test_what_would_hold_the_event_loop_says_what_to_write():
    with pytest.raises(RunningLoopError, match=r"await ds\.asyncexec\.compute\(\)"):
        chunked().load()
    with pytest.raises(RunningLoopError, match=r"await ds\.asyncexec\.compute\(\)"):
        await chunked().load_async()
    with pytest.raises(RunningLoopError, match=r"await ds\.asyncexec\.compute\(\)"):
        _ = chunked().t.values


def test_plans_and_pictures(tmp_path):
    ds = chunked()
    plan = (ds + 1).asyncexec.plan()
    assert plan.tasks == 8
    assert ds.t.asyncexec.plan().tasks == 6
    ds.asyncexec.visualize(tmp_path / "plan.svg")
    ds.n.asyncexec.visualize(tmp_path / "array.svg")
    assert (tmp_path / "plan.svg").stat().st_size > 0 < (tmp_path / "array.svg").stat().st_size
    with pytest.raises(OptionError, match="nothing is lazy"):
        in_memory().asyncexec.plan()
    with pytest.raises(OptionError, match="ndarray"):
        _ = in_memory().t.asyncexec.array


@pytest.mark.parametrize("func", get_args(Reduced))
@pytest.mark.parametrize("name", ["t", "n"])
def test_groups_are_reduced_as_xarray_does(func, name, monkeypatch):
    labels = xr.DataArray(list("babcab"), dims="x", name="kind")
    with counted_runs(monkeypatch) as runs:
        found = chunked(x=4, y=2)[name].asyncexec.groupby_reduce(labels, func)
    assert not runs
    with xr.set_options(use_flox=False):
        expected = getattr(in_memory()[name].assign_coords(kind=labels).groupby("kind"), func)()
    xr.testing.assert_allclose(found.compute(), expected.transpose(*found.dims))
    assert found.dtype == expected.dtype


def test_groups_with_missing_values_and_labels():
    labels = xr.DataArray([0.0, np.nan, 0, 1, 1, np.nan], dims="x", name="kind")
    t = chunked(x=4).t
    with xr.set_options(use_flox=False):
        groups = in_memory().t.assign_coords(kind=labels).groupby("kind")
        for func, ddof in (("sum", 0), ("mean", 0), ("max", 0), ("var", 1)):
            more = {"ddof": 1} if ddof else {}
            found = t.asyncexec.groupby_reduce(labels, func, skipna=False, **more)
            expected = getattr(groups, func)(skipna=False, **more)
            xr.testing.assert_allclose(found.compute(), expected)


def test_many_groups_read_each_chunk_once():
    days = xr.DataArray(np.arange(1000) % 365, dims="time", name="day")
    da = xr.DataArray(np.random.default_rng(0).normal(size=(1000, 3)), dims=("time", "x"))
    lazy = da.chunk(time=100, chunked_array_type="asyncexec")
    found = lazy.asyncexec.groupby_reduce(days, "mean")
    assert len(found.asyncexec.plan().stages) <= 5
    with xr.set_options(use_flox=False):
        expected = da.assign_coords(day=days).groupby("day").mean()
    xr.testing.assert_allclose(found.compute(), expected)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda da: da.asyncexec.groupby_reduce(xr.DataArray([0] * 6, dims="x"), "mean"),
        lambda da: da.asyncexec.groupby_reduce(xr.DataArray([0], dims="z", name="k"), "mean"),
        lambda da: da.asyncexec.groupby_reduce(da.y, "mode"),
    ],
)
def test_groups_that_cannot_be(wrong):
    with pytest.raises(OptionError, match=r"group must have a name|func='mode' of groups"):
        wrong(chunked().t)


@pytest.mark.parametrize("limit", [None, 1, 2])
def test_missing_values_are_filled_from_their_neighbours(limit, monkeypatch):
    rng = np.random.default_rng(1)
    values = np.where(rng.random((20, 3)) < 0.6, np.nan, rng.normal(size=(20, 3)))
    da = xr.DataArray(values, dims=("time", "x"), name="v")
    lazy = da.chunk(time=3, x=2, chunked_array_type="asyncexec")
    frame = pd.DataFrame(values)
    with counted_runs(monkeypatch) as runs:
        forward, backward = lazy.asyncexec.ffill("time", limit), lazy.asyncexec.bfill("time", limit)
    assert not runs
    np.testing.assert_array_equal(forward.compute(), frame.ffill(limit=limit))
    np.testing.assert_array_equal(backward.compute(), frame.bfill(limit=limit))
    whole = chunked().n.asyncexec.ffill("x")
    np.testing.assert_array_equal(whole.compute(), in_memory().n)


@pytest.mark.parametrize("dim", ["time", "x", "y"])
@pytest.mark.parametrize("name", ["idxmax", "idxmin"])
def test_labels_of_extremes_are_looked_up_lazily(dim, name, monkeypatch):
    ds = in_memory()
    ds.t[:, 1, 2] = ds.t[3, :, 0] = np.nan
    with counted_runs(monkeypatch) as runs:
        found = getattr(chunked(ds).t.asyncexec, name)(dim)
        whole = getattr(chunked(ds).n.asyncexec, name)("x")
    assert not runs
    assert is_lazy(found)
    xr.testing.assert_equal(found.compute(), getattr(ds.t, name)(dim))
    xr.testing.assert_equal(whole.compute(), getattr(ds.n, name)("x"))
    with pytest.raises(OptionError, match="has no labels"):
        getattr(chunked(ds).t.drop_vars(dim).asyncexec, name)(dim)


def test_labels_by_positions_along_one_dimension_are_looked_up_lazily(monkeypatch):
    with counted_runs(monkeypatch) as runs:
        found = chunked().n.idxmax("x")
    assert not runs
    xr.testing.assert_equal(found.compute(), in_memory().n.idxmax("x"))


@pytest.mark.parametrize(
    "written",
    [
        lambda da: da.ffill("time"),
        lambda da: da.bfill("x", limit=1),
        lambda da: da.interpolate_na("x", max_gap=2),
        lambda da: da.polyfit("x", 1, skipna=True),
    ],
)
def test_what_xarray_would_load_in_silence_is_refused(written, monkeypatch):
    # As bottleneck does it, which need not be installed.
    stand_in = SimpleNamespace(push=lambda array, limit, axis: np.asarray(array))
    monkeypatch.setitem(sys.modules, "bottleneck", stand_in)
    with counted_runs(monkeypatch) as runs, pytest.raises(TypeError, match="would load the array"):
        written(chunked().t)
    assert not runs
