"""Shards on this machine are read by few ranges and written whole, as Zarr reads and writes them, without Zarr."""

import os

import numpy as np
import pytest
import zarr
from hypothesis import given, settings, strategies as st

from asyncexec.errors import CorruptChunkError
from asyncexec.storage.chunks import shard_files
from asyncexec.storage.chunks.access import opened
from asyncexec.storage.chunks.arrays import planned_array
from asyncexec.storage.chunks.shard_files import ShardFiles
from asyncexec.storage.chunks.shard_layout import ranges
from asyncexec.storage.chunks.zarr_chunks import ZarrChunks
from asyncexec.storage.places.creation import create_array
from asyncexec.storage.places.opening import open_array
from tests.profiles import examples

SHAPE, SHARDS, CHUNKS = (20, 30), (8, 10), (2, 5)


def made(folder, **options):
    """An array in shards, what is in it, and how it is opened here."""
    given = {"shape": SHAPE, "shards": SHARDS, "chunks": CHUNKS, "dtype": "f4", "fill_value": 3}
    array = zarr.create_array(folder, **{**given, **options})
    data = np.random.default_rng(0).random(SHAPE).astype(array.dtype)
    array[...] = data
    return data, opened(open_array(folder))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compressors": None},
        {"compressors": zarr.codecs.GzipCodec()},
        {"dtype": "f8"},
        {"chunks": (8, 10)},
        {"chunk_key_encoding": {"name": "v2", "separator": "."}},
    ],
    ids=str,
)
def test_zarr_and_this_read_what_either_has_written(tmp_path, options):
    data, chunks = made(tmp_path / "a", **options)
    assert type(chunks) is ShardFiles
    whole = tuple(slice(0, n) for n in SHAPE)
    np.testing.assert_array_equal(chunks.read(whole), data)
    chunks.write((slice(8, 20), slice(10, 30)), data[8:, 10:] * 2)
    data[8:, 10:] *= 2
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a")[...], data)
    np.testing.assert_array_equal(chunks.read(whole), data)


@pytest.fixture(scope="module")
def array(tmp_path_factory):
    return made(tmp_path_factory.mktemp("shards") / "a")


def bounds(n):
    return st.tuples(st.integers(0, n), st.integers(0, n)).map(sorted).map(lambda b: slice(*b))


@settings(max_examples=examples(40))
@given(st.tuples(*map(bounds, SHAPE)))
def test_any_region_is_what_zarr_reads(array, region):
    data, chunks = array
    found = chunks.read(region)
    np.testing.assert_array_equal(found, data[region])
    assert not found.flags.writeable


def test_positions_and_strides_are_left_to_zarr(array):
    data, chunks = array
    found = chunks.read((np.array([3, 1, 17]), slice(0, 30, 7)))
    np.testing.assert_array_equal(found, data[[3, 1, 17], ::7])


def test_what_was_never_written_is_the_fill_value(tmp_path):
    zarr.create_array(
        tmp_path / "a", shape=SHAPE, shards=SHARDS, chunks=CHUNKS, dtype="i4", fill_value=7
    )[8:10, 10:15] = 1
    found = opened(open_array(tmp_path / "a")).read(tuple(slice(0, n) for n in SHAPE))
    assert (found[8:10, 10:15] == 1).all()
    assert (found == 7).sum() == found.size - 10


@pytest.mark.parametrize("place", [5, -30, -2], ids=["a chunk", "the index", "its checksum"])
def test_damage_is_told_as_zarr_tells_it(tmp_path, place):
    _, chunks = made(tmp_path / "a", compressors=zarr.codecs.ZstdCodec(checksum=True))
    path = tmp_path / "a" / "c/1/1"
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)
    region = (slice(8, 16), slice(10, 20))
    with pytest.raises(CorruptChunkError) as ours:
        chunks.read(region)
    with pytest.raises(CorruptChunkError) as zarrs:
        ZarrChunks(open_array(tmp_path / "a")).read(region)
    assert str(ours.value) == str(zarrs.value)


def test_inner_chunks_side_by_side_are_read_at_once(tmp_path, monkeypatch):
    _, chunks = made(tmp_path / "a")
    requests = []
    read = os.preadv

    def counted(descriptor, buffers, offset):
        requests.append(offset)
        return read(descriptor, buffers, offset)

    monkeypatch.setattr(shard_files.os, "preadv", counted)
    chunks.read((slice(0, 8), slice(0, 10)))
    assert len(requests) == 2  # The index, and all eight inner chunks.


def test_ranges_are_joined_over_small_gaps_alone():
    entries = [(0, 10), (10, 5), (20, 5), (100, 1)]
    assert ranges(entries, gap=5) == [(0, 25), (100, 101)]
    assert ranges(entries, gap=0) == [(0, 15), (20, 25), (100, 101)]
    assert ranges([]) == []


def test_an_array_that_is_made_here_is_written_in_its_shards(tmp_path):
    ref = planned_array(
        tmp_path / "a", shape=SHAPE, dtype=np.dtype("f4"), chunks=CHUNKS, shards=SHARDS
    )
    create_array(ref)
    assert type(opened(ref)) is ShardFiles
    data = np.arange(600, dtype="f4").reshape(SHAPE)
    opened(ref).write(tuple(slice(0, n) for n in SHAPE), data)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a")[...], data)
