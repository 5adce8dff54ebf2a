"""New arrays as users ask for them: shards, codecs, fill values, attributes and names, read back by Zarr and xarray."""

import json

import numpy as np
import pytest
import xarray
import zarr
import zarr.codecs
from hypothesis import given, settings, strategies as st

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import OptionError, TargetExistsError
from tests.array.direct import run
from tests.array.strategies import chunks_of, shapes, values
from tests.profiles import examples

RNG = np.random.default_rng(0)


@st.composite
def sharded(draw):
    shape = draw(shapes(side=st.integers(0, 9)))
    chunks = tuple(draw(st.integers(1, 4)) for _ in shape)
    shards = tuple(c * draw(st.integers(1, 3)) for c in chunks)
    return shape, draw(chunks_of(shape)), chunks, shards


@given(sharded(), st.integers(0, 2**32 - 1))
@settings(max_examples=examples(25))
def test_shards_are_written_whatever_the_chunks_of_the_array(arrays, seed):
    shape, own, chunks, shards = arrays
    data = values(shape, np.float32, seed)
    store = zarr.storage.MemoryStore()
    run(xp.store([xp.asarray(data, chunks=own)], [store], chunks=chunks, shards=shards))
    found = zarr.open_array(store, mode="r")
    np.testing.assert_array_equal(found[...], data)
    if shape:
        assert (found.chunks, found.shards) == (chunks, shards)


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_each_shard_is_one_object_written_by_one_task(tmp_path, executor):
    data = RNG.random((12, 10))
    x = xp.asarray(data, chunks=(5, 3))
    computation = xp.store([x * 2], [tmp_path / "a"], shards=(6, 4), chunks=(3, 2))
    (written,) = (o for s in computation.to_plan().stages for o in s.outputs if "/a" in o.location)
    assert written.unit == (6, 4)
    assert all(b % u == 0 for b, u in zip(written.block, written.unit, strict=True))
    computation.compute(executor=executor)
    assert len([p for p in (tmp_path / "a" / "c").rglob("*") if p.is_file()]) == 2 * 3
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a")[:], data * 2)
    np.testing.assert_array_equal(xp.from_zarr(tmp_path / "a")[1:].compute(), data[1:] * 2)


def test_chunks_within_shards_are_the_array_s_own_where_they_divide_them(tmp_path):
    x = xp.ones((1000,), chunks=(100,))
    xp.to_zarr(x, tmp_path / "a", shards=(500,))
    xp.to_zarr(x.rechunk(300), tmp_path / "b", shards=(1000,))
    xp.to_zarr(x.rechunk(300), tmp_path / "c", shards=(997,))
    chunks = [zarr.open_array(tmp_path / name).chunks for name in "abc"]
    assert chunks == [(100,), (250,), (997,)]


@pytest.mark.parametrize(
    "options, names",
    [
        ({"compressors": None}, []),
        ({"compressors": "auto"}, ["zstd"]),
        ({"compressors": "gzip"}, ["gzip"]),
        ({"compressors": zarr.codecs.BloscCodec(cname="lz4")}, ["blosc"]),
        ({"compressors": {"name": "zstd", "configuration": {"level": 3}}}, ["zstd"]),
        ({"compressors": [zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()]}, ["zstd", "crc32c"]),
        ({"compressors": "gzip", "shards": (4, 4)}, ["gzip"]),
    ],
)
def test_compressors_in_every_form(tmp_path, options, names):
    data = RNG.integers(0, 9, (6, 7))
    xp.to_zarr(xp.asarray(data, chunks=(2, 2)), tmp_path / "a", **options)
    found = zarr.open_array(tmp_path / "a")
    assert [codec.to_dict()["name"] for codec in found.compressors] == names
    np.testing.assert_array_equal(found[:], data)
    np.testing.assert_array_equal(xp.from_zarr(tmp_path / "a").compute(), data)


