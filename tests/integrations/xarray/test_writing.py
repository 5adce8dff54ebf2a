"""What is written into Zarr arrays and netCDF files that xarray has created."""

import asyncio
from itertools import product

import numpy as np
import pytest
import zarr
from hypothesis import given, settings, strategies as st

xr = pytest.importorskip("xarray")

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import OptionError
from asyncexec.integrations.xarray import AsyncexecManager, set_options
from asyncexec.integrations.xarray.aligned_pieces import pieces_of
from asyncexec.integrations.xarray.block_writes import is_shared
from asyncexec.integrations.xarray.writing import writing_of
from tests.integrations.xarray.datasets import chunked, counted_runs, in_memory
from tests.profiles import examples

PROCESSES = ax.Spec(executor="processes", executor_options={"max_workers": 1})


@pytest.fixture(autouse=True)
def options():
    with xr.set_options(chunk_manager="asyncexec"):
        yield


def opened(place):
    return xr.open_zarr(place, consolidated=False).compute(executor="threads")


def to_zarr(ds, place, **keywords):
    return ds.to_zarr(place, consolidated=False, **keywords)


def test_all_variables_are_written_by_one_plan(tmp_path, monkeypatch):
    place = str(tmp_path / "a.zarr")
    with counted_runs(monkeypatch) as runs:
        to_zarr(chunked() * 2, place)
    assert len(runs) == 1
    xr.testing.assert_allclose(opened(place), in_memory() * 2)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_either_format_with_consolidated_metadata(zarr_format, tmp_path):
    place = str(tmp_path / "a.zarr")
    chunked().to_zarr(place, zarr_format=zarr_format, consolidated=zarr_format == 2)
    xr.testing.assert_allclose(
        xr.open_zarr(place, consolidated=zarr_format == 2).compute(), in_memory()
    )


@pytest.mark.parametrize("mode", ["a", "r+", "w"])
@pytest.mark.parametrize(
    "change", [lambda ds: ds.isel(t=slice(None, None, -1)), lambda ds: ds + 1, lambda ds: ds]
)
def test_what_is_computed_of_a_place_is_not_written_to_it(mode, change, tmp_path):
    place = str(tmp_path / "a.zarr")
    to_zarr(xr.Dataset({"v": ("t", np.arange(12.0)), "w": ("t", np.arange(12))}).chunk(t=3), place)
    stored = change(xr.open_zarr(place, consolidated=False))
    if mode != "w" and stored.v.values[0] == 0:
        to_zarr(stored, place, mode=mode)
    else:
        with pytest.raises(OptionError, match=r"a.zarr/[vw] would be overwritten while"):
            to_zarr(stored, place, mode=mode)
    if mode != "w":
        assert opened(place).v.values.tolist() == list(range(12))


async def test_a_group_that_is_read_is_not_emptied(tmp_path):
    place = str(tmp_path / "a.zarr")
    data = xr.Dataset({"v": ("t", np.arange(12.0))})
    to_zarr(data, place, group="g")
    stored = xr.open_zarr(place, group="g", consolidated=False)
    for group in ("g", None):
        with pytest.raises(OptionError, match="would be overwritten while"):
            await (stored * 2).asyncexec.to_zarr(place, mode="w", group=group, consolidated=False)
    xr.testing.assert_identical(
        await xr.open_zarr(place, group="g", consolidated=False).asyncexec.compute(), data
    )
    await (stored * 2).asyncexec.to_zarr(place, mode="w", group="h", consolidated=False)


def test_a_new_variable_is_added_beside_lazy_coordinates_of_the_same_group(tmp_path):
    place = str(tmp_path / "a.zarr")
    data = xr.Dataset(
        {"v": (("y", "x"), np.ones((4, 6)))},
        coords={"lat": (("y", "x"), np.arange(24.0).reshape(4, 6))},
    )
    to_zarr(data.chunk(y=2), place)
    stored = xr.open_zarr(place, consolidated=False)
    to_zarr(stored.assign(w=stored.v * 2)[["w"]], place, mode="a")
    xr.testing.assert_identical(opened(place), data.assign(w=data.v * 2))


