"""Reading and writing blocks: the same files as Zarr's, whole chunks or nothing, errors that name the chunk."""

import json
import math
import pickle
import shutil
import threading

import numpy as np
import pytest
import zarr
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from zarr.storage import LocalStore, MemoryStore

from asyncexec.errors import (
    ArrayNotFoundError,
    ArrayReplacedError,
    CorruptArrayError,
    StorageError,
)
from asyncexec.storage import create_array, locate, open_array, planned_array, read, write
from asyncexec.storage.chunks.access import OPENED_LIMIT, forget_opened, opened
from asyncexec.storage.chunks.chunk_files import PARTIAL, ChunkFiles
from asyncexec.storage.places.stores import open_place
from tests.storage.regions import regions, taken

DTYPES = ["?", "i1", "u2", "i4", "u8", "f2", "f4", "f8", "c8", "c16"]
COMPRESSORS = [
    None,
    "auto",
    {"name": "zstd", "configuration": {"level": 3, "checksum": True}},
    {"name": "gzip", "configuration": {"level": 1}},
    {"name": "blosc", "configuration": {"cname": "zstd", "clevel": 1, "shuffle": "bitshuffle"}},
]


def whole(shape):
    return tuple(slice(0, n) for n in shape)


def made(place, shape=(10, 7), dtype="f8", chunks=(4, 3), **options):
    ref = planned_array(place, shape=shape, dtype=dtype, chunks=chunks, **options)
    create_array(ref)
    return ref


def filled(place, rng, **options):
    ref = made(place, dense=False, **options)
    data = (rng.random(ref.shape) * 100).astype(ref.dtype)
    write(ref, whole(ref.shape), data)
    return ref, data


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("compressor", COMPRESSORS, ids=str)
def test_what_is_written_directly_zarr_reads(tmp_path, rng, dtype, compressor):
    ref, data = filled(tmp_path / "x", rng, dtype=dtype, compressor=compressor)
    assert isinstance(opened(ref), ChunkFiles)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "x")[:], data)
    np.testing.assert_array_equal(read(ref, whole(ref.shape)), data)


@pytest.mark.parametrize("dtype", [*DTYPES, ">f8", ">i2", "M8[s]", "U3"])
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("compressor", ["auto", None])
def test_what_zarr_writes_is_read(tmp_path, rng, dtype, zarr_format, compressor):
    data = (rng.random((10, 7)) * 100).astype("f8" if "M" not in dtype else "i8").astype(dtype)
    array = zarr.create_array(
        tmp_path / "x",
        shape=data.shape,
        chunks=(4, 3),
        dtype=dtype,
        zarr_format=zarr_format,
        compressors=compressor,
        serializer="auto",
    )
    array[:] = data
    ref = open_array(tmp_path / "x")
    found = read(ref, whole(ref.shape))
    np.testing.assert_array_equal(found, data)
    assert found.dtype.isnative


@pytest.mark.parametrize(
    "options",
    [
        {"shards": (8, 6)},
        {"zarr_format": 2, "order": "F"},
        {"zarr_format": 2, "filters": [{"id": "delta", "dtype": "<i4"}]},
        {"zarr_format": 2, "chunk_key_encoding": {"name": "v2", "separator": "/"}},
        {"chunk_key_encoding": {"name": "v2", "separator": "."}},
        {"chunk_key_encoding": {"name": "default", "separator": "."}},
        {"filters": [zarr.codecs.TransposeCodec(order=(1, 0))]},
        {"serializer": zarr.codecs.BytesCodec(endian="big")},
        {"compressors": [zarr.codecs.GzipCodec(), zarr.codecs.Crc32cCodec()]},
        {"compressors": [zarr.codecs.Crc32cCodec()]},
    ],
    ids=str,
)
def test_unusual_layouts_are_read_and_written(tmp_path, rng, options):
    if isinstance(options.get("filters"), list) and isinstance(options["filters"][0], dict):
        import numcodecs

        options = options | {"filters": [numcodecs.get_codec(options["filters"][0])]}
    data = rng.integers(0, 99, (10, 7)).astype("i4")
    array = zarr.create_array(
        tmp_path / "x", shape=data.shape, chunks=(4, 3), dtype="i4", **options
    )
    array[:] = data
    ref = open_array(tmp_path / "x")
    np.testing.assert_array_equal(read(ref, whole(ref.shape)), data)
    write(ref, whole(ref.shape), data + 1)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "x")[:], data + 1)
    np.testing.assert_array_equal(read(ref, (slice(5, 9), slice(1, 2))), data[5:9, 1:2] + 1)


