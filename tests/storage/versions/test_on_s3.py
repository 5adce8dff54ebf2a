"""Repositories of Icechunk in a bucket: threads and processes, a proxy that loses answers, and the width of writing."""

import asyncio
import threading

import numpy as np
import pytest

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import StorageError, TaskFailedError
from asyncexec.storage.places import requests
from asyncexec.testing.patience import scaled
from tests.object_stores.servers import KEYS
from tests.storage.versions.repositories import committed, icechunk

pytestmark = pytest.mark.slow
pytest_plugins = ["tests.object_stores.fixtures"]

DATA = np.random.default_rng(7).random((64, 64))


@pytest.fixture
def storage(proxy, bucket):
    return icechunk.s3_storage(
        bucket=bucket,
        prefix="repo",
        region="us-east-1",
        endpoint_url=proxy.url,
        allow_http=True,
        force_path_style=True,
        access_key_id=KEYS["access_key_id"],
        secret_access_key=KEYS["secret_access_key"],
    )


@pytest.fixture
def repo(storage):
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


@pytest.mark.parametrize("key", ["chunks", "snapshots", "manifests"])
async def test_what_is_forbidden_fails_at_the_first_attempt_and_in_one_line(repo, proxy, key):
    session = repo.writable_session("main")
    x = xp.asarray(DATA, chunks=(32, 32))
    rule = proxy.on("PUT", f"*/{key}/*", does="answer", status=403, times=None)
    async with ax.Engine("threads", executor_options={"max_workers": 2}) as engine:
        with pytest.raises((StorageError, TaskFailedError), match="access is denied") as caught:
            await engine.execute(xp.store_icechunk(x, "x", session, commit="x", compute=False))
    assert "\n" not in str(caught.value)
    assert rule.hits <= 4  # Once for each chunk.
    proxy.clear()
    assert len(list(repo.ancestry(branch="main"))) == 1
    # Of what only the commit was refused, nothing is lost.
    assert session.has_uncommitted_changes == (key == "manifests")


@pytest.mark.parametrize("key", ["*/chunks/*", "*/snapshots/*", "*/manifests/*", "*/repo/repo"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_one_commit_is_made_whatever_answers_are_lost(repo, proxy, key, when):
    session = repo.writable_session("main")
    x = xp.asarray(DATA, chunks=(32, 32))
    rule = proxy.on("PUT", key, does="reset", when=when)
    async with ax.Engine("threads", executor_options={"max_workers": 2}) as engine:
        await engine.execute(xp.store_icechunk(x, "x", session, commit="x", compute=False))
    assert rule.hits == 1
    assert [c.message for c in repo.ancestry(branch="main")][:-1] == ["x"]
    np.testing.assert_array_equal(committed(repo, "x"), DATA)


async def test_a_silent_repository_is_an_error_that_names_it(repo, storage, proxy, monkeypatch):
    monkeypatch.setattr(requests, "TRY_SECONDS", 0.5)
    monkeypatch.setattr(requests, "SILENCE_SECONDS", 1.2)
    # So that what nobody waits for any more ends before the test does.
    limits = icechunk.StorageTimeoutSettings(operation_timeout_ms=3_000)
    config = icechunk.RepositoryConfig(storage=icechunk.StorageSettings(timeouts=limits))
    repo = icechunk.Repository.open(storage, config)
    x = xp.asarray(DATA, chunks=(32, 32))
    session = repo.writable_session("main")
    proxy.on("*", "*", does="silence", seconds=5.0, times=None)
    with pytest.raises(StorageError, match="does not answer") as caught:
        await ax.store_icechunk(x, "x", session, commit="x")
    assert proxy.url in str(caught.value)
    assert KEYS["secret_access_key"] not in str(caught.value)
    proxy.clear()
    # Calls of Icechunk cannot be cancelled: they end by their own timeout, and by their own retries.
    for thread in threading.enumerate():
        if thread.name.startswith("asyncexec-ahead"):
            await asyncio.to_thread(thread.join, scaled(20))
