"""The requests for chunks that a worker has under way while it runs one task, as the server sees them."""

import asyncio
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import loky
import numpy as np
import pytest
import zarr
from zarr.storage import ObjectStore

import asyncexec as ax
import asyncexec.array as xp
from tests.object_stores.servers import make_bucket, s3_options

obstore = pytest.importorskip("obstore")
pytest_plugins = ["tests.object_stores.fixtures"]

CHUNKS = 24
SECONDS = 0.1
"""The time that the server takes for each chunk, in which other requests come."""


@pytest.fixture(scope="module")
def source(moto_url):
    make_bucket(moto_url, "ahead")
    client = obstore.store.from_url("s3://ahead/", **s3_options(moto_url))
    zarr.create_array(ObjectStore(client), name="x", data=np.ones(CHUNKS), chunks=1)
    return moto_url


POOLS = {
    "threads": lambda: ThreadPoolExecutor(1),
    "processes": lambda: ProcessPoolExecutor(1, mp_context=get_context("forkserver")),
    "loky": lambda: loky.ProcessPoolExecutor(1),
}


@pytest.mark.parametrize(
    "executor, options",
    [
        ("threads", {"max_workers": 1}),
        ("processes", {"max_workers": 1}),
        *(pytest.param("futures", {"executor": POOLS[name]}, id=name) for name in POOLS),
        pytest.param("lithops", {"max_workers": 1}, marks=pytest.mark.backend),
        pytest.param("beam", {}, marks=pytest.mark.backend),
    ],
)
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_worker_reads_the_next_chunks_while_it_computes_and_writes_behind(
    source, proxy, executor, options
):
    """On one worker, of which a task reads one chunk and writes one."""
    keys = s3_options(proxy.url)
    place = f"s3://ahead/of-{executor}-{id(options)}"

    async def main():
        async with ax.Engine(executor, executor_options=options, straggler=False) as engine:
            doubled = xp.from_zarr("s3://ahead/x", storage_options=keys) * 2
            plan = xp.store([doubled], [place], storage_options=keys)
            proxy.clear()
            for method in ("GET", "PUT"):
                proxy.on(method, "*/c/*", does="delay", seconds=SECONDS, times=None)
            await engine.execute(plan)

    asyncio.run(main())
    assert proxy.count("GET", "ahead/x/c/*") == CHUNKS
    assert proxy.count("PUT", "*/c/*") == CHUNKS
    assert proxy.most_in_flight > CHUNKS // 3