@pytest.mark.parametrize("shards", [None, (8, 6)])
def test_any_store_holds_the_same(tmp_path, rng, shards, request):
    data = rng.random((10, 7))
    for place in (
        tmp_path / "x",
        f"file://{tmp_path}/y",
        f"memory://{request.node.name}/x",
        locate(MemoryStore(), path="a/b"),
        locate(LocalStore(tmp_path / "z"), path="a/b"),
    ):
        ref = made(place, shards=shards)
        write(ref, whole(ref.shape), data)
        np.testing.assert_array_equal(read(ref, whole(ref.shape)), data)
        np.testing.assert_array_equal(zarr.open_array(open_place(ref.location))[:], data)


@given(regions(), st.sampled_from(["files", "zarr"]))
def test_reading_a_region_is_numpys_indexing(tmp_path_factory, case, how):
    shape, chunks, region = case
    data = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    if how == "zarr":
        ref = made(locate(MemoryStore(), path="x"), shape, "i8", chunks)
    else:
        ref = made(tmp_path_factory.mktemp("x") / "x", shape, "i8", chunks)
    write(ref, whole(shape), data)
    found = read(ref, region)
    np.testing.assert_array_equal(found, taken(data, region))
    assert not found.flags.writeable
    assert found.dtype == np.dtype("i8")