def test_filters(tmp_path):
    data = RNG.random((6, 7))
    xp.to_zarr(
        xp.asarray(data, chunks=(3, 2)),
        tmp_path / "a",
        filters=zarr.codecs.TransposeCodec(order=(1, 0)),
    )
    found = zarr.open_array(tmp_path / "a")
    assert [codec.to_dict()["name"] for codec in found.filters] == ["transpose"]
    np.testing.assert_array_equal(found[:], data)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    "dtype, fill", [("f8", np.nan), ("f4", -np.inf), ("i2", -999), ("bool", True), ("c8", 1j)]
)
def test_fill_values(tmp_path, zarr_format, dtype, fill):
    x = xp.zeros(5, chunks=2, dtype=np.dtype(dtype))
    xp.to_zarr(x, tmp_path / "a", fill_value=fill, zarr_format=zarr_format)
    found = zarr.open_array(tmp_path / "a")
    np.testing.assert_array_equal(found.fill_value, np.asarray(fill, dtype))
    assert found.metadata.zarr_format == zarr_format
    np.testing.assert_array_equal(found[:], np.zeros(5, dtype))


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_fill_values_of_times_and_text(tmp_path, zarr_format):
    times = np.array(["2020-01-01", "2021-01-01"], "M8[s]")
    xp.to_zarr(
        xp.asarray(times), tmp_path / "a", fill_value=np.datetime64("NaT"), zarr_format=zarr_format
    )
    assert np.isnat(zarr.open_array(tmp_path / "a").fill_value)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a")[:], times)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_attributes_and_names_are_those_that_xarray_reads(tmp_path, zarr_format):
    zarr.create_group(tmp_path / "g", zarr_format=zarr_format)
    data = RNG.random((4, 3))
    xp.to_zarr(
        xp.asarray(data, chunks=(2, 3)),
        tmp_path / "g",
        path="deep/t",
        attributes={"units": "K", "scale": np.float32(0.5), "levels": np.arange(2)},
        dimension_names=("time", "x"),
    )
    found = xarray.open_zarr(tmp_path / "g", group="deep", consolidated=False, chunks=None)["t"]
    assert found.dims == ("time", "x")
    assert found.attrs == {"units": "K", "scale": 0.5, "levels": [0, 1]}
    np.testing.assert_array_equal(found.values, data)


def test_a_name_of_axes_with_two_lengths_in_a_group_is_refused_before_anything_is_made(tmp_path):
    arrays = [xp.ones(4), xp.ones(6)]
    zarr.create_group(tmp_path / "g")
    places = [tmp_path / "g" / "a", tmp_path / "g" / "b"]
    with pytest.raises(OptionError, match=r"'x' would name axes of 4 elements .* and of 6"):
        xp.store(arrays, places, dimension_names=("x",)).compute()
    assert [p.name for p in (tmp_path / "g").iterdir()] == ["zarr.json"]
    xp.store(arrays, places, dimension_names=[("x",), ("y",)]).compute()
    found = xarray.open_zarr(tmp_path / "g", consolidated=False, chunks=None)
    assert found.sizes == {"x": 4, "y": 6}


def test_a_name_of_axes_has_a_length_in_each_group_and_in_each_array_without_one(tmp_path):
    arrays = [xp.ones(4), xp.ones(6)]
    for folder in ("g", "h"):
        zarr.create_group(tmp_path / folder)
    for places in (("a", "b"), ("g/a", "h/b")):
        xp.store(arrays, [tmp_path / p for p in places], dimension_names=("x",)).compute()
        assert [xp.from_zarr(tmp_path / p).dimension_names for p in places] == [("x",), ("x",)]


def test_options_for_each_array_are_lists(tmp_path):
    x = xp.ones((4, 4), chunks=(2, 2))
    xp.store(
        [x, x + 1],
        [tmp_path / "a", tmp_path / "b"],
        shards=[(4, 4), None],
        attributes=[{"n": 1}, {"n": 2}],
        dimension_names=("y", "x"),
    ).compute()
    a, b = (zarr.open_array(tmp_path / name) for name in "ab")
    assert (a.shards, b.shards) == ((4, 4), None)
    assert (a.attrs["n"], b.attrs["n"]) == (1, 2)
    assert a.metadata.dimension_names == b.metadata.dimension_names == ("y", "x")
    with pytest.raises(OptionError, match=r"shards is a list of 1, and 2 arrays"):
        xp.store([x, x], [tmp_path / "c", tmp_path / "d"], shards=[(4, 4)])