async def test_a_file_is_written_in_a_coroutine_as_the_error_says(tmp_path):
    place = tmp_path / "a.nc"
    with pytest.raises(
        ax.errors.RunningLoopError, match=r"asyncio.to_thread\(ds.to_netcdf, path\)"
    ):
        chunked()[["t"]].to_netcdf(place, engine="scipy")
    await asyncio.to_thread(chunked()[["t"]].to_netcdf, place, engine="scipy")
    with xr.open_dataset(place, engine="scipy") as found:
        assert list(found.data_vars) == ["t"]


def test_from_other_processes(tmp_path):
    place = str(tmp_path / "a.zarr")
    with set_options(spec=PROCESSES):
        to_zarr(chunked(), place)
    xr.testing.assert_allclose(opened(place), in_memory())


def test_a_region(tmp_path):
    place = str(tmp_path / "a.zarr")
    ds = chunked().drop_vars(["y", "x"])
    to_zarr(ds, place)
    part = (ds[["t"]] * 0 - 1).isel(time=slice(4, 8)).drop_vars("time")
    to_zarr(part, place, region={"time": slice(4, 8)})
    expected = in_memory().t.copy()
    expected[4:8] = (expected[4:8] * 0) - 1
    np.testing.assert_allclose(opened(place).t, expected)


def test_a_region_that_is_found_by_its_labels(tmp_path, monkeypatch):
    place = str(tmp_path / "a.zarr")
    to_zarr(chunked(), place)
    part = in_memory()[["t"]].isel(time=slice(4, 8), y=slice(0, 3)) * 0 - 1
    with counted_runs(monkeypatch) as runs:
        to_zarr(chunked(part), place, region="auto")
    assert len(runs) == 1
    expected = in_memory()
    expected.t[4:8, :3] = part.t
    xr.testing.assert_allclose(opened(place), expected)


def test_a_region_of_what_was_only_created_is_written(tmp_path, monkeypatch):
    pytest.importorskip("dask")
    place = str(tmp_path / "a.zarr")
    to_zarr(chunked(), place, compute=False)
    for begin in (0, 4, 8):
        part = chunked()[["t"]].isel(time=slice(begin, begin + 4)).drop_vars(["y", "x"])
        to_zarr(part, place, region={"time": slice(begin, begin + 4)})
    xr.testing.assert_allclose(opened(place).t, in_memory().t)


@pytest.mark.parametrize("length", [4, 5, 1])
def test_appending_also_where_chunks_do_not_begin_there(length, tmp_path):
    place = str(tmp_path / "a.zarr")
    to_zarr(chunked().isel(time=slice(0, 6)), place)
    rest = in_memory().isel(time=slice(6, None))
    to_zarr(chunked(rest, time=length, y=2), place, append_dim="time", safe_chunks=False)
    xr.testing.assert_allclose(opened(place), in_memory())


def test_shards_are_written_whole_whatever_the_chunks_are(tmp_path):
    place = str(tmp_path / "a.zarr")
    encoding = {"t": {"chunks": (2, 5, 3), "shards": (8, 5, 6)}}
    to_zarr(chunked(time=3, x=2), place, encoding=encoding, safe_chunks=False)
    xr.testing.assert_allclose(opened(place), in_memory())


def test_a_delayed_write_writes_nothing_before_it_is_computed(tmp_path, monkeypatch):
    pytest.importorskip("dask")
    place = str(tmp_path / "a.zarr")
    with counted_runs(monkeypatch) as runs:
        delayed = to_zarr(chunked(), place, compute=False)
    assert not runs
    assert opened(place).t.isnull().all()
    delayed.compute(scheduler="synchronous")
    xr.testing.assert_allclose(opened(place), in_memory())


