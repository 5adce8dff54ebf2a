import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import OptionError, UnknownOptionError

xr = pytest.importorskip("xarray")

from xarray.namedarray.parallelcompat import ChunkManagerEntrypoint, guess_chunkmanager

from asyncexec.integrations.xarray import AsyncexecManager, DuckArray, data_array, set_options
from tests.integrations.xarray.datasets import chunked, in_memory

MANAGER = AsyncexecManager()
VALUES = np.arange(24.0).reshape(4, 6)


@pytest.fixture
def x():
    return MANAGER.from_array(VALUES, (2, 3))


def test_xarray_finds_it_by_its_entry_point():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    (name,) = project["entry-points"]["xarray.chunkmanagers"].items()
    assert name == ("asyncexec", "asyncexec.integrations.xarray.chunk_manager:AsyncexecManager")
    (found,) = [e for e in entry_points(group="xarray.chunkmanagers") if e.name == "asyncexec"]
    assert found.load() is AsyncexecManager
    assert isinstance(guess_chunkmanager("asyncexec"), AsyncexecManager)


def test_every_method_of_the_protocol_is_its_own():
    inherited = {
        name
        for name in vars(ChunkManagerEntrypoint)
        if not name.startswith("_") and name not in vars(AsyncexecManager)
    }
    assert inherited == set()


def test_it_knows_its_arrays(x):
    assert MANAGER.is_chunked_array(x)
    assert not MANAGER.is_chunked_array(VALUES)
    assert MANAGER.chunks(x) == ((2, 2), (3, 3))
    assert MANAGER.array_cls is DuckArray


def test_arrays_as_they_are_compute_too():
    da = xr.DataArray(xp.asarray(VALUES, chunks=(2, 3)), dims=("y", "x")) * 2
    assert MANAGER.chunks(da.data) == ((2, 2), (3, 3))
    np.testing.assert_array_equal(da.compute(), 2 * VALUES)
    again = da.chunk(y=4, chunked_array_type="asyncexec")
    assert again.chunks == ((4,), (3, 3))
    assert da.asyncexec.array.chunks == (2, 3)


def test_chunks_are_normalized_as_xarray_asks():
    found = MANAGER.normalize_chunks(
        ("auto", 3), shape=(400, 6), dtype=np.dtype("f8"), limit=2400, previous_chunks=(25, 6)
    )
    assert found == ((100, 100, 100, 100), (3, 3))
    assert MANAGER.normalize_chunks(((2, 2), (3,))) == ((2, 2), (3,))


def test_computing_is_one_plan_and_passes_others_through(x, monkeypatch):
    from tests.integrations.xarray.datasets import counted_runs

    with counted_runs(monkeypatch) as runs:
        found = MANAGER.compute(x, "other", x + 1, VALUES)
    assert len(runs) == 1
    np.testing.assert_array_equal(found[0], VALUES)
    np.testing.assert_array_equal(found[2], VALUES + 1)
    assert found[1] == "other"
    assert found[3] is VALUES
    assert MANAGER.compute(3, "none lazy") == (3, "none lazy")


def test_persisted_arrays_keep_their_chunks_and_are_not_computed_again(x, monkeypatch):
    calls = []

    def counted(block):
        calls.append(block.shape)
        return block * 2

    doubled = MANAGER.map_blocks(counted, x, dtype=x.dtype)
    found, other = MANAGER.persist(doubled, "other")
    made = len(calls)
    assert found.chunks == x.chunks
    np.testing.assert_array_equal(found.compute(), VALUES * 2)
    assert len(calls) == made >= 4
    assert other == "other"


def test_rechunking(x):
    assert MANAGER.rechunk(x, {0: -1}).chunks == ((4,), (3, 3))
    assert MANAGER.rechunk(x, ((3, 1), (5, 1))).chunks == ((3, 1), (5, 1))


