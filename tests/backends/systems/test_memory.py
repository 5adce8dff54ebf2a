"""Cluster memories of systems with a place of their own: an actor on Ray, a nanny on a Dask cluster."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

pytest.importorskip("distributed")
pytest.importorskip("ray")

import dask.config
import ray
from distributed import LocalCluster

import asyncexec as ax
from asyncexec.backends.dask import DaskBackend
from asyncexec.backends.ray.memory_actor import RayMemoryActor
from asyncexec.errors import ClusterMemoryError, TaskFailedError, UsageError
from asyncexec.testing.conformance.sharing import SharingRules
from asyncexec.testing.patience import scaled

pytestmark = [
    pytest.mark.backend,
    pytest.mark.leaks("a Ray and a Dask cluster that are shared by tests keep their processes"),
]
LARGE = np.arange(100_000.0)


@pytest.fixture(scope="module")
def cluster():
    """A Dask cluster that somebody else has started: two workers with nannies."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1"
    ) as made:
        yield made


@pytest.fixture(scope="module")
def shared_ray():
    ray.init(
        address="local",
        num_cpus=2,
        resources={"hamster_wheels": 2},
        object_store_memory=200_000_000,
        include_dashboard=False,
        configure_logging=False,
        log_to_driver=False,
    )
    yield
    ray.shutdown()


class TestDaskElsewhere(SharingRules):
    patience = 60.0

    @pytest.fixture
    def backend(self, cluster):
        return lambda: DaskBackend(cluster_address=cluster.scheduler_address)


def put_and_get(number):
    memory = ax.get_cluster_memory().sync
    memory.put(f"array {number}", LARGE + number)
    return float(memory.get(f"array {number}")[0])


async def test_dask_a_memory_outlives_the_workers_that_use_it(cluster):
    def die(number):
        memory = ax.get_cluster_memory().sync
        if not memory.exists("died"):
            memory.put("died", number)
            os.kill(os.getpid(), signal.SIGKILL)
        return memory.get("died")

    backend = DaskBackend(cluster_address=cluster.scheduler_address)
    async with ax.Engine(executor=backend) as engine:
        assert (await engine.execute(ax.Plan.map(die, [7]), retry=5)).value == [7]
        while len(cluster.scheduler_info["workers"]) < 2:
            await asyncio.sleep(0.1)


async def test_dask_a_quota_moves_values_to_disk(cluster):
    def use(number):
        memory = ax.get_cluster_memory().sync
        for turn in range(4):
            memory.put(f"{number} {turn}", LARGE + turn)
        return [int(memory.get(f"{number} {turn}")[0]) for turn in range(4)]

    backend = DaskBackend(cluster_address=cluster.scheduler_address)
    async with ax.Engine(executor=backend, cluster_memory={"quota": "1MB"}) as engine:
        assert (await engine.execute(ax.Plan.map(use, range(2)))).value == [[0, 1, 2, 3]] * 2


async def test_dask_a_blocking_call_in_the_loop_of_the_engine_is_refused(cluster):
    backend = DaskBackend(cluster_address=cluster.scheduler_address)
    async with ax.Engine(executor=backend, cluster_memory={"lifetime": "engine"}) as engine:
        await engine.cluster_memory.put("key", 1)
        with pytest.raises(UsageError, match="await the method"):
            engine.cluster_memory.sync.get("key")


async def test_dask_without_workers_the_scheduler_holds_the_memory():
    with LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0", host="127.0.0.1") as empty:
        backend = DaskBackend(cluster_address=empty.scheduler_address)
        async with ax.Engine(executor=backend, cluster_memory={"lifetime": "engine"}) as engine:
            await engine.cluster_memory.put("key", LARGE)
            await asyncio.to_thread(empty.scale, 1)
            assert (await engine.execute(ax.Plan.map(put_and_get, [3]))).value == [3.0]
            assert (await engine.cluster_memory.get("key")).sum() == LARGE.sum()


async def test_dask_a_lost_memory_is_an_error_that_says_so(monkeypatch):
    monkeypatch.setitem(dask.config.config["distributed"]["comm"]["timeouts"], "connect", "2s")
    with LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1"
    ) as own:
        backend = DaskBackend(cluster_address=own.scheduler_address)
        async with ax.Engine(executor=backend, cluster_memory={"lifetime": "engine"}) as engine:
            await engine.cluster_memory.put("key", 1)
            await asyncio.to_thread(own.scale, 0)

            async def read_on():
                while True:
                    await engine.cluster_memory.get("key")

            with pytest.raises(ClusterMemoryError, match=r"is lost: .* does not answer"):
                await read_on()


# Ray.


def actors():
    return [entry["name"] for entry in ray.util.list_named_actors(all_namespaces=True)]


