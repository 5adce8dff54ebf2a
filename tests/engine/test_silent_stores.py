"""A store that accepts connections and says nothing: whoever cancels is let go at once, and the process can end.

Each run is in a process of its own, whose end is a part of what is tested.
"""

import json
import subprocess
import sys
import textwrap

import pytest

from asyncexec.testing.patience import scaled
from tests.object_stores.proxy import fault_proxy
from tests.storage.fake_s3 import serving

xp = pytest.importorskip("asyncexec.array")
pytest.importorskip("obstore")

PROGRAM = """
    import asyncio, json, sys, time
    import asyncexec as ax
    import asyncexec.array as xp

    url, executor, limit, number = sys.argv[1:]
    keys = {"access_key_id": "AKIA", "secret_access_key": "not-a-secret", "region": "us-east-1"}
    options = {"endpoint": url, **keys, "client_options": {"allow_http": True}}

    async def beat(late):
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            late.append(time.monotonic() - before)

    async def main():
        late, error = [], None
        watch = asyncio.create_task(beat(late))
        async with ax.Engine(executor) as engine:
            # What is loaded once is loaded before: importing Zarr holds the loop, whatever the store does.
            warm = f"{sys.argv[0]}-{number}.zarr"
            await engine.execute(xp.store([xp.ones((2, 2), chunks=(2, 2)) + 1], [warm]))
            import obstore.store

            late.clear()
            start = time.monotonic()
            try:
                async with asyncio.timeout(float(limit) or None):
                    x = await asyncio.to_thread(xp.from_zarr, "s3://bucket/in.zarr", storage_options=options)
                    target = f"s3://bucket/out-{number}.zarr"
                    await engine.execute(xp.store([x + 1], [target], storage_options=options))
            except (TimeoutError, ax.errors.StorageError, ax.errors.TaskFailedError) as raised:
                error = raised
            end = time.monotonic()
        watch.cancel()
        found = {"error": type(error).__name__, "text": str(error), "took": end - start}
        print(json.dumps(found | {"closed": time.monotonic() - end, "late": max(late)}), flush=True)

    if __name__ == "__main__":
        asyncio.run(main())
"""


@pytest.fixture(scope="module")
def proxy():
    with serving() as (_, options), fault_proxy(options["endpoint"]) as proxy:
        keys = {"access_key_id": "AKIA", "secret_access_key": "x", "region": "us-east-1"}
        given = {"endpoint": proxy.url, **keys, "client_options": {"allow_http": True}}
        xp.to_zarr(xp.ones((4, 4), chunks=(2, 2)), "s3://bucket/in.zarr", storage_options=given)
        yield proxy


def fall_silent(proxy, when):
    """Have the store fall silent at some step of a run."""
    if when == "opening":
        proxy.on("PUT", "*zarr.json", does="silence", times=None)
        proxy.on("GET", "*out*", does="silence", times=None)
    elif when == "reading":
        proxy.on("GET", "*/c/*", does="silence", times=None)
    else:
        first = proxy.on("PUT", "*/c/*", does="silence", times=None)
        if when == "all":
            proxy.on(
                "*", "*", does="silence", times=None, after=first
            )  # Also to who removes what there is.


def run(proxy, executor, when, limit, folder):
    program = folder / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    fall_silent(proxy, when)
    try:
        ended = subprocess.run(
            [
                sys.executable,
                program,
                proxy.url,
                executor,
                str(limit),
                f"{executor}-{when}-{limit}",
            ],
            capture_output=True,
            text=True,
            # Silence would hold up its end for longer.
            timeout=scaled(limit + 15 if limit else 75),
            check=True,
        )
    finally:
        proxy.clear()
    return json.loads(ended.stdout)


@pytest.mark.parametrize(
    "executor, when",
    [
        pytest.param(e, w, marks=() if (e, w) == ("threads", "all") else pytest.mark.slow)
        for e in ("serial", "threads", "asyncio", "processes")
        for w in ("opening", "reading", "writing", "all")
    ],
)
def test_whoever_cancels_is_let_go_at_once_and_the_process_ends(proxy, executor, when, tmp_path):
    found = run(proxy, executor, when, 1.5, tmp_path)
    assert found["error"] == "TimeoutError"
    assert found["took"] < 1.5 + scaled(1.0)
    assert found["closed"] < scaled(1.0)
    assert found["late"] < scaled(0.5)


@pytest.mark.slow  # Each takes the better part of a minute, so not every pair is tried.
@pytest.mark.parametrize(
    "when, executor",
    [
        ("opening", "threads"),
        ("reading", "threads"),
        ("writing", "processes"),
        ("all", "processes"),
    ],
)
def test_silence_ends_after_two_tries_with_the_name_of_the_endpoint(
    proxy, executor, when, tmp_path
):
    found = run(proxy, executor, when, 0, tmp_path)
    assert found["error"] in {"StorageTimeoutError", "TaskFailedError"}
    assert "does not answer" in found["text"]
    assert proxy.url in found["text"]
    # Two tries of a request, and one short one of what undoes: no minute goes by with that.
    assert "2 tries" in found["text"]
    assert found["late"] < scaled(0.5)