def test_shuffling(x):
    found = MANAGER.shuffle(x, [[5, 0], [], [3]], 1, "auto")
    np.testing.assert_array_equal(found.compute(), VALUES[:, [5, 0, 3]])


def test_a_reduction_by_functions_of_blocks(x):
    def total(block, axis, keepdims):
        return np.sum(block, axis=axis, keepdims=keepdims)

    found = MANAGER.reduction(x, func=total, aggregate_func=total, axis=1, dtype=x.dtype)
    np.testing.assert_allclose(found.compute(), VALUES.sum(1))


def test_a_scan_by_functions_of_blocks(x):
    found = MANAGER.scan(np.cumsum, np.add, 0, x, axis=1, dtype=x.dtype)
    np.testing.assert_allclose(found.compute(), VALUES.cumsum(1))


def test_generalized_functions_return_one_array_or_several(x):
    rows = MANAGER.rechunk(x, {1: -1})
    found = MANAGER.apply_gufunc(lambda b: b.sum(-1), "(i)->()", rows, output_dtypes=[float])
    np.testing.assert_allclose(found.compute(), VALUES.sum(1))

    def both(block):
        return block.min(-1), block.max(-1)

    low, high = MANAGER.apply_gufunc(
        both, "(i)->(),()", x, output_dtypes=[float, float], allow_rechunk=True, vectorize=False
    )
    np.testing.assert_allclose(low.compute(), VALUES.min(1))
    np.testing.assert_allclose(high.compute(), VALUES.max(1))


def test_functions_of_blocks_get_constants_where_they_stand(x):
    def applied(factor, block, added, power=1):
        return factor * block**power + added

    found = MANAGER.map_blocks(applied, 3, x, 1.0, dtype=x.dtype, power=2, name="ignored")
    np.testing.assert_allclose(found.compute(), 3 * VALUES**2 + 1)


def test_functions_of_blocks_that_change_the_shape(x):
    def widened(block):
        return np.stack([block, -block])

    found = MANAGER.map_blocks(
        widened, x, dtype=x.dtype, new_axis=[0], chunks=((2,), (2, 2), (3, 3))
    )
    np.testing.assert_array_equal(found.compute(), np.stack([VALUES, -VALUES]))


def test_blocks_put_together_by_indices(x):
    found = MANAGER.blockwise(np.add, "ij", x, "ij", x, "ij", dtype=x.dtype, concatenate=True)
    np.testing.assert_array_equal(found.compute(), VALUES * 2)


def test_common_chunks_are_those_of_the_largest_array(x):
    row = MANAGER.from_array(VALUES[0], (6,))
    chunks, (found, other, same) = MANAGER.unify_chunks(x, "yx", row, "x", VALUES, "yx")
    assert chunks == {"y": (2, 2), "x": (3, 3)}
    assert found.chunks == x.chunks
    assert other.chunks == ((3, 3),)
    assert same is VALUES


def test_the_namespace_makes_arrays_and_has_numpys_functions():
    made = MANAGER.array_api.full((4, 6), 7, dtype="i4", chunks=((2, 2), (6,)))
    assert (made.chunks, made.dtype) == (((2, 2), (6,)), np.int32)
    np.testing.assert_array_equal(made.compute(), np.full((4, 6), 7, "i4"))
    assert MANAGER.array_api.arange(5, chunks=2).chunks == ((2, 2, 1),)
    assert MANAGER.array_api.where is np.where
    assert MANAGER.get_auto_chunk_size() == 64 * 1024 * 1024


def test_times_and_strings_are_not_chunked():
    times = np.array(["2000-01-01", "2001-01-01"], "M8[ns]")
    assert MANAGER.from_array(times, (1,)) is times
    ds = in_memory().assign(when=("time", in_memory().time.values), name=("y", list("abcde")))
    found = chunked(ds)
    assert isinstance(found.t.variable._data, DuckArray)
    assert found.when.chunks is found.name.chunks is None
    xr.testing.assert_identical(found.compute(), ds)


