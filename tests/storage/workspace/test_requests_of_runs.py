"""The requests that a run makes to an object store: one for each chunk read and written, and few besides."""

import asyncio

import numpy as np
import pytest
import zarr
from zarr.storage import ObjectStore

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.storage.places.locations import locate
from asyncexec.storage.places.objects import objects_at
from tests.object_stores.servers import make_bucket, s3_options
from tests.object_stores.waves import Waves

obstore = pytest.importorskip("obstore")
pytest_plugins = ["tests.object_stores.fixtures"]

CHUNKS = 9
MOST_OF_THE_DRIVER = 20


@pytest.fixture(scope="module")
def source(moto_url):
    """An array of some chunks."""
    make_bucket(moto_url, "requests")
    client = obstore.store.from_url("s3://requests/", **s3_options(moto_url))
    zarr.create_array(ObjectStore(client), name="x", data=np.ones((6, 6)), chunks=(2, 2))
    zarr.create_array(ObjectStore(client), name="one", data=np.ones((6, 6)), chunks=(6, 6))
    return moto_url


def run(proxy, executor, name, *, waves=None, overwrite=False, source="x", **options):
    keys = s3_options(proxy.url)

    async def main():
        async with ax.Engine(executor, executor_options={"max_workers": 2}) as engine:
            doubled = xp.from_zarr(f"s3://requests/{source}", storage_options=keys) * 2
            plan = xp.store(
                [doubled],
                [f"s3://requests/{name}"],
                storage_options=keys,
                overwrite=overwrite,
            )
            proxy.clear()
            proxy.waves = waves
            await engine.execute(plan, **options)

    asyncio.run(main())


@pytest.mark.parametrize("executor", ["threads", pytest.param("processes", marks=pytest.mark.slow)])
def test_each_chunk_is_asked_for_and_written_once_and_metadata_once_a_run(source, proxy, executor):
    run(proxy, executor, f"of-{executor}")
    target = f"requests/of-{executor}"
    assert proxy.count("GET", "requests/x/c/*") == CHUNKS
    assert proxy.count("PUT", f"{target}/c/*") == CHUNKS
    assert proxy.count("*", f"{target}/c/*") == CHUNKS
    assert proxy.count("GET", "requests/x/zarr.json") == 1
    assert sum(proxy.counts.values()) - 2 * CHUNKS <= MOST_OF_THE_DRIVER


OVERLAPPING = {
    "overlapping blocks": lambda x: xp.map_overlap(np.sin, x, depth=3, boundary="none"),
    "a product": lambda x: x @ xp.permute_dims(x, (1, 0)),
    "two slices": lambda x: x[:, 5:] - x[:, :-5],
}


@pytest.mark.parametrize("name", OVERLAPPING)
def test_objects_that_several_tasks_of_a_process_need_are_asked_for_once(moto_url, proxy, name):
    make_bucket(moto_url, "shared")
    keys = s3_options(moto_url)
    data = np.arange(640.0 * 300).reshape(640, 300) / 1000
    store = ObjectStore(obstore.store.from_url("s3://shared/", **keys))
    zarr.create_array(store, name="x", data=data, chunks=(160, 100), overwrite=True)

    async def main():
        x = xp.from_zarr("s3://shared/x", storage_options=s3_options(proxy.url))
        async with ax.Engine("threads", executor_options={"max_workers": 2}) as engine:
            proxy.clear()
            found = (await engine.execute(OVERLAPPING[name](x))).value
        (plain,) = await ax.compute(OVERLAPPING[name](xp.asarray(data, chunks=(160, 100))))
        np.testing.assert_allclose(found, plain, rtol=1e-12)

    asyncio.run(main())
    assert proxy.count("GET", "shared/x/c/*") == 12


def test_a_finished_plan_that_is_resumed_reads_its_chunks_and_writes_none(source, proxy):
    run(proxy, "threads", "resumed", resume=True)
    run(proxy, "threads", "resumed", resume=True)
    assert proxy.count("GET", "requests/resumed/c/*") == CHUNKS
    assert proxy.count("PUT", "requests/resumed/c/*") == 0
    assert proxy.count("*", "requests/x/c/*") == 0


# The metadata of source, target and bucket with the names at the target; the lease; the target's metadata; the chunk
# read; the chunk written; the metadata again, with the consolidated ones of the bucket; the lease removed.
FRESH = (10, 1, 1, 1, 1, 3, 1)
# And the source's objects before, for the fingerprint.
RESUMABLE = (1, *FRESH)


@pytest.mark.parametrize(
    "name, options, sizes",
    [
        ("fresh", {}, FRESH),
        ("replaceable", {"overwrite": True}, FRESH),
        ("resumable", {"resume": True}, RESUMABLE),
    ],
    ids=["fresh", "replaceable", "resumable"],
)
def test_one_chunk_takes_few_round_trips_one_after_another(source, proxy, name, options, sizes):
    # Of each store it is asked for once whether it keeps conditions, by two requests of which none may succeed here.
    objects = objects_at(locate("s3://requests/asked", s3_options(proxy.url)))
    for _ in range(2):
        objects.create("name", b"one")
    waves = Waves(*sizes)
    run(proxy, "threads", name, waves=waves, source="one", **options)
    assert not waves.alone
    assert [len(come) for come in waves.seen] == list(sizes), waves.seen
    assert proxy.count("PUT", f"requests/{name}/zarr.json") == 2
