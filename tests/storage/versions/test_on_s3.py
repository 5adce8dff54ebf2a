"""Repositories of Icechunk in a bucket: threads and processes, a proxy that loses answers, and the width of writing."""

import numpy as np
import pytest

import asyncexec as ax
import asyncexec.array as xp
from tests.object_stores.servers import KEYS
from tests.storage.versions.repositories import committed, icechunk

pytestmark = pytest.mark.slow
pytest_plugins = ["tests.object_stores.fixtures"]

DATA = np.random.default_rng(7).random((64, 64))


@pytest.fixture
def repo(proxy, bucket):
    storage = icechunk.s3_storage(
        bucket=bucket,
        prefix="repo",
        region="us-east-1",
        endpoint_url=proxy.url,
        allow_http=True,
        force_path_style=True,
        access_key_id=KEYS["access_key_id"],
        secret_access_key=KEYS["secret_access_key"],
    )
    return icechunk.Repository.create(storage)


@pytest.mark.parametrize("executor", ["threads", "processes"])
async def test_arrays_in_a_bucket_are_stored_and_read(repo, proxy, executor):
    x = xp.asarray(DATA, chunks=(16, 16))
    async with ax.Engine(executor, executor_options={"max_workers": 2}) as engine:
        session = repo.writable_session("main")
        await engine.execute(xp.store_icechunk(x, "x", session, commit="x", compute=False))
        proxy.on("PUT", "*/chunks/*", does="reset", when="after", times=3)
        proxy.on("PUT", "*/chunks/*", does="answer", status=503, times=3)
        again = repo.writable_session("main")
        y = xp.from_zarr(again.store, path="x") * 2
        await engine.execute(xp.store_icechunk(y, "y", again, commit="y", compute=False))
    np.testing.assert_array_equal(committed(repo, "y"), DATA * 2)
    assert len(list(repo.ancestry(branch="main"))) == 3


async def test_a_slot_writes_many_chunks_at_once(repo, proxy):
    x = xp.asarray(DATA, chunks=(8, 8))
    session = repo.writable_session("main")
    async with ax.Engine("threads", executor_options={"max_workers": 2}) as engine:
        proxy.clear()
        proxy.latency = 0.05
        await engine.execute(xp.store_icechunk(x, "x", session, commit="x", compute=False))
        proxy.latency = 0.0
    # Each chunk is put once.
    assert proxy.count("PUT", "*/chunks/*") == 64
    assert proxy.most_in_flight > 8
    np.testing.assert_array_equal(committed(repo, "x"), DATA)
