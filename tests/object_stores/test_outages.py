"""Ten runs at once, each with four workers and a server of its own that is away for a while: every one ends right."""

import asyncio
import os
import random

import numpy as np
import pytest

import asyncexec as ax
import asyncexec.array as xp
from tests.object_stores import servers
from tests.object_stores.proxy import fault_proxy

pytest.importorskip("obstore")
pytest_plugins = ["tests.object_stores.fixtures"]

SECONDS = [float(each) for each in os.environ.get("OUTAGES_SECONDS", "25,60").split(",")]
RUNS = 10
KEYS = {"access_key_id": "AKIA", "secret_access_key": "not-a-secret", "region": "us-east-1"}
# The moment: the first request of this kind, or one of the next.
MOMENTS = [("GET", "*/in.zarr/c/*"), ("PUT", "*/out.zarr/*c/*"), ("*", "*/out.zarr/*")]


async def survives(server, executor, seconds, seed):
    """Run x + 1 through an outage, and return whether the outage was met and the result is right."""
    random_moment = random.Random(seed)
    method, key = random_moment.choice(MOMENTS)
    bucket = f"outage-{seed}"
    await asyncio.to_thread(servers.make_bucket, server, bucket)
    with fault_proxy(server) as proxy:
        given = {**KEYS, "endpoint": proxy.url, "client_options": {"allow_http": True}}
        data = np.arange(256.0).reshape(16, 16)
        x = await asyncio.to_thread(stored, bucket, data, given)
        outage = proxy.on(
            method, key, does="outage", seconds=seconds, first=random_moment.randint(1, 20)
        )
        async with ax.Engine(executor, executor_options={"max_workers": 4}) as engine:
            plan = xp.store([x + 1], [f"s3://{bucket}/out.zarr"], storage_options=given)
            await engine.execute(plan)
        found = await asyncio.to_thread(read, bucket, given)
        return outage.hits == 1 and np.array_equal(found, data + 1)


def stored(bucket, data, options):
    xp.to_zarr(xp.asarray(data, chunks=2), f"s3://{bucket}/in.zarr", storage_options=options)
    return xp.from_zarr(f"s3://{bucket}/in.zarr", storage_options=options)


def read(bucket, options):
    return xp.from_zarr(f"s3://{bucket}/out.zarr", storage_options=options).compute(
        executor="serial"
    )


@pytest.mark.faults
@pytest.mark.parametrize("executor", ["threads", "processes"])
@pytest.mark.parametrize("seconds", SECONDS)
async def test_runs_survive_outages(moto_url, executor, seconds):
    first = random.randrange(2**32)
    print(f"seeds {first} to {first + RUNS - 1}")
    found = await asyncio.gather(
        *(survives(moto_url, executor, seconds, first + number) for number in range(RUNS))
    )
    assert found == [True] * RUNS
