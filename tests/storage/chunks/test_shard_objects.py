"""Shards in stores elsewhere are read by few requests, as Zarr reads them, in stores of every kind."""

import asyncio

import numpy as np
import pytest
import zarr
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given, settings, strategies as st
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, ShardingCodec, ZstdCodec
from zarr.storage import FsspecStore, LoggingStore, MemoryStore, ObjectStore, WrapperStore, ZipStore

from asyncexec.errors import CorruptChunkError, StorageError
from asyncexec.storage import create_array, locate, open_array, planned_array, read, write
from asyncexec.storage.chunks import shard_requests
from asyncexec.storage.chunks.access import aread, awrite, forget_opened, opened
from asyncexec.storage.chunks.object_requests import BlockingRequests
from asyncexec.storage.chunks.shard_objects import ShardObjects
from asyncexec.storage.chunks.zarr_chunks import ZarrChunks
from tests.object_stores.servers import make_bucket, s3_options
from tests.profiles import examples
from tests.storage.regions import regions, taken

obstore = pytest.importorskip("obstore")
pytest_plugins = ["tests.object_stores.fixtures"]

SHAPE, SHARDS, CHUNKS = (20, 30), (8, 10), (2, 5)
WHOLE = tuple(slice(0, n) for n in SHAPE)
DATA = np.random.default_rng(0).random(SHAPE).astype("f4")


def in_fsspec(_):
    MemoryFileSystem.store.clear()
    return FsspecStore(AsyncFileSystemWrapper(MemoryFileSystem(), asynchronous=True), path="/sh")


KINDS = {
    "obstore": lambda _: ObjectStore(obstore.store.MemoryStore()),
    "memory": lambda _: MemoryStore(),
    "wrapper": lambda _: WrapperStore(MemoryStore()),
    "logging": lambda _: LoggingStore(ObjectStore(obstore.store.MemoryStore())),
    "fsspec": in_fsspec,
    "zip": lambda folder: ZipStore(folder / "a.zip", mode="w"),
}


@pytest.fixture(params=KINDS)
def store(request, tmp_path):
    return KINDS[request.param](tmp_path)


@pytest.fixture(autouse=True)
def small_is_nothing(monkeypatch):
    """Have shards of tests taken for large ones, of which parts are asked for."""
    monkeypatch.setattr(shard_requests, "SMALL_BYTES", 0)


def made(store, **options):
    given = {"shape": SHAPE, "shards": SHARDS, "chunks": CHUNKS, "dtype": "f4", "fill_value": 3}
    array = zarr.create_array(store, name="a", **{**given, **options})
    array[...] = DATA.astype(array.dtype)
    return open_array(store, path="a")


def both(ref, region):
    """What is read by calls that block, and by awaited ones."""
    return read(ref, region), asyncio.run(aread(ref, region))


def test_stores_of_every_kind_are_read_without_zarr(store):
    ref = made(store)
    assert type(opened(ref)) is ShardObjects
    for region in (WHOLE, (slice(3, 13), slice(9, 22)), (np.array([3, 1, 17]), slice(29, 4, -7))):
        for found in both(ref, region):
            np.testing.assert_array_equal(found, taken(DATA, region))
            assert not found.flags.writeable


def test_stores_of_every_kind_are_written_as_zarr_reads_them(store):
    ref = planned_array(store, path="b", shape=SHAPE, dtype="f4", chunks=CHUNKS, shards=SHARDS)
    create_array(ref)
    write(ref, WHOLE, DATA)
    np.testing.assert_array_equal(zarr.open_array(store, path="b")[...], DATA)
    if not isinstance(store, ZipStore):  # where an entry is written once
        asyncio.run(awrite(ref, (slice(8, 20), slice(10, 30)), DATA[8:, 10:] * 2))
        np.testing.assert_array_equal(read(ref, WHOLE)[8:, 10:], DATA[8:, 10:] * 2)


