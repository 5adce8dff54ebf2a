"""A store that accepts connections and says nothing: whoever cancels is let go at once, and the loop goes on."""

import asyncio
import subprocess
import sys
import textwrap
import time

import pytest

import asyncexec as ax
from asyncexec.testing.patience import scaled
from tests.loopwatch import BlockedLoopWatch
from tests.object_stores.proxy import fault_proxy
from tests.storage.fake_s3 import serving

xp = pytest.importorskip("asyncexec.array")
pytest.importorskip("obstore")

AT_ONCE_SECONDS = 1.0


@pytest.fixture(scope="module")
def proxy():
    with serving() as (_, options), fault_proxy(options["endpoint"]) as proxy:
        place = "s3://bucket/in.zarr"
        xp.to_zarr(xp.ones((4, 4), chunks=(2, 2)), place, storage_options=options_of(proxy))
        yield proxy


def options_of(proxy):
    keys = {"access_key_id": "AKIA", "secret_access_key": "not-a-secret", "region": "us-east-1"}
    return {"endpoint": proxy.url, **keys, "client_options": {"allow_http": True}}


def silent(proxy, when):
    """Have the store fall silent at some step of a run, and return the rule that says when it has."""
    if when == "opening":
        return proxy.on("*", "*", does="silence", times=None)
    if when == "reading":
        return proxy.on("GET", "*/c/*", does="silence", times=None)
    if when == "writing":
        return proxy.on("PUT", "*/c/*", does="silence", times=None)
    first = proxy.on("PUT", "*/c/*", does="silence", times=None)
    proxy.on("*", "*", does="silence", times=None, after=first)  # The removal of what it has made.
    return first


EVERY = [
    pytest.param(
        executor, when, marks=pytest.mark.slow if executor == "processes" and when != "all" else ()
    )
    for executor in ("serial", "threads", "asyncio", "processes")
    for when in ("opening", "reading", "writing", "all")
]


@pytest.mark.parametrize("executor, when", EVERY)
async def test_whoever_cancels_is_let_go_at_once(proxy, executor, when):
    options = options_of(proxy)
    x = await asyncio.to_thread(xp.from_zarr, "s3://bucket/in.zarr", storage_options=options)
    stored = xp.store([x + 1], [f"s3://bucket/{executor}-{when}.zarr"], storage_options=options)
    try:
        async with ax.Engine(executor) as engine, BlockedLoopWatch(limit_seconds=0.5):
            rule = silent(proxy, when)
            task = asyncio.create_task(engine.execute(stored))
            assert await asyncio.to_thread(rule.hit.wait, 60)
            start = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            took = time.monotonic() - start
        closed = time.monotonic() - start - took
    finally:
        proxy.clear()
    assert took < scaled(AT_ONCE_SECONDS)
    assert closed < scaled(AT_ONCE_SECONDS)


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["threads", "processes"])
@pytest.mark.parametrize("when", ["opening", "reading", "writing", "all"])
async def test_a_silent_store_ends_a_run_within_a_minute_by_its_name(proxy, executor, when):
    options = options_of(proxy)
    x = await asyncio.to_thread(xp.from_zarr, "s3://bucket/in.zarr", storage_options=options)
    stored = xp.store(
        [x + 1], [f"s3://bucket/left-{executor}-{when}.zarr"], storage_options=options
    )
    silent(proxy, when)
    start = time.monotonic()
    try:
        async with ax.Engine(executor) as engine, BlockedLoopWatch(limit_seconds=0.5):
            with pytest.raises((ax.errors.StorageTimeoutError, ax.TaskFailedError)) as caught:
                await engine.execute(stored)
    finally:
        proxy.clear()
    assert "does not answer" in str(caught.value)
    assert proxy.url in str(caught.value)
    assert time.monotonic() - start < 60


PROGRAM = """
    import asyncio, sys
    import asyncexec as ax
    import asyncexec.array as xp

    url, executor = sys.argv[1:]
    keys = {"access_key_id": "AKIA", "secret_access_key": "not-a-secret", "region": "us-east-1"}
    options = {"endpoint": url, **keys, "client_options": {"allow_http": True}}

    async def main():
        async with ax.Engine(executor) as engine:
            async with asyncio.timeout(2):
                await engine.execute(xp.store([xp.ones(4)], ["s3://bucket/x.zarr"], storage_options=options))

    if __name__ == "__main__":
        try:
            asyncio.run(main())
        except TimeoutError:
            print("let go", flush=True)
"""


@pytest.mark.parametrize("executor", ["threads", pytest.param("processes", marks=pytest.mark.slow)])
def test_a_process_ends_although_a_store_is_silent(proxy, executor, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    proxy.on("*", "*", does="silence", times=None)
    try:
        # The time is that of the store's silence, which nobody waits for.
        ended = subprocess.run(
            [sys.executable, program, proxy.url, executor],
            capture_output=True,
            text=True,
            timeout=scaled(20),
            check=True,
        )
    finally:
        proxy.clear()
    assert ended.stdout == "let go\n"
