"""Chunks in object stores: one request each, whole or not at all, and none of another run."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from zarr.storage import ObjectStore

from asyncexec.errors import CorruptChunkError, StorageError, TargetReplacedError
from asyncexec.storage import create_array, locate, open_array, planned_array, read, write
from asyncexec.storage.chunks.access import aread, awrite, forget_opened, opened
from asyncexec.storage.chunks.object_chunks import ObjectChunks
from asyncexec.storage.places.object_records import GENERATION
from asyncexec.storage.places.obstore_objects import keeps_attributes
from asyncexec.storage.places.stamps import Stamp, stamped
from tests.object_stores.servers import make_bucket, s3_options
from tests.profiles import examples
from tests.storage.regions import regions, taken

obstore = pytest.importorskip("obstore")
pytest_plugins = ["tests.object_stores.fixtures"]

DATA = np.arange(70, dtype="f8").reshape(10, 7)
WHOLE = (slice(0, 10), slice(0, 7))
ONE = (slice(0, 4), slice(0, 3))


@pytest.fixture
def client():
    return obstore.store.MemoryStore()


def placed(client, **options):
    wanted = {"shape": DATA.shape, "dtype": "f8", "chunks": (4, 3), **options}
    ref = planned_array(locate(ObjectStore(client), path="a/x"), **wanted)
    create_array(ref)
    return ref


def of_run(ref, client, run, plan=""):
    """Return the array as a run writes it whose stamp is on it."""
    document = bytes(obstore.get(client, "a/x/zarr.json").bytes())
    stamp = stamped({"zarr.json": document}, Stamp(run=run, plan=plan))
    obstore.put(client, "a/x/zarr.json", stamp["zarr.json"])
    return replace(ref, generation=f"{plan}-{run}" if plan else run)


def generation(client, key="a/x/c/0/0"):
    return obstore.get(client, key).attributes.get(GENERATION)


@pytest.mark.parametrize("awaited", [False, True], ids=["blocking", "awaited"])
@pytest.mark.parametrize(
    "options",
    [{}, {"compressor": None}, {"checksum": True}, {"chunks": (10, 7)}, {"dtype": ">i4"}],
    ids=["zstd", "raw", "checksum", "one-chunk", "other-type"],
)
def test_chunks_are_written_and_read_as_zarr_does(client, options, awaited):
    ref = placed(client, **options)
    data = DATA.astype(ref.dtype)
    assert isinstance(opened(ref), ObjectChunks)
    if awaited:
        asyncio.run(awrite(ref, WHOLE, data))
        found = asyncio.run(aread(ref, WHOLE))
    else:
        write(ref, WHOLE, data)
        found = read(ref, WHOLE)
    assert np.array_equal(found, data)
    assert not found.flags.writeable
    assert np.array_equal(zarr.open_array(ObjectStore(client), path="a/x", mode="r")[:], data)


@given(regions())
@settings(max_examples=examples(25), deadline=None)
def test_any_region_is_read_in_both_forms(case):
    shape, chunks, region = case
    data = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    ref = placed(obstore.store.MemoryStore(), shape=shape, dtype="i8", chunks=chunks)
    write(ref, tuple(slice(0, n) for n in shape), data)
    assert np.array_equal(read(ref, region), taken(data, region))
    assert np.array_equal(asyncio.run(aread(ref, region)), taken(data, region))


def test_arrays_without_axes_are_read_and_written(client):
    ref = placed(client, shape=(), chunks=())
    write(ref, (), np.array(3.0))
    assert read(ref, ()) == 3
    assert [o["path"] for o in obstore.list(client).collect()] == ["a/x/c", "a/x/zarr.json"]


def test_a_missing_chunk_reads_as_fill_values_and_of_a_dense_array_is_an_error(client):
    dense = placed(client, fill_value=5)
    with pytest.raises(CorruptChunkError, match=r"a/x/c/0/0"):
        read(dense, ONE)
    assert np.array_equal(read(open_array(dense.location), ONE), np.full((4, 3), 5.0))


def test_every_damaged_chunk_of_a_region_is_told(client):
    ref = placed(client)
    write(ref, WHOLE, DATA)
    for key in ("c/0/0", "c/2/1"):
        obstore.put(client, f"a/x/{key}", b"garbage")
    for each in (lambda: read(ref, WHOLE), lambda: asyncio.run(aread(ref, WHOLE))):
        with pytest.raises(CorruptChunkError) as caught:
            each()
        assert caught.value.chunks == ((0, 0), (2, 1))


def test_a_chunk_carries_the_generation_of_its_run(client):
    ref = of_run(placed(client), client, "2")
    write(ref, WHOLE, DATA)
    assert generation(client) == "2"


def test_a_sibling_attempt_changes_nothing(client):
    ref = of_run(placed(client), client, "2")
    write(ref, ONE, DATA[ONE])
    before = obstore.head(client, "a/x/c/0/0")["e_tag"]
    write(ref, ONE, DATA[ONE])
    assert obstore.head(client, "a/x/c/0/0")["e_tag"] == before


def test_an_own_chunk_that_is_damaged_is_made_again(client):
    ref = of_run(placed(client), client, "2")
    obstore.put(client, "a/x/c/0/0", b"garbage", attributes={GENERATION: "2"})
    write(ref, ONE, DATA[ONE])
    assert np.array_equal(read(ref, ONE), DATA[ONE])


@pytest.mark.parametrize("shards", [None, (4, 3)], ids=["chunks", "shards"])
def test_what_a_late_attempt_wrote_first_is_replaced_by_the_run_whose_array_it_is(client, shards):
    ref = placed(client, shards=shards)
    late = replace(ref, generation="1")
    write(late, ONE, DATA[ONE] + 1)
    own = of_run(ref, client, "2")
    write(own, ONE, DATA[ONE])
    assert np.array_equal(read(own, ONE), DATA[ONE])
    assert generation(client) == "2"


@pytest.mark.parametrize("shards", [None, (4, 3)], ids=["chunks", "shards"])
@pytest.mark.parametrize("stamped_by", ["2", None], ids=["running", "finished"])
def test_a_late_attempt_of_another_run_writes_nothing_over_a_chunk(client, shards, stamped_by):
    ref = placed(client, shards=shards)
    own = of_run(ref, client, "2") if stamped_by else replace(ref, generation="2")
    write(own, ONE, DATA[ONE])
    with pytest.raises(TargetReplacedError):
        write(replace(ref, generation="1"), ONE, DATA[ONE] + 1)
    assert np.array_equal(read(own, ONE), DATA[ONE])


def test_what_others_have_written_into_a_finished_array_is_not_replaced(client):
    ref = placed(client)
    zarr.open_array(ObjectStore(client), path="a/x")[:] = DATA
    with pytest.raises(TargetReplacedError):
        write(replace(ref, generation="1"), ONE, DATA[ONE] + 1)
    assert np.array_equal(read(ref, ONE), DATA[ONE])


def test_chunks_of_another_run_of_the_same_plan_are_own(client):
    ref = of_run(placed(client), client, "1", plan="plan")
    write(ref, ONE, DATA[ONE])
    write(replace(ref, generation="plan-2"), ONE, DATA[ONE])
    assert generation(client) == "plan-1"


def test_of_attempts_at_once_all_succeed_and_one_has_written(client):
    ref = of_run(placed(client), client, "2")

    async def main():
        await asyncio.gather(*(awrite(ref, WHOLE, DATA) for _ in range(8)))

    asyncio.run(main())
    assert np.array_equal(read(ref, WHOLE), DATA)


def test_a_server_without_conditional_writes_is_asked_once_and_written_plainly(client, monkeypatch):
    ref = of_run(placed(client), client, "2")
    put, asked = obstore.put, []

    def put_plainly(client, key, data, *, mode=None, attributes=None, **options):
        asked.append(mode)
        if mode or attributes:
            raise obstore.exceptions.GenericError("status code: 501 Not Implemented")
        return put(client, key, data, **options)

    monkeypatch.setattr(obstore, "put", put_plainly)
    for number in range(3):
        write(ref, ONE, DATA[ONE] + number)
    assert not keeps_attributes(client)
    assert asked == ["create", None, None, None]
    assert np.array_equal(read(ref, ONE), DATA[ONE] + 2)


@pytest.fixture(scope="module")
def s3(moto_url):
    make_bucket(moto_url, "chunks")
    return moto_url


def remote(proxy, s3, name, **options):
    """Return an array on the server, asked through a proxy that counts."""
    forget_opened()
    place = locate(f"s3://chunks/{name}", s3_options(proxy.url, **options))
    ref = planned_array(place, shape=DATA.shape, dtype="f8", chunks=(4, 3))
    create_array(ref)
    return ref


def test_a_chunk_is_written_by_one_request_and_read_by_one(s3, proxy):
    ref = replace(remote(proxy, s3, "counted"), generation="2")
    asked = proxy.count()
    write(ref, ONE, DATA[ONE])
    assert proxy.count() - asked == 1
    assert np.array_equal(read(ref, ONE), DATA[ONE])
    assert proxy.count() - asked == 2
    assert proxy.count("PUT", "*c/0/0") == proxy.count("GET", "*c/0/0") == 1


def test_a_failing_server_is_never_called_corruption(s3, proxy):
    ref = remote(proxy, s3, "failing", retry_config={"max_retries": 0})
    write(ref, WHOLE, DATA)
    proxy.on("GET", "*c/0/0", does="answer", status=403, times=None)
    for region in (ONE, WHOLE):
        with pytest.raises(StorageError, match=r"chunk \(0, 0\)") as caught:
            read(ref, region)
        assert not isinstance(caught.value, CorruptChunkError)


def test_a_late_attempt_is_told_by_a_server_too(s3, proxy):
    ref = remote(proxy, s3, "late")
    write(replace(ref, generation="2"), ONE, DATA[ONE])
    with pytest.raises(TargetReplacedError):
        write(replace(ref, generation="1"), ONE, DATA[ONE] + 1)
    assert np.array_equal(read(ref, ONE), DATA[ONE])


@pytest.mark.parametrize("region", [ONE, WHOLE], ids=["one-chunk", "many"])
def test_a_read_that_hangs_is_asked_again_once_it_is_known_what_is_slow(s3, proxy, region):
    ref = remote(proxy, s3, f"hangs-{region[0].stop}")
    write(ref, WHOLE, DATA)
    rule = opened(ref)._rule
    for _ in range(200):
        rule.begin()
        rule.end(0.05)
    hangs = proxy.on("GET", "*c/0/0", does="silence", seconds=60)
    assert np.array_equal(read(ref, region), DATA[region])
    assert hangs.hits == 1
    assert rule.asked_again >= 1
