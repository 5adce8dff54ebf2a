"""Regions of arrays that are there: written in parallel where they are aligned, and by one task a chunk elsewhere."""

import numpy as np
import pytest
import zarr
from hypothesis import given, settings, strategies as st

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import (
    ArrayNotFoundError,
    ArrayReplacedError,
    OptionError,
    TargetExistsError,
    WriteConflictError,
)
from asyncexec.storage.chunks.access import forget_opened
from tests.array.direct import run
from tests.array.strategies import chunks_of, values
from tests.profiles import examples
from tests.storage.fake_s3 import serving


def existing(place, shape, chunks, **options):
    array = zarr.create_array(place, shape=shape, chunks=chunks, **({"dtype": "f8"} | options))
    array[...] = np.full(shape, -1, array.dtype)
    return array


@st.composite
def cases(draw):
    shape = tuple(draw(st.lists(st.integers(1, 12), min_size=1, max_size=3)))
    chunks = tuple(draw(st.integers(1, 4)) for _ in shape)
    shards = draw(st.sampled_from([None, tuple(c * 2 for c in chunks)]))
    starts = tuple(draw(st.integers(0, n)) for n in shape)
    stops = tuple(draw(st.integers(a, n)) for a, n in zip(starts, shape, strict=True))
    inner = tuple(b - a for a, b in zip(starts, stops, strict=True))
    return shape, chunks, shards, starts, stops, draw(chunks_of(inner))


@given(cases(), st.sampled_from([2, 3]), st.integers(0, 2**32 - 1))
@settings(max_examples=examples(30))
def test_any_region_is_written_and_nothing_else(case, zarr_format, seed):
    shape, chunks, shards, starts, stops, own = case
    shards = shards if zarr_format == 3 else None
    store = zarr.storage.MemoryStore()
    existing(store, shape, chunks, shards=shards, zarr_format=zarr_format, fill_value=7)
    region = tuple(slice(a, b) for a, b in zip(starts, stops, strict=True))
    data = values([b - a for a, b in zip(starts, stops, strict=True)], np.float64, seed)
    x = xp.asarray(data, chunks=own)
    run(xp.store([x * 2], [store], region=region, align="read-write"))
    expected = np.full(shape, -1.0)
    expected[region] = data * 2
    np.testing.assert_array_equal(zarr.open_array(store, mode="r")[...], expected)


@given(st.data())
@settings(max_examples=examples(30))
def test_any_region_of_chunks_whose_lengths_differ_is_written_and_nothing_else(data):
    shape = tuple(data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=3)))
    starts = [data.draw(st.integers(0, n)) for n in shape]
    stops = [data.draw(st.integers(a, n)) for a, n in zip(starts, shape, strict=True)]
    store, region = zarr.storage.MemoryStore(), tuple(map(slice, starts, stops))
    x = xp.full(shape, -1.0, chunks=data.draw(chunks_of(shape)))
    run(xp.store([x], [store], attributes={"a": 1}))
    array = values([b - a for a, b in zip(starts, stops, strict=True)], np.float64, 0)
    y = xp.asarray(array, chunks=data.draw(chunks_of(array.shape)))
    run(xp.store([y * 2], [store], region=region, align="read-write"))
    expected = np.full(shape, -1.0)
    expected[region] = array * 2
    found = xp.from_zarr(store)
    assert found.chunksizes == x.chunksizes
    np.testing.assert_array_equal(run(found), expected)


def test_a_region_that_cuts_through_listed_chunks_says_which_are_around_it(tmp_path):
    xp.to_zarr(xp.zeros(10, chunks=((3, 5, 2),)), tmp_path / "a")
    xp.to_zarr(xp.ones(5), tmp_path / "a", region=slice(3, 8))
    with pytest.raises(WriteConflictError, match=r"around it is \[3:10\], .* within it \[3:8\]"):
        xp.store([xp.ones(6)], [tmp_path / "a"], region=slice(3, 9))
    found = xp.from_zarr(tmp_path / "a").compute()
    np.testing.assert_array_equal(found, [0] * 3 + [1] * 5 + [0] * 2)


