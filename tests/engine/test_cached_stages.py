"""Stages that are cached by their inputs: what has not changed is not called again."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import asyncexec as ax
from asyncexec.errors import OptionError, SerializationError, TaskFailedError
from asyncexec.events.records import AttemptEnded
from asyncexec.storage import clear_cache
from asyncexec.storage.places.locations import locate
from asyncexec.storage.values.blobs import Blobs
from asyncexec.storage.values.cache import CACHE, trim

pytestmark = pytest.mark.usefixtures("functions_by_value")

EXECUTORS = ("serial", "threads", "processes")


def double(x: Any) -> Any:
    return x * 2


def total(values: list[Any]) -> float:
    return float(np.sum(values))


async def later(x: int) -> int:
    return x + 1


def cached(result: ax.Result) -> list[int]:
    return [stage.cached for stage in result.stages]


@pytest.mark.parametrize("executor", EXECUTORS)
async def test_items_that_were_there_before_are_not_computed_again(
    executor: str, tmp_path: Path
) -> None:
    def plan(*items: int) -> ax.Plan:
        first = ax.Plan.map(double, items, cache="inputs")
        return first.then(later, cache="inputs").reduce(total, cache="inputs")

    async with ax.Engine(executor=executor, cache_dir=tmp_path / "cache") as engine:
        results = [await engine.execute(plan(*items)) for items in ([1, 2], [1, 2], [2, 3, 1])]
    assert [result.value for result in results] == [8.0, 8.0, 15.0]
    assert [cached(result) for result in results] == [[0, 0, 0], [2, 2, 1], [2, 2, 0]]


@pytest.mark.parametrize("executor", ["asyncio", "processes"])
async def test_coroutine_functions_are_cached(executor: str, tmp_path: Path) -> None:
    plan = ax.Plan.map(later, range(20), cache="inputs", concurrency=10)
    async with ax.Engine(executor=executor, cache_dir=tmp_path) as engine:
        for expected in (0, 20):
            result = await engine.execute(plan)
            assert result.value == list(range(1, 21))
            assert cached(result) == [expected]


async def test_large_values_come_from_the_cache_as_they_were(tmp_path: Path) -> None:
    array = np.arange(200_000.0)
    plan = ax.Plan.map(double, [array, "x"], cache="inputs")
    async with ax.Engine(executor="processes", work_dir=tmp_path) as engine:
        for expected in (0, 2):
            result = await engine.execute(plan)
            assert cached(result) == [expected]
            assert np.array_equal(result.value[0], array * 2)
            assert result.value[1] == "xx"


async def test_another_code_or_another_closure_is_another_result(tmp_path: Path) -> None:
    def adds(n: int) -> Any:
        return lambda x: x + n

    async with ax.Engine(cache_dir=tmp_path) as engine:
        for n, expected in ((1, 0), (2, 0), (1, 2)):
            result = await engine.execute(ax.Plan.map(adds(n), [1, 2], cache="inputs"))
            assert result.value == [1 + n, 2 + n]
            assert cached(result) == [expected]


async def test_a_plan_of_other_stages_uses_what_is_there(tmp_path: Path) -> None:
    async with ax.Engine(cache_dir=tmp_path) as engine:
        await engine.execute(ax.Plan.map(double, [1, 2], cache="inputs"))
        plan = ax.Plan.call(list, (2, 1)).then_each(double, cache="inputs", name="other")
        assert cached(await engine.execute(plan)) == [0, 2]


async def test_observers_see_which_attempts_were_cached(tmp_path: Path) -> None:
    seen: list[bool] = []

    def note(event: Any) -> None:
        if isinstance(event, AttemptEnded):
            seen.append(event.outcome.cached)

    summary = ax.Summary()
    plan = ax.Plan.map(double, [1, 2], cache="inputs")
    async with ax.Engine(cache_dir=tmp_path, observers=[note, summary]) as engine:
        await engine.execute(plan)
        assert "cached" not in str(summary)
        await engine.execute(plan)
    assert seen == [False, False, True, True]
    assert "2 (2 cached)" in str(summary)


@dataclass
class Point:
    x: int
    tags: frozenset[str]


SCRIPT = """
import sys
import numpy as np
import asyncexec as ax
from tests.engine.test_cached_stages import Point

def describe(value):
    return repr(type(value))