def test_an_unknown_option_of_from_array_is_refused():
    with pytest.raises(UnknownOptionError, match="'spec' alone, and got 'asarray'"):
        in_memory().chunk(chunked_array_type="asyncexec", from_array_kwargs={"asarray": True})


def test_a_spec_is_set_once_or_for_one_dataset():
    one, other = ax.Spec(allowed_mem="1GB"), ax.Spec(allowed_mem="3GB")
    with set_options(spec=one):
        assert chunked().t.data.spec is one
        own = in_memory().chunk(
            time=4, chunked_array_type="asyncexec", from_array_kwargs={"spec": other}
        )
        assert own.t.data.spec is other
        assert (chunked().t + 1).data.spec is one
        assert MANAGER.array_api.zeros(3).spec is one
    assert chunked().t.data.array.own_spec is None
    with pytest.raises(OptionError, match=r"must be an asyncexec\.Spec"):
        set_options(spec="1GB")
    with pytest.raises(OptionError, match=r"takes an asyncexec\.Spec"):
        MANAGER.from_array(VALUES, (2, 3), spec="1GB")


def test_automatic_chunks_fit_the_memory_that_is_allowed():
    wide = np.zeros((3000, 1000))
    with set_options(spec=ax.Spec(allowed_mem="150MB", reserved_mem="100MB")):
        assert MANAGER.get_auto_chunk_size() == 5_000_000
        lengths = MANAGER.normalize_chunks("auto", shape=wide.shape, dtype=wide.dtype)
        x = MANAGER.from_array(wide, "auto")
    assert 8 * lengths[0][0] * lengths[1][0] <= 5_000_000
    assert np.prod(x.chunksize) * 8 <= 5_000_000
    assert np.prod(MANAGER.rechunk(x, "auto").chunksize) * 8 <= 5_000_000


def test_an_array_of_ones_own_becomes_a_data_array_and_comes_back():
    array = xp.ones((4, 6), chunks=(3, 2))
    da = data_array(array, ("y", "x"), name="ones")
    assert da.chunks == ((3, 1), (2, 2, 2))
    assert da.asyncexec.array is array
    assert data_array(xp.zeros(3)).dims == ("dim_0",)
    assert MANAGER.from_array(array, (2, 2)).chunks == ((2, 2), (2, 2, 2))


def test_chunks_whose_lengths_differ_pass_through():
    ds = xr.Dataset({"t": (("time", "x"), np.arange(360.0).reshape(90, 4))})
    lazy = ds.chunk(time=(31, 28, 31), chunked_array_type="asyncexec")
    assert lazy.t.chunksizes == {"time": (31, 28, 31), "x": (4,)}
    assert (lazy.t + 1).chunksizes["time"] == (31, 28, 31)
    assert lazy.t.isel(time=slice(5, 70)).chunksizes["time"] == (26, 28, 11)
    assert lazy.unify_chunks().chunksizes["time"] == (31, 28, 31)
    months = xr.map_blocks(lambda part: part * 2, lazy.t, template=lazy.t)
    xr.testing.assert_identical(months.compute(), ds.t * 2)
    doubled = xr.apply_ufunc(lambda a: a * 2, lazy.t, dask="parallelized", output_dtypes=[float])
    assert doubled.chunksizes["time"] == (31, 28, 31)
    xr.testing.assert_identical(doubled.compute(), ds.t * 2)
    xr.testing.assert_allclose(lazy.t.mean("time").compute(), ds.t.mean("time"))


def test_functions_of_blocks_get_numpys_arrays_whatever_the_array_module():
    spec = ax.Spec(array_module="array_api_strict")
    packed = xr.Dataset({"a": ("x", np.array([1, 2, -1], "i2"), {"_FillValue": -1})})
    lazy = packed.chunk(x=2, chunked_array_type="asyncexec", from_array_kwargs={"spec": spec})
    found = xr.decode_cf(lazy)
    np.testing.assert_array_equal(found.a.compute(), [1, 2, np.nan])