def test_what_is_appended_to_listed_chunks_keeps_its_own_lengths(tmp_path):
    xp.to_zarr(xp.zeros((6, 2), chunks=((3, 1, 2), 2)), tmp_path / "a")
    for _ in range(2):
        xp.to_zarr(xp.ones((7, 2), chunks=((2, 4, 1), 1)), tmp_path / "a", append_dim=0)
    found = xp.from_zarr(tmp_path / "a")
    assert found.chunksizes == ((3, 1, 2, 2, 4, 1, 2, 4, 1), (2,))
    expected = np.repeat([[0.0, 0.0], [1.0, 1.0]], [6, 14], axis=0)
    np.testing.assert_array_equal(found.compute(), expected)


def test_what_an_array_was_shortened_to_is_filled_up_first(tmp_path):
    xp.to_zarr(xp.zeros(10, chunks=((3, 5, 2),)), tmp_path / "a")
    with zarr.config.set({"array.rectilinear_chunks": True}):
        zarr.open_array(tmp_path / "a").resize((6,))
    assert xp.from_zarr(tmp_path / "a").chunksizes == ((3, 3),)
    with pytest.raises(WriteConflictError, match=r"a chunk \(or shard\) of 5 .* room for 2 more"):
        xp.store([xp.ones(3)], [tmp_path / "a"], append_dim=0)
    xp.to_zarr(xp.ones(6, chunks=2), tmp_path / "a", append_dim=0, align="read-write")
    found = xp.from_zarr(tmp_path / "a")
    assert found.shape == (12,)
    np.testing.assert_array_equal(found.compute(), [0.0] * 6 + [1.0] * 6)


@pytest.mark.parametrize("executor, shards", [("threads", (8, 8)), ("processes", None)])
def test_regions_on_a_disk(tmp_path, executor, shards):
    existing(tmp_path / "a", (20, 16), (4, 4), shards=shards)
    data = np.random.default_rng(1).random((10, 7))
    x = xp.asarray(data, chunks=(3, 2))
    region = (slice(3, 13), slice(5, 12))
    xp.store([x + 1], [tmp_path / "a"], region=region, align="read-write").compute(
        executor=executor
    )
    expected = np.full((20, 16), -1.0)
    expected[region] = data + 1
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a")[:], expected)
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["c", "zarr.json"]


def test_a_region_in_a_bucket(tmp_path):
    with serving() as (bucket, options):
        options |= {
            "access_key_id": "a",
            "secret_access_key": "b",
            "region": "us-east-1",
            "client_options": {"allow_http": True},
        }
        place = "s3://bucket/a.zarr"
        xp.to_zarr(xp.zeros((8, 8), chunks=(2, 2)), place, storage_options=options)
        y = xp.asarray(np.arange(9.0).reshape(3, 3), chunks=(2, 2))
        xp.to_zarr(
            y, place, region=(slice(1, 4), slice(4, 7)), align="read-write", storage_options=options
        )
        expected = np.zeros((8, 8))
        expected[1:4, 4:7] = np.arange(9.0).reshape(3, 3)
        np.testing.assert_array_equal(
            xp.from_zarr(place, storage_options=options).compute(), expected
        )
        assert not [name for name in bucket.objects if ".asyncexec" in name]
    forget_opened()


def test_an_aligned_region_is_written_by_one_task_for_each_chunk_without_reading_it(tmp_path):
    existing(tmp_path / "a", (12, 12), (4, 4))
    x = xp.ones((8, 12), chunks=(4, 4))
    plan = xp.store([x], [tmp_path / "a"], region=(slice(4, 12), slice(0, 12))).to_plan()
    assert plan.tasks == 6
    for chunk in (tmp_path / "a" / "c").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(b"damaged")
    run(plan)
    assert (zarr.open_array(tmp_path / "a")[4:] == 1).all()