@pytest.mark.parametrize(
    "options, match",
    [
        ({"shards": (3, 4), "chunks": (2, 4)}, r"shards \(3, 4\) must be multiples of chunks"),
        ({"shards": (4,)}, "one entry per axis"),
        ({"chunks": ((1, 3), 4)}, None),
        ({"chunks": ((3, 1, 2), 4)}, "add up to 6"),
        ({"compressors": "nonsense"}, "not a compressor"),
        ({"compressors": 3}, "not a compressor"),
        ({"compressors": {"name": "nonsense", "configuration": {}}}, "nonsense"),
        ({"filters": 3}, "not a filter"),
        ({"fill_value": "much"}, "fill_value='much' is no value of type int16"),
        ({"fill_value": 1e9}, "fill_value"),
        ({"fill_value": 0.5}, "fill_value=0.5 is no value of type int16"),
        ({"fill_value": [1, 2]}, "fill_value"),
        ({"attributes": ["a"]}, "must map names to values"),
        ({"attributes": {"a": object()}}, "cannot be written as JSON"),
        ({"attributes": {"asyncexec": 1}}, "this package's own"),
        ({"dimension_names": ("x",)}, "for each of 2 axes"),
        ({"zarr_format": 4}, "give 2 or 3"),
        ({"zarr_format": 2, "shards": (4, 4)}, "no shards"),
        ({"zarr_format": 2, "filters": "crc32c"}, "cannot be made"),
        ({"align": "read-write"}, "align is for region and append_dim"),
        ({"align": "maybe"}, "give 'strict' or 'read-write'"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_made(tmp_path, options, match):
    x = xp.ones((4, 4), chunks=(2, 2), dtype=xp.int16)
    if match is None:
        xp.store([x], [tmp_path / "a"], **options)
        return
    with pytest.raises(OptionError, match=match):
        xp.store([x], [tmp_path / "a"], **options)
    assert list(tmp_path.iterdir()) == []


def test_a_format_that_is_not_that_of_the_group_is_refused(tmp_path):
    zarr.create_group(tmp_path / "g", zarr_format=3)
    with pytest.raises(OptionError, match="a group of format 3"):
        xp.to_zarr(xp.ones(3), tmp_path / "g", path="a", zarr_format=2)
    assert [p.name for p in (tmp_path / "g").iterdir()] == ["zarr.json"]


def test_replacing_keeps_the_old_array_until_the_new_one_is_complete(tmp_path):
    def fail(block):
        raise RuntimeError("no")

    xp.to_zarr(xp.ones((4, 4)), tmp_path / "a", attributes={"n": 1})
    new = {"shards": (2, 2), "attributes": {"n": 2}, "overwrite": True}
    with pytest.raises(TargetExistsError):
        xp.to_zarr(xp.ones((4, 4)), tmp_path / "a", shards=(2, 2))
    with pytest.raises(RuntimeError):
        run(xp.store([xp.map_blocks(fail, xp.ones((4, 4)), dtype=float)], [tmp_path / "a"], **new))
    assert zarr.open_array(tmp_path / "a").attrs.asdict() == {"n": 1}
    xp.to_zarr(xp.zeros((4, 4)), tmp_path / "a", **new)
    found = zarr.open_array(tmp_path / "a")
    assert (found.shards, found.attrs.asdict(), found[:].sum()) == ((2, 2), {"n": 2}, 0)


def test_plans_that_store_in_another_way_are_other_plans(tmp_path):
    def fingerprint(**options):
        return xp.store([xp.ones(4, chunks=2)], [tmp_path / "a"], **options).to_plan().fingerprint

    each = [{}, {"attributes": {"n": 1}}, {"attributes": {"n": 2}}, {"shards": 4}]
    assert len({fingerprint(**options) for options in each}) == 4
    assert fingerprint(fill_value=np.nan) == fingerprint(fill_value=float("nan"))


async def test_a_run_with_options_can_be_resumed(tmp_path):
    spec = ax.Spec(work_dir=tmp_path / "work")
    x = xp.asarray(np.arange(8.0), chunks=2, spec=spec)
    target = xp.store([x + 1], [tmp_path / "a"], shards=4, fill_value=np.nan, attributes={"n": 1})
    async with ax.Engine("threads") as engine:
        await engine.execute(target, resume=True)
        (tmp_path / "a" / "c" / "1").unlink()
        assert (await engine.execute(target, resume=True)).attempts == 1
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a")[:], np.arange(8.0) + 1)


def test_options_in_a_session_of_icechunk():
    icechunk = pytest.importorskip("icechunk")
    repo = icechunk.Repository.create(icechunk.in_memory_storage())
    session = repo.writable_session("main")
    target = zarr.storage.StorePath(session.store, "g/x")
    x = xp.asarray(np.arange(12.0), chunks=5)
    xp.store([x], [target], shards=(4,), attributes={"n": 1}, dimension_names=("t",)).compute()
    found = zarr.open_array(session.store, path="g/x", mode="r")
    assert (found.shards, found.attrs["n"]) == ((4,), 1)
    assert found.metadata.dimension_names == ("t",)
    np.testing.assert_array_equal(found[:], np.arange(12.0))
    with pytest.raises(OptionError, match="store_icechunk"):
        xp.store([x], [target], append_dim=0)


def test_metadata_are_those_that_zarr_writes_itself(tmp_path):
    options = {"attributes": {"a": 1}, "dimension_names": ("y", "x"), "fill_value": np.nan}
    xp.to_zarr(
        xp.ones((4, 6), chunks=(2, 3)), tmp_path / "a", compressors=None, shards=(4, 6), **options
    )
    zarr.create_array(
        tmp_path / "b",
        shape=(4, 6),
        chunks=(2, 3),
        shards=(4, 6),
        dtype="f8",
        compressors=None,
        **options,
    )
    a, b = (json.loads((tmp_path / name / "zarr.json").read_text()) for name in "ab")
    assert a == b
