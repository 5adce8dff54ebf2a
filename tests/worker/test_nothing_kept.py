"""An idle worker keeps nothing of what it ran last: no arguments, results or exceptions."""

import asyncio
import contextlib
import gc
import inspect
import os
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest

import asyncexec as ax
from tests.sampling import sampled

LOCAL = ["serial", "threads", "asyncio"]


class Marker:
    """Something whose objects can be counted, also in a worker process."""

    made: "weakref.WeakSet[Marker]"

    def __init__(self) -> None:
        self.made.add(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.made.add(self)


Marker.made = weakref.WeakSet()


class MarkedError(Exception):
    def __init__(self, marker: Marker) -> None:
        super().__init__("marked")
        self.marker = marker


def returns(item: Marker) -> Marker:
    return Marker()


def raises(item: Marker) -> Marker:
    held = Marker()
    raise MarkedError(held)


async def awaits(item: Marker) -> Marker:
    await asyncio.sleep(0)
    return Marker()


async def raises_awaited(item: Marker) -> Marker:
    await asyncio.sleep(0)
    held = Marker()
    raise MarkedError(held)


FUNCTIONS = [returns, raises, awaits, raises_awaited]


async def ran(engine: ax.Engine, function: Any, **options: Any) -> None:
    def of_plan(item: Marker, kept: Marker = Marker()) -> Any:  # noqa: B008 - a part of the function
        return function(item)

    if options:
        inspect.markcoroutinefunction(of_plan)
    plan = ax.Plan.map(of_plan, [Marker() for _ in range(8)], retry=False, **options)
    try:
        await engine.execute(plan)
    except ax.TaskError:
        assert "raises" in function.__name__
    else:
        assert "raises" not in function.__name__


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("executor", sampled(LOCAL, "threads"))
async def test_an_idle_worker_in_this_process_keeps_nothing(executor: str, function: Any) -> None:
    gc.collect()
    before = set(map(id, Marker.made))
    options = {"concurrency": 4} if function in {awaits, raises_awaited} else {}
    async with ax.Engine(executor) as engine:
        await ran(engine, function, **options)
        for _ in range(200):  # until the timers of a cancellation are over
            gc.collect()
            kept = [m for m in Marker.made if id(m) not in before]
            if not kept:
                break
            del kept
            await asyncio.sleep(0.02)
        else:
            kept = [m for m in Marker.made if id(m) not in before]
            shown = [[type(r).__name__ for r in gc.get_referrers(m)] for m in kept]
            raise AssertionError(f"{len(kept)} are kept, by {shown}")


def count_markers(_: object) -> tuple[int, int]:
    gc.collect()
    from tests.worker.test_nothing_kept import Marker as Here

    return len(Here.made), os.getpid()


@pytest.mark.parametrize("function", FUNCTIONS)
async def test_an_idle_worker_process_keeps_the_functions_it_may_run_again_and_nothing_else(
    function: Any,
) -> None:
    options = {"concurrency": 4} if function in {awaits, raises_awaited} else {}
    async with ax.Engine("processes", executor_options={"max_workers": 1}) as engine:
        plan = ax.Plan.map(function, [Marker() for _ in range(8)], retry=False, **options)
        with contextlib.suppress(ax.TaskError):
            await engine.execute(plan)
        ((kept, _),) = (await engine.execute(ax.Plan.map(count_markers, [0]))).value
    assert kept == 0


LARGE_BYTES = 64 << 20


def takes(item: bytes) -> tuple[int, int]:
    return len(item), os.getpid()


def makes(size: int) -> bytes:
    return bytes(size)


def held_bytes(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_an_idle_worker_process_gives_back_the_memory_of_items_and_values() -> None:
    async with ax.Engine("processes", executor_options={"max_workers": 1}) as engine:
        ((_, process),) = (await engine.execute(ax.Plan.map(takes, [b""]))).value
        await engine.execute(ax.Plan.map(makes, [0]))
        before = held_bytes(process)
        for plan in (ax.Plan.map(takes, [bytes(LARGE_BYTES)]), ax.Plan.map(makes, [LARGE_BYTES])):
            await engine.execute(plan)
            for _ in range(100):
                if (more := held_bytes(process) - before) < LARGE_BYTES // 2:
                    break
                await asyncio.sleep(0.02)
            assert more < LARGE_BYTES // 2, plan.name