@st.composite
def layouts(draw):
    """A region of an array, the layout of its shards, and the part of it that is written."""
    shape, chunks, region = draw(regions())
    shards = tuple(c * draw(st.integers(1, 3)) for c in chunks)
    compressor = draw(
        st.sampled_from(
            [(), (ZstdCodec(),), (ZstdCodec(checksum=True),), (GzipCodec(),), (BloscCodec(),)]
        )
    )
    checksum = draw(st.sampled_from([(), (Crc32cCodec(),)]))
    endian = draw(st.sampled_from(["little", "big"]))
    codec = ShardingCodec(
        chunk_shape=chunks,
        codecs=[BytesCodec(endian=endian), *compressor, *checksum],
        index_codecs=draw(
            st.sampled_from([[BytesCodec(), Crc32cCodec()], [BytesCodec()]]),
        ),
        index_location=draw(st.sampled_from(["start", "end"])),
    )
    written = tuple(
        slice(start, draw(st.integers(start, n)))
        for n in shape
        for start in [draw(st.integers(0, n))]
    )
    return shape, shards, codec, region, written


@settings(max_examples=examples(60))
@given(layouts(), st.sampled_from(["obstore", "memory"]), st.integers(0, 40))
def test_any_region_of_any_layout_is_what_zarr_reads(layout, kind, gap):
    shape, shards, codec, region, written = layout
    if not shape:
        return
    store = KINDS[kind](None)
    array = zarr.create(
        store=store,
        shape=shape,
        chunks=shards,
        codecs=[codec],
        dtype="i4",
        fill_value=-7,
        config={"write_empty_chunks": True},
    )
    data = np.full(shape, -7, "i4")
    data[written] = np.arange(data[written].size).reshape(data[written].shape)
    array[written] = data[written]
    ref = open_array(store)
    known = len(codec.index_codecs) == 2
    assert type(opened(ref)) is (ShardObjects if known else ZarrChunks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_requests, "GAP_BYTES", gap)
        for found in both(ref, region):
            np.testing.assert_array_equal(found, taken(data, region))
    np.testing.assert_array_equal(ZarrChunks(ref).read(region), taken(data, region))


@pytest.mark.parametrize("place", [5, -30, -2], ids=["a chunk", "the index", "its checksum"])
@pytest.mark.parametrize("kind", ["obstore", "memory"])
def test_damage_is_told_as_zarr_tells_it(kind, place, tmp_path):
    store = KINDS[kind](tmp_path)
    ref = made(store, compressors=ZstdCodec(checksum=True))
    change(store, "a/c/1/1", lambda content: damaged(content, place))
    region = (slice(8, 16), slice(10, 20))
    for call in (lambda: read(ref, region), lambda: asyncio.run(aread(ref, region))):
        with pytest.raises(CorruptChunkError) as ours:
            call()
        with pytest.raises(CorruptChunkError) as zarrs:
            ZarrChunks(ref).read(region)
        assert str(ours.value) == str(zarrs.value)


@pytest.mark.parametrize("kept", [0, 3, 40, 200])
@pytest.mark.parametrize("kind", ["obstore", "memory"])
@pytest.mark.parametrize("inner", [slice(8, 10), slice(8, 16)], ids=["part", "whole"])
def test_a_shard_that_is_cut_off_is_told_as_zarr_tells_it(kind, kept, inner, tmp_path):
    store = KINDS[kind](tmp_path)
    ref = made(store)
    change(store, "a/c/1/1", lambda content: content[:kept])
    with pytest.raises(StorageError) as ours:
        read(ref, (inner, slice(10, 20)))
    with pytest.raises(StorageError) as zarrs:
        ZarrChunks(ref).read((inner, slice(10, 20)))
    assert str(ours.value) == str(zarrs.value)


def damaged(content, place):
    content = bytearray(content)
    content[place] ^= 0xFF
    return bytes(content)


def change(store, key, how):
    if isinstance(store, MemoryStore):
        old = store._store_dict[key]
        store._store_dict[key] = type(old).from_bytes(how(old.to_bytes()))
    else:
        content = bytes(obstore.get(store.store, key).bytes())
        obstore.put(store.store, key, how(content))


def test_what_was_never_written_is_the_fill_value_and_of_a_dense_array_an_error(store):
    array = zarr.create_array(
        store, name="a", shape=SHAPE, shards=SHARDS, chunks=CHUNKS, dtype="i4", fill_value=7
    )
    array[8:10, 10:15] = 1
    for found in both(open_array(store, path="a"), WHOLE):
        assert (found[8:10, 10:15] == 1).all()
        assert (found == 7).sum() == found.size - 10
    dense = planned_array(
        store, path="a", shape=SHAPE, dtype="i4", chunks=CHUNKS, shards=SHARDS, fill_value=7
    )
    with pytest.raises(CorruptChunkError):
        read(dense, WHOLE)