def test_regions_by_names_of_axes(tmp_path):
    existing(tmp_path / "a", (8, 6), (4, 3), dimension_names=("time", "x"))
    xp.to_zarr(xp.ones((4, 6)), tmp_path / "a", region={"time": slice(4, None)})
    xp.to_zarr(xp.zeros((8, 3)), tmp_path / "a", region={-1: slice(-3, None)})
    expected = np.full((8, 6), -1.0)
    expected[4:] = 1
    expected[:, 3:] = 0
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a")[:], expected)


def test_a_cut_region_is_refused_with_those_nearest(tmp_path):
    existing(tmp_path / "a", (20, 16), (4, 4), shards=(8, 4))
    x = xp.ones((13, 8))
    with pytest.raises(WriteConflictError, match="align='read-write'") as refused:
        xp.store([x], [tmp_path / "a"], region=(slice(5, 18), slice(0, 8)))
    assert "around it is [0:20, 0:8]" in str(refused.value)
    assert "within it [8:16, 0:8]" in str(refused.value)
    with pytest.raises(WriteConflictError, match="within it") as refused:
        xp.store([xp.ones((15, 16))], [tmp_path / "a"], region=(slice(5, 20), slice(None)))
    assert "within it [8:20, 0:16]" in str(refused.value)


@pytest.mark.parametrize(
    "region, match",
    [
        ((slice(0, 4),), "has 1 slices, and .* has 2 axes"),
        ((slice(0, 8, 2), slice(None)), "without step"),
        ((3, slice(None)), "without step"),
        ((slice(0, 30), slice(None)), "append to it with append_dim"),
        ((slice(4, 2), slice(None)), "not within"),
        ({"z": slice(0, 4)}, "no axis 'z': its axes are called y, x"),
        ({5: slice(0, 4)}, "has 2 axes"),
        ((slice(0, 8), slice(None)), r"shape \(4, 6\) does not fit region \[0:8, 0:6\]"),
    ],
)
def test_regions_that_do_not_fit_are_refused(tmp_path, region, match):
    existing(tmp_path / "a", (8, 6), (4, 3), dimension_names=("y", "x"))
    with pytest.raises(OptionError, match=match):
        xp.store([xp.ones((4, 6))], [tmp_path / "a"], region=region)


def test_what_else_is_refused_with_a_region(tmp_path):
    existing(tmp_path / "a", (8,), (4,), dtype="i4")
    region = (slice(0, 4),)
    with pytest.raises(OptionError, match=r"type float64 .*astype\(x, 'int32'\)"):
        xp.store([xp.ones(4)], [tmp_path / "a"], region=region)
    x = xp.ones(4, dtype=xp.int32)
    with pytest.raises(OptionError, match=r"attributes, overwrite: with region.*leave them out"):
        xp.store([x], [tmp_path / "a"], region=region, attributes={"a": 1}, overwrite=True)
    with pytest.raises(OptionError, match="region and append_dim: give one"):
        xp.store([x], [tmp_path / "a"], region=region, append_dim=0)
    with pytest.raises(ArrayNotFoundError):
        xp.store([x], [tmp_path / "b"], region=region)
    with pytest.raises(OptionError, match="still reads"):
        run(xp.store([xp.from_zarr(tmp_path / "a")[4:]], [tmp_path / "a"], region=region))
    xp.to_zarr(xp.ones(4, dtype=xp.int64), tmp_path / "a", region=region)
    assert zarr.open_array(tmp_path / "a")[:].tolist() == [1] * 4 + [-1] * 4


def test_what_a_failed_run_has_overwritten_is_told(tmp_path):
    def fail(block, block_id):
        if block_id == (1,):
            raise RuntimeError("no")
        return block

    existing(tmp_path / "a", (8,), (2,))
    y = xp.map_blocks(fail, xp.ones(4, chunks=2), dtype=float)
    with pytest.raises(RuntimeError) as failed:
        xp.to_zarr(y, tmp_path / "a", region=(slice(2, 6),), executor="serial")
    assert any("had begun to write [2:6]" in note for note in failed.value.__notes__)
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["c", "zarr.json"]
    xp.to_zarr(xp.ones(4, chunks=2), tmp_path / "a", region=(slice(2, 6),))
    assert zarr.open_array(tmp_path / "a")[:].tolist() == [-1, -1, 1, 1, 1, 1, -1, -1]