def test_what_store_returns_is_awaited_or_computed(tmp_path):
    target = zarr.create_array(tmp_path / "a.zarr", shape=(4, 6), chunks=(2, 3), dtype="f8")
    values = np.arange(24.0).reshape(4, 6)
    source = AsyncexecManager().from_array(values, (2, 3))
    writing = AsyncexecManager().store(source, target, compute=False, flush=True, lock=None)
    assert (target[...] == 0).all()
    result = asyncio.run(ax.execute(writing))
    assert sum(map(int, result.value)) == 24
    np.testing.assert_array_equal(target[...], values)
    AsyncexecManager().store([source * 2], [target], regions=[None])
    np.testing.assert_array_equal(target[...], values * 2)
    AsyncexecManager().store([source[0]], [zarr.open_array(tmp_path / "a.zarr")[0]], lock=False)


def test_a_write_is_never_taken_for_one_that_is_complete(tmp_path):
    target = zarr.create_array(tmp_path / "a.zarr", shape=(4,), chunks=(2,), dtype="f8")
    source = xp.ones(4, chunks=2)
    prints = {writing_of([source], [target]).to_plan().fingerprint for _ in range(2)}
    assert len(prints) == 2


@pytest.mark.parametrize("engine", ["netcdf4", "scipy"])
@pytest.mark.parametrize("spec", [None, PROCESSES], ids=["threads", "processes"])
def test_netcdf_files_are_written_by_this_process(engine, spec, tmp_path):
    pytest.importorskip({"netcdf4": "netCDF4", "scipy": "scipy"}[engine])
    place = str(tmp_path / "a.nc")
    with set_options(spec=spec):
        chunked().to_netcdf(place, engine=engine)
    with xr.open_dataset(place, engine=engine) as ds:
        xr.testing.assert_allclose(ds.load(), in_memory())


def test_a_delayed_netcdf_file(tmp_path):
    pytest.importorskip("dask")
    pytest.importorskip("netCDF4")
    place = str(tmp_path / "a.nc")
    chunked().to_netcdf(place, compute=False).compute(scheduler="synchronous")
    with xr.open_dataset(place) as ds:
        xr.testing.assert_allclose(ds.load(), in_memory())


def test_a_store_in_memory_is_written_by_this_process():
    store = zarr.storage.MemoryStore()
    with set_options(spec=PROCESSES):
        to_zarr(chunked(), store)
    xr.testing.assert_allclose(opened(store), in_memory())


@pytest.mark.parametrize("spec", [None, PROCESSES], ids=["threads", "processes"])
def test_a_session_of_icechunk(spec):
    icechunk = pytest.importorskip("icechunk")
    repo = icechunk.Repository.create(icechunk.in_memory_storage())
    session = repo.writable_session("main")
    with set_options(spec=spec):
        to_zarr(chunked(), session.store, zarr_format=3)
    session.commit("a dataset")
    xr.testing.assert_allclose(opened(repo.readonly_session("main").store), in_memory())


def test_a_target_of_this_process_goes_to_no_other():
    target = zarr.create_array(zarr.storage.MemoryStore(), shape=(4,), chunks=(2,), dtype="f8")
    assert not is_shared(target)
    writing = writing_of([xp.ones(4, chunks=2)], [target])
    with pytest.raises(OptionError, match="use 'threads'"):
        writing.compute(executor="processes")
    with pytest.raises(Exception, match="executor 'threads'"):
        asyncio.run(ax.execute(writing, executor="processes"))
    assert (target[...] == 0).all()


def test_a_lock_is_held_by_one_task_at_a_time():
    class Held:
        def __init__(self):
            self.inside = self.most = self.times = 0

        def __enter__(self):
            self.inside += 1
            self.times += 1
            self.most = max(self.most, self.inside)

        def __exit__(self, *_):
            self.inside -= 1

    held = Held()
    target = np.zeros((6, 4))
    writing_of([xp.ones((6, 4), chunks=(2, 4))], [target], lock=held).compute(executor="serial")
    assert (target == 1).all()
    assert (held.times, held.most) == (3, 1)