async def test_ray_there_is_no_actor_before_it_is_used_nor_after(shared_ray):
    async with ax.Engine("ray") as engine:
        assert (await engine.execute(ax.Plan.map(abs, [-1]))).value == [1]
        assert actors() == []
        assert (await engine.execute(ax.Plan.map(put_and_get, range(4)))).value == [0, 1, 2, 3]
        assert actors() == ["RayClusterMemoryActor"]
    deadline = time.monotonic() + scaled(20)
    while actors():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_ray_the_options_of_the_actor_are_in_effect(shared_ray):
    def look(_):
        memory = ax.get_cluster_memory().sync
        memory.put("key", 1)
        free = ray.available_resources()
        return free.get("hamster_wheels"), free.get("CPU", 0.0)

    actor = {
        "name": "Mine",
        "num_cpus": 1,
        "max_concurrency": 5,
        "resources": {"hamster_wheels": 2},
    }
    options = {"cluster_memory_actor": actor, "resources": {"hamster_wheels": 2}}
    async with ax.Engine("ray", executor_options=options) as engine:
        ((wheels, cpus),) = (await engine.execute(ax.Plan.map(look, [0]))).value
        assert actors() == ["Mine"]
        assert wheels in {None, 0.0}
        assert cpus <= 1.0


async def test_ray_a_memory_outlives_the_workers_that_use_it(shared_ray):
    def die(number):
        memory = ax.get_cluster_memory().sync
        if not memory.exists("died"):
            memory.put("array", LARGE)
            memory.put("died", number)
            os.kill(os.getpid(), signal.SIGKILL)
        return memory.get("died"), float(memory.get("array").sum())

    async with ax.Engine("ray") as engine:
        value = (await engine.execute(ax.Plan.map(die, [7]), retry=5)).value
    assert value == [(7, LARGE.sum())]


async def test_ray_arrays_are_read_where_they_are(shared_ray):
    def look(_):
        memory = ax.get_cluster_memory().sync
        memory.put("array", LARGE)
        array = memory.get("array")
        return array.flags.writeable, array.flags.owndata, array.sum()

    async with ax.Engine("ray") as engine:
        assert (await engine.execute(ax.Plan.map(look, [0]))).value == [(False, False, LARGE.sum())]


async def test_ray_a_quota_moves_values_to_disk(shared_ray):
    def use(number):
        memory = ax.get_cluster_memory().sync
        for turn in range(4):
            memory.put(f"{number} {turn}", LARGE + turn)
        return [int(memory.get(f"{number} {turn}")[0]) for turn in range(4)]

    async with ax.Engine("ray", cluster_memory={"quota": "1MB"}) as engine:
        assert (await engine.execute(ax.Plan.map(use, range(2)))).value == [[0, 1, 2, 3]] * 2


async def test_ray_a_lost_actor_is_an_error_that_says_so(shared_ray):
    def lose(_):
        memory = ax.get_cluster_memory().sync
        memory.put("key", 1)
        (named,) = ray.util.list_named_actors(all_namespaces=True)
        ray.kill(ray.get_actor(named["name"], namespace=named["namespace"]))
        while True:
            memory.get("key")

    async with ax.Engine("ray", retry=False) as engine:
        with pytest.raises(
            TaskFailedError, match=r"memory of this run is lost: its actor .*Run the"
        ):
            await engine.execute(ax.Plan.map(lose, [0]))


async def test_ray_missing_keys_and_full_actors_answer_as_everywhere():
    """The actor itself, without Ray: its small values need none."""
    actor = RayMemoryActor(None, "job")
    await actor.put(("run", "n", "key"), (b"x", []), None)
    assert await actor.get(("run", "n", "kye")) == ("missing", ["key"])
    await actor.close_space("run")
    with pytest.raises(ClusterMemoryError, match="its run has ended"):
        await actor.put(("run", "n", "key"), (b"x", []), None)


DRIVER = """
    import asyncio, sys, time
    import asyncexec as ax
    from asyncexec.backends.ray import memory_actor

    def use(_):
        ax.get_cluster_memory().sync.put("key", 1)

    async def main():
        engine = ax.Engine("ray", executor_options={"cluster_address": sys.argv[1]})
        async with engine:
            await engine.execute(ax.Plan.map(use, [0]))
            print("ready", flush=True)
            time.sleep(600)

    asyncio.run(main())
"""


def started(*arguments):
    code = textwrap.dedent(DRIVER)
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True
    )


async def test_ray_an_actor_ends_when_its_driver_was_killed(shared_ray):
    address = ray.get_runtime_context().gcs_address
    before = actors()
    process = started(address)
    try:
        assert await asyncio.to_thread(process.stdout.readline) == "ready\n"
        assert len(actors()) == len(before) + 1
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    deadline = time.monotonic() + scaled(60)
    while actors() != before:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.5)