def test_an_array_that_is_gone_has_no_fill_values(store):
    if isinstance(store, ZipStore):
        pytest.skip("nothing is removed from a zip file")
    ref = made(store)
    zarr.open_group(store, mode="w")
    with pytest.raises(StorageError, match="no Zarr array"):
        read(ref, WHOLE)


def test_a_shard_that_is_replaced_meanwhile_is_read_as_one_of_the_two(monkeypatch):
    store = ObjectStore(obstore.store.MemoryStore())
    ref = made(store, compressors=None)
    changes = [DATA + number for number in (1, 2)]
    parts = BlockingRequests.parts

    async def replaced(self, key, *args):
        if changes:
            zarr.open_array(store, path="a")[...] = changes.pop()
        return await parts(self, key, *args)

    monkeypatch.setattr(BlockingRequests, "parts", replaced)
    found = read(ref, (slice(0, 8), slice(0, 5)))
    np.testing.assert_array_equal(found, DATA[:8, :5] + 1)


@pytest.fixture(scope="module")
def s3(moto_url):
    make_bucket(moto_url, "shards")
    return moto_url


@pytest.fixture
def remote(proxy, s3):
    """An array on a server, asked through a proxy that counts, of which nothing is small."""
    forget_opened()
    place = locate("s3://shards/a", s3_options(proxy.url))
    ref = planned_array(place, shape=SHAPE, dtype="f4", chunks=CHUNKS, shards=SHARDS)
    create_array(ref, overwrite=True)
    write(ref, WHOLE, DATA)
    return ref


@pytest.mark.parametrize("awaited", [False, True], ids=["blocking", "awaited"])
@pytest.mark.parametrize(
    "region, requests",
    [
        ((slice(0, 8), slice(0, 10)), 1),  # A whole shard.
        ((slice(0, 8), slice(0, 5)), 2),  # The index, and inner chunks with others between them.
        ((slice(0, 1), slice(0, 1)), 2),
        (WHOLE, 9),
        ((slice(0, 20), slice(0, 5)), 6),  # Parts of three.
    ],
    ids=["shard", "part", "element", "all", "column"],
)
def test_few_requests_are_made(remote, proxy, region, requests, awaited):
    before = proxy.count()
    found = asyncio.run(aread(remote, region)) if awaited else read(remote, region)
    np.testing.assert_array_equal(found, DATA[region])
    assert proxy.count() - before == requests


def test_gaps_that_are_large_are_not_read(remote, proxy, monkeypatch):
    for name in ("GAP_BYTES", "MOST_GAP_BYTES"):
        monkeypatch.setattr(shard_requests, name, 0)
    before = proxy.count()
    read(remote, (slice(0, 8), slice(0, 5)))
    assert proxy.count() - before == 5  # The index, and each of four inner chunks.


def test_a_small_shard_is_asked_for_as_a_whole(remote, proxy, monkeypatch):
    monkeypatch.setattr(shard_requests, "SMALL_BYTES", 1_000_000)
    forget_opened()
    before = proxy.count()
    read(remote, (slice(0, 1), slice(0, 1)))
    assert proxy.count() - before == 1


def test_a_shard_is_written_by_one_request(remote, proxy):
    before = proxy.count()
    write(remote, (slice(0, 8), slice(0, 10)), DATA[:8, :10])
    assert proxy.count() - before == 1


def test_a_server_that_refuses_is_never_called_corruption(remote, proxy):
    proxy.on("GET", "*c/0/0", does="answer", status=403, times=None)
    for region in (WHOLE, (slice(0, 1), slice(0, 1))):
        for call in (
            lambda r=region: read(remote, r),
            lambda r=region: asyncio.run(aread(remote, r)),
        ):
            with pytest.raises(StorageError, match=r"chunk \(0, 0\)") as caught:
                call()
            assert not isinstance(caught.value, CorruptChunkError)