values = [
    {"b", "a", "c"},
    {"x": {1, 2}, "y": {"t", "u"}},
    Point(1, frozenset({"p", "q", "r"})),
    np.arange(5.0),
    [np.float32(1), None, ("s", b"t")],
]
plan = ax.Plan.map(describe, values, cache="inputs")
print(ax.sync.execute(plan, cache_dir=sys.argv[1]).stages[0].cached)
"""


def test_the_key_is_the_same_in_every_process(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    told = [
        subprocess.run(
            [sys.executable, str(script), str(tmp_path / "cache")],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path.cwd())},
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told == ["0\n", "5\n"]


async def test_inputs_without_content_are_refused(tmp_path: Path) -> None:
    async with ax.Engine(executor="threads", cache_dir=tmp_path) as engine:
        with pytest.raises(TaskFailedError, match="'double' is cached by its inputs, and input 0"):
            await engine.execute(ax.Plan.map(double, [threading.Lock()], cache="inputs"))
        lock = threading.Lock()
        with pytest.raises(SerializationError, match="'held'"):
            await engine.execute(
                ax.Plan.map(lambda _: lock.locked(), [1], cache="inputs", name="held")
            )


async def test_a_failure_is_not_cached(tmp_path: Path) -> None:
    async with ax.Engine(cache_dir=tmp_path, retry=False) as engine:
        with pytest.raises(TaskFailedError):
            await engine.execute(ax.Plan.map(int, ["x"], cache="inputs"))
    assert list(Blobs(locate(tmp_path)).entries()) == []


async def test_without_a_place_caching_is_refused() -> None:
    plan = ax.Plan.map(double, [1], cache="inputs")
    async with ax.Engine() as engine:
        with pytest.raises(OptionError, match="cache_dir="):
            await engine.execute(plan)
    with pytest.raises(OptionError, match="'inputs'"):
        ax.Plan.map(double, [1], cache="input")  # type: ignore[arg-type] # it is wrong


async def test_two_runs_at_once_share_a_cache(tmp_path: Path) -> None:
    plan = ax.Plan.map(double, range(200), cache="inputs")
    async with ax.Engine(executor="threads", cache_dir=tmp_path) as engine:
        running = [engine.start(plan) for _ in range(3)]
        for run in running:
            assert (await run).value == [2 * x for x in range(200)]
        assert cached(await engine.execute(plan)) == [200]


async def test_a_damaged_result_is_computed_again(tmp_path: Path) -> None:
    plan = ax.Plan.map(double, [1, 2], cache="inputs")
    async with ax.Engine(cache_dir=tmp_path) as engine:
        await engine.execute(plan)
        damage(tmp_path)
        assert cached(await engine.execute(plan)) == [1]
        assert cached(await engine.execute(plan)) == [2]


def damage(folder: Path) -> None:
    path = min(folder.glob("??/*"))
    path.write_bytes(path.read_bytes()[:-1])


def test_a_cache_is_bounded_by_age_and_by_size(tmp_path: Path) -> None:
    blobs = Blobs(locate(tmp_path))
    keys = [f"{n:02x}/{n:030x}" for n in range(6)]
    now = time.time()
    for n, key in enumerate(keys):
        blobs.put(key, [bytes(1000 - 20)])
        os.utime(tmp_path / key, (now - 100 * n, now - 100 * n))
    (tmp_path / "notes.txt").write_text("not of the cache")
    assert trim(blobs, most_bytes=None, most_seconds=None) == 0
    assert trim(blobs, most_bytes=None, most_seconds=450) == 1
    assert trim(blobs, most_bytes=3000, most_seconds=None) == 2
    assert sorted(e.key for e in blobs.entries()) == [*keys[:3], "notes.txt"]
    assert clear_cache(tmp_path) == 3
    assert (tmp_path / "notes.txt").exists()


async def test_a_run_keeps_its_cache_within_bounds(tmp_path: Path) -> None:
    plan = ax.Plan.map(double, range(50), cache="inputs")
    async with ax.Engine(work_dir=tmp_path, cache_bytes="2kB") as engine:
        await engine.execute(plan)
        assert sum(e.nbytes for e in Blobs(locate(tmp_path / CACHE)).entries()) <= 2000
        plan_elsewhere = {"cache_dir": "memory://cached", "cache_bytes": 1000}
        with pytest.raises(OptionError, match="object store"):
            await engine.execute(plan, **plan_elsewhere)


async def test_a_cache_in_an_object_store(tmp_path: Path) -> None:
    plan = ax.Plan.map(double, [1, 2], cache="inputs")
    place = f"memory://cache-{tmp_path.name}"
    async with ax.Engine(executor="threads", cache_dir=place) as engine:
        assert [cached(await engine.execute(plan)) for _ in range(2)] == [[0], [2]]
    assert clear_cache(place) == 2
