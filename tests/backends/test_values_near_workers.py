"""A pipeline of large values does not pass through the driver, whatever keeps them near the workers."""

import asyncio
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

import asyncexec as ax

COUNT = 4_000_000
"""The numbers of one value, of 32 MB."""
MB = 1_000_000


def spawning():
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


REAL = [pytest.mark.backend, pytest.mark.leaks("Dask keeps a thread, and Ray what it has started")]
EXECUTORS = [
    pytest.param("processes", {"max_workers": 2}, id="processes"),
    pytest.param("futures", {"executor": spawning}, id="futures"),
    pytest.param("dask", {"max_workers": 2}, id="dask", marks=REAL),
    pytest.param("ray", {"cpus": 2}, id="ray", marks=REAL),
]


def made(item):
    return np.full(COUNT, item, dtype="f8")


def small(item):
    return np.full(20_000, item, dtype="f8")


def doubled(array):
    return array * 2


def added_to(array):
    array += 1  # It is this task's own.
    return array


def sizes(array):
    return len(array), float(array[0])


def killed_once(array, marks):
    mark = Path(marks) / str(int(array[0]))
    if array[0] == 1.0 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return array * 2


def resident_bytes():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class Watched:
    """The most that this process holds while it is watched, beyond what it held before."""

    async def __aenter__(self):
        self._before = self._most = resident_bytes()
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_):
        self._watching.cancel()

    async def _watch(self):
        while True:
            self._most = max(self._most, resident_bytes())
            await asyncio.sleep(0.005)

    @property
    def grown(self):
        return self._most - self._before


@pytest.mark.parametrize("executor, options", EXECUTORS)
async def test_the_driver_holds_none_of_them(executor, options):
    pytest.importorskip({"dask": "distributed", "ray": "ray"}.get(executor, "os"))
    async with ax.Engine(executor, executor_options=options) as engine:
        await engine.execute(ax.Plan.map(sizes, [[1.0]] * 4))
        async with Watched() as memory:
            plan = ax.Plan.map(made, range(3), name="made").then(doubled).then(added_to).then(sizes)
            result = await engine.execute(ax.Plan(plan.stages, keeps=("made",)))
        assert result.value == [(COUNT, 1.0), (COUNT, 3.0), (COUNT, 5.0)]
        assert memory.grown < 16 * MB  # Of 288 MB that the stages have passed on.
        assert result.stages[1].kept_bytes >= 3 * 8 * COUNT
        assert result.stages[0].moved_bytes == 0
        kept = await asyncio.to_thread(result.values.task, "made", 2)
        assert (len(kept), kept[0]) == (COUNT, 2.0)
        assert result.values.task("made", 1)[0] == 1.0  # In the thread of the event loop, too.
        result.close()


@pytest.mark.parametrize(
    "executor, options", [p for p in EXECUTORS if p.id != "futures"]
)  # A pool of processes is replaced as a whole.
async def test_a_worker_that_is_killed_takes_no_result_with_it(executor, options, tmp_path):
    """Where its values go with it, they are computed again."""
    pytest.importorskip({"dask": "distributed", "ray": "ray"}.get(executor, "os"))
    async with ax.Engine(executor, executor_options=options) as engine:
        plan = ax.Plan.map(small, range(6), name="made")
        plan = plan.then(partial(killed_once, marks=str(tmp_path)), name="killed").then(doubled)
        result = await engine.execute(plan, retry=4)
    assert [array[0] for array in result.value] == [4.0 * n for n in range(6)]
    assert result.stages[1].lost >= 1