def test_regions_that_do_not_fit_are_refused():
    source = xp.ones(4, chunks=2)
    target = zarr.create_array({}, shape=(6,), chunks=(2,), dtype="f8")
    for region in [None, (slice(0, 5),), (slice(4, None),), (slice(0, 4, 2),), (3,)]:
        with pytest.raises(OptionError, match="region"):
            writing_of([source], [target], regions=[region])
    with pytest.raises(OptionError, match="1 arrays cannot be written into 2 targets"):
        writing_of([source], [target, target])


class Target:
    """As much of a Zarr array as says how it is written."""

    store = None

    def __init__(self, shape, chunks, shards):
        self.shape, self.chunks, self.shards = shape, chunks, shards


@st.composite
def writes(draw):
    ndim = draw(st.integers(0, 2))
    shape, chunks, target, units, region = [], [], [], [], []
    for _ in range(ndim):
        n = draw(st.integers(0, 12))
        before, after = draw(st.integers(0, 7)), draw(st.integers(0, 7))
        shape.append(n)
        chunks.append(draw(st.integers(1, max(n, 1))))
        target.append(before + n + after)
        units.append(draw(st.integers(1, 5)))
        region.append(slice(before, before + n))
    return tuple(shape), tuple(chunks), tuple(target), tuple(units), tuple(region)


@given(writes(), st.booleans())
@settings(max_examples=examples(80), deadline=None)
def test_no_two_tasks_write_into_one_chunk_and_all_is_written(write, sharded):
    shape, chunks, whole, units, region = write
    target = Target(whole, units, tuple(2 * u for u in units) if sharded else None)
    unit = target.shards or units
    written = np.zeros(whole, int)
    owners: dict[tuple[int, ...], object] = {}
    for piece in pieces_of(shape, chunks, target, region):
        lengths = [len(range(*s.indices(n))) for s, n in zip(piece.part, shape, strict=True)]
        grid = [range(-(-n // c)) for n, c in zip(lengths, piece.chunks, strict=True)]
        for block in product(*grid):
            key = tuple(
                slice(b + i * c, b + min((i + 1) * c, n))
                for b, i, c, n in zip(piece.begin, block, piece.chunks, lengths, strict=True)
            )
            written[key] += 1
            touched = [
                range(k.start // u, (k.stop - 1) // u + 1) for k, u in zip(key, unit, strict=True)
            ]
            for chunk in product(*touched):
                assert owners.setdefault(chunk, (piece.begin, block)) == (piece.begin, block)
    assert (written[region] == 1).all()
    assert written.sum() == np.prod(shape, dtype=int)


def test_chunks_that_xarray_stores_nowhere_are_stored_in_regular_ones(tmp_path):
    ds = xr.Dataset({"t": (("time", "x"), np.arange(360.0).reshape(90, 4))})
    lazy = ds.chunk(time=(31, 28, 31))
    with pytest.raises(ValueError, match="uniform chunk sizes"):
        lazy.to_zarr(tmp_path / "a", consolidated=False)
    asyncio.run(lazy.asyncexec.to_zarr(tmp_path / "b", consolidated=False))
    xr.testing.assert_identical(opened(tmp_path / "b"), ds)


def test_what_is_made_of_regular_chunks_is_regular(tmp_path):
    ds = xr.Dataset({"t": (("time",), np.arange(33.0))})
    lazy = ds.chunk(time=10)
    both = xr.concat([lazy, lazy], "time")
    assert both.t.chunksizes["time"] == (10, 10, 10, 10, 10, 10, 6)
    both.to_zarr(tmp_path / "a", consolidated=False)
