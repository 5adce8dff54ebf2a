"""The owner's configuration on real systems: every key is in effect, as tasks and the cluster see it."""

import importlib.util
import logging
import os
import re
import time

import pytest

import asyncexec as ax
from asyncexec.errors import MemoryBudgetError, ResourceError, SettingsError, TaskMemoryError
from tests.engine.owners_configuration import FIRST_BLOCK, MENDED, SECOND_BLOCK

pytestmark = pytest.mark.backend
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs ray")

DASK = "services.compute.executor.target=flowdapt.compute.executor.dask.DaskExecutor"
LOCAL = "services.compute.executor.target=flowdapt.compute.executor.local.LocalExecutor"


@pytest.fixture(autouse=True)
def _no_address(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.fixture
def configured(tmp_path):
    def write(text):
        path = tmp_path / "asyncexec.yaml"
        path.write_text(text)
        return path

    return write


def without(text, *keys):
    """The block without some keys of the executor, and what is below them."""
    for key in keys:
        text = re.sub(rf"(?m)^      {key}:.*\n(?:(?: {{7,}}.*)?\n)*", "", text)
    return text


def limit_of_this_process(_):
    import resource

    return resource.getrlimit(resource.RLIMIT_DATA)[0]


def variable(name):
    return os.environ.get(name)


def namespace(_):
    return ax.get_run_context().namespace


def assigned(_):
    import ray

    return ray.get_runtime_context().get_assigned_resources()


def cluster(_):
    import ray

    ax.get_cluster_memory().sync.put("key", 1)
    actors = ray.util.list_named_actors(all_namespaces=True)
    ends = time.monotonic() + 10
    # Ray tells a little later what it has given away.
    while (free := ray.available_resources()).get("CPU", 0) and time.monotonic() < ends:
        time.sleep(0.1)
    return ray.cluster_resources(), free, [each["name"] for each in actors]


def held(size):
    return len(bytes(size))


async def value_of(engine, function, *items, **options):
    return (await engine.execute(ax.Plan.map(function, items, **options))).value


@needs_ray
async def test_the_block_as_it_stands_is_an_error_before_ray_starts(configured):
    import ray

    with pytest.raises(SettingsError, match=r"'hamster_wheel'.*did you mean 'hamster_wheels'"):
        ax.Engine.from_config(configured(FIRST_BLOCK))
    assert not ray.is_initialized()


@needs_ray
async def test_each_key_of_the_mended_block_is_in_effect_on_ray(configured, caplog):
    async with ax.Engine.from_config(configured(MENDED)) as engine:
        assert await value_of(engine, namespace, 0) == ["default"]
        assert await value_of(engine, variable, "OMP_NUM_THREADS") == ["1"]
        ((all_of_it, free, actors),) = await value_of(engine, cluster, 0)
        assert {name: all_of_it[name] for name in ("CPU", "GPU", "memory", "hamster_wheels")} == {
            "CPU": 2,
            "GPU": 1,
            "memory": 8e9,
            "hamster_wheels": 6,
        }
        # The actor has its place: a CPU and a wheel; this task has the other CPU and all of the memory.
        assert actors == ["actor_name"]
        assert (free.get("CPU", 0), free["hamster_wheels"]) == (0, 5)
        ((mine),) = await value_of(engine, assigned, 0, resources={"gpus": 1, "hamster_wheels": 5})
        assert mine == {"CPU": 1, "GPU": 1, "memory": 8e9, "hamster_wheels": 5}
        # More than that is refused before it is sent.
        for resources in ({"hamster_wheels": 6}, {"cpus": 2}, {"gpus": 2}):
            with pytest.raises(ResourceError):
                await value_of(engine, abs, -1, resources=resources)
        # Tasks are kept within their memory.
        (limit,) = await value_of(engine, limit_of_this_process, 0)
        assert 8e9 < limit < 9e9
        (limit,) = await value_of(engine, limit_of_this_process, 0, memory="1GB")
        assert 1e9 < limit < 2e9
        with pytest.raises(TaskMemoryError):
            await value_of(engine, held, 10**9, memory="500MB")
        with pytest.raises(MemoryBudgetError):
            await value_of(engine, abs, -1, memory="9GB")
        # What workers print reaches the logging of this process.
        with caplog.at_level(logging.INFO, logger="asyncexec"):
            await value_of(engine, print, "said by a worker")
    assert caplog.text.count("said by a worker") == 1


@needs_ray
async def test_the_second_block_runs_on_ray_with_both_cpus(configured):
    async with ax.Engine.from_config(configured(SECOND_BLOCK)) as engine:
        assert engine.backend.slots == 2
        (mine,) = await value_of(engine, assigned, 0)
        assert mine == {"CPU": 1, "memory": 4e9}


async def test_the_same_keys_on_dask(configured, caplog):
    pytest.importorskip("distributed")
    text = without(MENDED, "cluster_memory_actor")
    async with ax.Engine.from_config(configured(text), overrides=[DASK]) as engine:
        assert engine.backend.slots == 2
        assert await value_of(engine, variable, "OMP_NUM_THREADS") == ["1"]
        assert await value_of(engine, namespace, 0) == ["default"]
        # Of each of the two workers, as Flowdapt has it.
        resources = engine.backend.capabilities.resources
        assert {name: resources[name] for name in ("cpus", "gpus", "hamster_wheels")} == {
            "cpus": 2,
            "gpus": 1,
            "hamster_wheels": 12,
        }
        assert await value_of(engine, dask_memory_limit, 0) == [8 * 10**9]
        assert await value_of(engine, abs, -1, resources={"hamster_wheels": 12, "gpus": 1}) == [1]
        with caplog.at_level(logging.INFO, logger="asyncexec"):
            await value_of(engine, print, "said by a worker")
        assert caplog.text.count("said by a worker") == 1
        with pytest.raises(ResourceError):
            await value_of(engine, abs, -1, resources={"hamster_wheels": 13})
        with pytest.raises(MemoryBudgetError):
            await value_of(engine, abs, -1, memory="9GB")


def dask_memory_limit(_):
    from distributed.worker import Worker

    (worker,) = Worker._instances
    return worker.memory_manager.memory_limit


async def test_the_same_keys_on_processes(configured, caplog):
    text = without(MENDED, "cluster_memory_actor")
    async with ax.Engine.from_config(configured(text), overrides=[LOCAL]) as engine:
        assert engine.backend.slots == 2
        assert await value_of(engine, variable, "OMP_NUM_THREADS") == ["1"]
        assert engine.backend.capabilities.resources == {
            "cpus": 2,
            "gpus": 1,
            "hamster_wheels": 6,
        }
        (limit,) = await value_of(engine, limit_of_this_process, 0)
        assert 8e9 <= limit < 9e9
        with caplog.at_level(logging.INFO, logger="asyncexec"):
            await value_of(engine, print, "said by a worker")
        assert caplog.text.count("said by a worker") == 1
        with pytest.raises(ResourceError):
            await value_of(engine, abs, -1, resources={"hamster_wheels": 7})


async def test_a_task_over_its_memory_fails_on_processes(configured):
    text = without(MENDED, "cluster_memory_actor").replace("8GB", "300MB")
    async with ax.Engine.from_config(configured(text), overrides=[LOCAL]) as engine:
        with pytest.raises(TaskMemoryError):
            await value_of(engine, held, 10**9)


@pytest.mark.parametrize("target", [DASK, LOCAL])
def test_the_actor_is_refused_where_there_is_none(configured, target):
    with pytest.raises(SettingsError, match=r"cluster_memory_actor is refused: .*RayExecutor"):
        ax.Engine.from_config(configured(MENDED), overrides=[target])