@given(st.data())
def test_writing_block_by_block_is_writing_the_whole(tmp_path_factory, data):
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=3, max_side=9))
    chunks = tuple(data.draw(st.integers(1, n + 2)) for n in shape)
    widths = tuple(data.draw(st.integers(1, 3)) * c for c in chunks)
    array = np.arange(np.prod(shape, dtype=int), dtype="f4").reshape(shape)
    ref = made(tmp_path_factory.mktemp("x") / "x", shape, "f4", chunks)
    for number in np.ndindex(*(-(-n // w) for n, w in zip(shape, widths, strict=True))):
        region = tuple(
            slice(i * w, min((i + 1) * w, n)) for i, w, n in zip(number, widths, shape, strict=True)
        )
        write(ref, region, array[region])
    np.testing.assert_array_equal(zarr.open_array(open_place(ref.location))[...], array)


@pytest.mark.parametrize("fill_value", [0, 3.5, float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["local", "memory"])
def test_chunks_that_were_never_written_read_as_the_fill_value(
    tmp_path, fill_value, where, request
):
    place = tmp_path / "x" if where == "local" else f"memory://{request.node.name}"
    ref = made(place, fill_value=fill_value, dense=False)
    write(ref, (slice(0, 4), slice(0, 3)), np.ones((4, 3)))
    expected = np.full((10, 7), fill_value)
    expected[:4, :3] = 1
    np.testing.assert_array_equal(read(ref, whole(ref.shape)), expected)
    np.testing.assert_array_equal(read(ref, (slice(8, 10), slice(6, 7))), expected[8:, 6:])


@pytest.mark.parametrize("where", ["local", "memory", "shards"])
def test_a_chunk_missing_from_a_dense_array_is_an_error_that_names_it(tmp_path, where, request):
    place = f"memory://{request.node.name}" if where == "memory" else tmp_path / "x"
    ref = made(place, shards=(8, 6) if where == "shards" else None)
    with pytest.raises(CorruptArrayError, match=r"chunk \(0, 0\) of"):
        read(ref, (slice(0, 4), slice(0, 3)))


def test_blocks_full_of_the_fill_value_are_written_all_the_same(tmp_path):
    """A chunk that is absent means that it was not written: resuming counts on it."""
    for place, shards in ((tmp_path / "a", None), (tmp_path / "b", (8, 6))):
        ref = made(place, shards=shards)
        write(ref, whole(ref.shape), np.zeros(ref.shape))
        assert len([p for p in (place / "c").rglob("*") if p.is_file()]) == math.prod(ref.blocks)


def test_a_chunk_is_read_without_assembling_it(tmp_path, rng):
    ref, data = filled(tmp_path / "x", rng, compressor=None)
    block = read(ref, (slice(4, 6), slice(3, 6)))
    assert not block.flags.owndata
    np.testing.assert_array_equal(block, data[4:6, 3:6])


@pytest.mark.parametrize("compressor", COMPRESSORS[:4], ids=str)
@pytest.mark.parametrize("damage", ["cut", "empty", "noise"])
def test_a_damaged_chunk_is_an_error_that_names_array_chunk_and_path(
    tmp_path, rng, compressor, damage
):
    ref, _ = filled(tmp_path / "x", rng, compressor=compressor)
    path = tmp_path / "x/c/1/2"
    whole_file = path.read_bytes()
    damaged = {
        "cut": whole_file[: len(whole_file) // 2],
        "empty": b"",
        "noise": b"\xff" * (len(whole_file) + 1),
    }
    path.write_bytes(damaged[damage])
    with pytest.raises(CorruptArrayError) as caught:
        read(ref, (slice(4, 8), slice(6, 7)))
    for part in ("chunk (1, 2)", str(tmp_path / "x"), str(path), "Restore the file"):
        assert part in str(caught.value)


def test_a_damaged_shard_is_an_error_that_names_array_and_chunk(tmp_path, rng):
    ref, _ = filled(tmp_path / "x", rng, shards=(8, 6))
    path = tmp_path / "x/c/0/1"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(CorruptArrayError, match=r"chunk \(0, 1\) of .*/x"):
        read(ref, (slice(0, 4), slice(6, 7)))


def test_a_chunk_that_is_a_folder_cannot_be_read_or_written(tmp_path):
    ref = made(tmp_path / "x")
    (tmp_path / "x/c/0/0").mkdir(parents=True)
    (tmp_path / "x/c/0/0/in-the-way").write_text("")
    with pytest.raises(StorageError, match=r"chunk \(0, 0\) of .* cannot be read"):
        read(ref, (slice(0, 1), slice(0, 1)))
    with pytest.raises(StorageError, match=r"chunk \(0, 0\) of .* cannot be written"):
        write(ref, (slice(0, 4), slice(0, 3)), np.ones((4, 3)))
    assert list((tmp_path / "x" / PARTIAL).iterdir()) == []


@pytest.mark.parametrize("shards", [None, (8, 6)], ids=["chunks", "shards"])
def test_an_array_that_went_away_says_so(tmp_path, shards):
    made(tmp_path / "x", shards=shards)
    ref = open_array(tmp_path / "x")
    shutil.rmtree(tmp_path / "x")
    with pytest.raises(ArrayNotFoundError, match="somebody removed it"):
        read(ref, whole(ref.shape))


@pytest.mark.parametrize("chunks", [(1, 1), (4, 3)], ids=["others", "same"])
@pytest.mark.parametrize("shards", [None, (8, 6)], ids=["chunks", "shards"])
def test_an_array_that_was_replaced_says_so(tmp_path, shards, chunks):
    made(tmp_path / "x", shards=shards)
    ref = open_array(tmp_path / "x")
    other = planned_array(tmp_path / "x", shape=(3, 3), dtype="u1", chunks=chunks)
    create_array(other, overwrite=True)
    write(other, whole((3, 3)), np.ones((3, 3), "u1"))
    with pytest.raises(ArrayReplacedError, match="was replaced"):
        read(ref, whole(ref.shape))


def test_each_array_is_opened_once_and_not_more_than_the_limit_are_kept(tmp_path):
    forget_opened()
    ref = made(tmp_path / "x")
    kept = opened(ref)
    assert opened(pickle.loads(pickle.dumps(ref))) is kept
    for number in range(OPENED_LIMIT):
        opened(ref.at(locate(tmp_path / f"other-{number}")))
    assert opened(ref) is not kept
    forget_opened()


def test_an_array_made_anew_with_another_compressor_is_not_mixed_up_with_the_old(tmp_path, rng):
    for compressor in ("auto", None, "auto"):
        ref = planned_array(
            tmp_path / "x", shape=(4,), dtype="f8", chunks=(2,), compressor=compressor
        )
        create_array(ref, overwrite=True)
        data = rng.random(4)
        write(ref, whole((4,)), data)
        np.testing.assert_array_equal(read(open_array(tmp_path / "x"), whole((4,))), data)


def test_threads_write_and_read_at_once(tmp_path, rng):
    data = rng.random((40, 30))
    ref = made(tmp_path / "x", data.shape, "f8", (4, 3))
    barrier = threading.Barrier(4)
    failures = []

    def work(part):
        try:
            barrier.wait(30)
            for i in range(part, 10, 4):
                for j in range(10):
                    region = (slice(i * 4, i * 4 + 4), slice(j * 3, j * 3 + 3))
                    write(ref, region, data[region])
                    np.testing.assert_array_equal(read(ref, region), data[region])
        except BaseException as error:  # noqa: BLE001 - shown by the main thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "x")[:], data)


def test_metadata_stays_as_zarr_wrote_it(tmp_path, rng):
    ref, _ = filled(tmp_path / "x", rng)
    document = json.loads((tmp_path / "x/zarr.json").read_text())
    assert document["shape"] == list(ref.shape)
    assert document["attributes"] == {}