async def test_a_resumed_run_writes_all_of_a_region_again(tmp_path):
    spec = ax.Spec(work_dir=tmp_path / "work")
    existing(tmp_path / "a", (8,), (2,))
    x = xp.asarray(np.arange(4.0), chunks=2, spec=spec)
    async with ax.Engine("threads") as engine:
        for _ in range(2):
            target = xp.store([x + 1], [tmp_path / "a"], region=(slice(2, 6),))
            assert (await engine.execute(target, resume=True)).attempts == 2
    assert zarr.open_array(tmp_path / "a")[:].tolist() == [-1, -1, 1, 2, 3, 4, -1, -1]


def test_an_array_that_was_replaced_since_is_refused(tmp_path):
    existing(tmp_path / "a", (8,), (2,))
    target = xp.store([xp.ones(4)], [tmp_path / "a"], region=(slice(0, 4),))
    existing(tmp_path / "a", (8,), (4,), overwrite=True)
    with pytest.raises(ArrayReplacedError):
        run(target)


def test_two_runs_do_not_write_into_one_array_at_once(tmp_path):
    existing(tmp_path / "a", (8,), (2,))

    def meanwhile(block):
        xp.to_zarr(xp.zeros(2), tmp_path / "a", region=(slice(6, 8),), executor="serial")
        return block

    with pytest.raises(TargetExistsError, match="being written by another run"):
        run(
            xp.store(
                [xp.map_blocks(meanwhile, xp.ones(2), dtype=float)],
                [tmp_path / "a"],
                region=(slice(0, 2),),
            )
        )
    xp.to_zarr(xp.zeros(2), tmp_path / "a", region=(slice(6, 8),))
    assert zarr.open_array(tmp_path / "a")[:].tolist() == [-1] * 6 + [0] * 2


def test_a_region_of_a_million_chunks_is_planned_without_listing_them(tmp_path):
    zarr.create_array(tmp_path / "a", shape=(4_000_000, 4), chunks=(4, 4), dtype="f8")
    x = xp.ones((3_999_990, 4), chunks=(4, 4))
    region = (slice(5, 3_999_995), slice(None))
    plan = xp.store([x], [tmp_path / "a"], region=region, align="read-write").to_plan()
    assert [stage.tasks for stage in plan.stages] == [999_998]


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_several_parts_of_one_array_are_written_by_one_plan(tmp_path, executor):
    existing(tmp_path / "a", (8, 6), (2, 3))
    x = xp.ones((4, 6), chunks=(2, 3))
    regions = [(slice(0, 4), slice(None)), (slice(4, 8), slice(None))]
    place = tmp_path / "a"
    xp.store([x * 2, x * 3], [place, place], region=regions).compute(executor=executor)
    found = zarr.open_array(place)[:]
    assert (found[:4] == 2).all()
    assert (found[4:] == 3).all()
    assert sorted(p.name for p in place.iterdir()) == ["c", "zarr.json"]


def test_parts_of_one_array_that_share_a_chunk_are_refused(tmp_path):
    existing(tmp_path / "a", (8,), (4,))
    places = [tmp_path / "a", str(tmp_path / "." / "a")]
    x = xp.ones(2)
    with pytest.raises(OptionError, match="a chunk in common"):
        xp.store([x, x], places, region=[(slice(0, 2),), (slice(2, 4),)], align="read-write")
    with pytest.raises(OptionError, match="both are appended"):
        xp.store([x, x], places, append_dim=0)
    with pytest.raises(OptionError, match="place of its own"):
        xp.store([xp.ones(4), x], places, region=[(slice(0, 4),), None])
