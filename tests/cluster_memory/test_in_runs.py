"""The cluster memory in runs, on executors of this machine."""

import asyncio
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import asyncexec as ax
from asyncexec.engine.memory_hosts import LocalHost
from asyncexec.errors import (
    ClusterMemoryError,
    EngineClosedError,
    KeyNotFoundError,
    OptionError,
    TaskFailedError,
    UsageError,
)

pytestmark = pytest.mark.usefixtures("functions_by_value")

EXECUTORS = {
    "serial": {},
    "threads": {"max_workers": 2},
    "processes": {"max_workers": 2},
    "futures threads": {"executor": lambda: ThreadPoolExecutor(2)},
    "futures processes": {"executor": lambda: ProcessPoolExecutor(2)},
}


def engine_on(name, **settings):
    return ax.Engine(name.split()[0], executor_options=EXECUTORS[name], **settings)


@pytest.fixture(params=EXECUTORS)
def executor(request):
    return request.param


def put_square(number):
    memory = ax.get_cluster_memory().sync
    memory.put(f"square {number}", number**2)
    memory.put(f"array {number}", np.full(20_000, number), namespace="arrays")
    return number


async def get_squares(numbers):
    memory = ax.get_cluster_memory()
    found = []
    for number in numbers:
        array = await memory.get(f"array {number}", namespace="arrays")
        array += 1
        found.append((await memory.get(f"square {number}"), int(array.sum())))
    return found


async def test_what_one_task_puts_another_gets(executor):
    async with engine_on(executor) as engine:
        value = (await engine.execute(ax.Plan.map(put_square, range(8)).reduce(get_squares))).value
    assert value == [(n**2, 20_000 * (n + 1)) for n in range(8)]


async def test_runs_at_once_are_apart_and_leave_nothing(executor):
    def mine(number):
        memory = ax.get_cluster_memory().sync
        memory.put("number", number)
        return [memory.get("number"), len(memory.keys())]

    async with engine_on(executor) as engine:
        runs = [engine.start(ax.Plan.map(mine, [n])) for n in range(6)]
        assert [(await run).value for run in runs] == [[[n, 1]] for n in range(6)]
        with pytest.raises(ClusterMemoryError, match="its run has ended"):
            await runs[0].cluster_memory.get("number")


async def test_the_driver_sees_the_memory_of_a_run_while_it_runs():
    def wait_for_word(_):
        memory = ax.get_cluster_memory().sync
        memory.put("asks", True)
        while not memory.exists("word"):
            pass
        return memory.get("word").sum()

    async with engine_on("processes") as engine:
        execution = engine.start(ax.Plan.map(wait_for_word, [0]))
        while not await execution.cluster_memory.exists("asks"):
            await asyncio.sleep(0)
        await execution.cluster_memory.put("word", np.ones(100_000))
        assert (await execution).value == [100_000.0]


async def test_a_memory_of_the_engine_outlives_runs_and_not_the_engine(executor):
    def count(_):
        memory = ax.get_cluster_memory().sync
        memory.put("count", memory.get("count") + 1)

    async with engine_on(executor, cluster_memory={"lifetime": "engine"}) as engine:
        await engine.cluster_memory.put("count", 0)
        for _ in range(3):
            execution = engine.start(ax.Plan.map(count, [0]))
            await execution
        assert await engine.cluster_memory.get("count") == 3
        assert execution.cluster_memory.sync.get("count") == 3
    with pytest.raises(EngineClosedError):
        engine.cluster_memory  # noqa: B018 - asking is the test


async def test_an_engine_whose_runs_have_their_own_has_none():
    async with ax.Engine() as engine:
        with pytest.raises(UsageError, match="lifetime"):
            engine.cluster_memory  # noqa: B018 - asking is the test


async def test_a_missing_key_fails_its_task_with_that_error(executor):
    def look(_):
        memory = ax.get_cluster_memory().sync
        memory.put("weights", 1)
        memory.get("wieghts")

    async with engine_on(executor, retry=False) as engine:
        with pytest.raises(TaskFailedError, match=r"KeyNotFoundError: .* did you mean 'weights'\?"):
            await engine.execute(ax.Plan.map(look, [0]))


async def test_the_namespace_of_the_run_is_the_default():
    def put(_):
        ax.get_cluster_memory().sync.put("key", 1)
        return [
            ax.get_cluster_memory().sync.exists("key", namespace=name)
            for name in ("mine", "default")
        ]

    mapped = ax.Plan.map(put, [0])
    plan = ax.Plan(mapped.stages, context={"namespace": "mine"})
    async with ax.Engine() as engine:
        assert (await engine.execute(plan)).value == [[True, False]]
        assert (await engine.execute(mapped)).value == [[False, True]]


async def test_nothing_is_made_for_runs_that_do_not_use_it(executor, monkeypatch):
    made = []
    monkeypatch.setattr(LocalHost, "_make_files", made.append)
    async with engine_on(executor) as engine:
        assert (await engine.execute(ax.Plan.map(abs, [-1]))).value == [1]
    assert made == []


def contents(places):
    return [list(Path(place).iterdir()) if Path(place).exists() else None for place in places]


async def test_files_go_with_the_run_and_folders_with_the_engine():
    def put(_):
        ax.get_cluster_memory().sync.put("array", np.ones(100_000))

    async with engine_on("processes") as engine:
        await engine.execute(ax.Plan.map(put, [0]))
        places = engine._memory.host(None)._folder.files.places
        assert contents(places) == [[] for _ in places]
    assert contents(places) == [None for _ in places]


async def test_a_quota_holds_for_all_runs_together():
    def put(number):
        memory = ax.get_cluster_memory().sync
        for turn in range(5):
            memory.put(f"{number} {turn}", np.full(20_000, turn))
        return [int(memory.get(f"{number} {turn}")[0]) for turn in range(5)]

    async with engine_on("processes", cluster_memory={"quota": "400kB"}) as engine:
        assert (await engine.execute(ax.Plan.map(put, range(4)))).value == [list(range(5))] * 4


def test_outside_of_a_task_there_is_none():
    with pytest.raises(UsageError, match="no run context"):
        ax.get_cluster_memory()


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"quotas": 1}, r"no 'quotas' in cluster_memory: did you mean 'quota'\?"),
        ({"quota": "much"}, "quota"),
        ({"lifetime": "ever"}, "lifetime"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(OptionError, match=message):
        ax.Engine(cluster_memory=settings)


def test_secrets_of_settings_are_not_shown():
    settings = ax.cluster_memory.MemorySettings(storage_options={"key": "hunter22"})
    assert "hunter22" not in f"{settings!r} {settings.storage_options!r}"


async def test_a_key_error_is_one():
    asked = threading.Event()
    async with ax.Engine() as engine:
        execution = engine.start(ax.Plan.map(lambda _: asked.wait(30), [0]))
        with pytest.raises(KeyError) as caught:
            await execution.cluster_memory.get("nothing")
        asked.set()
        assert isinstance(caught.value, KeyNotFoundError)
        await execution
