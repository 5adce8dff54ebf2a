"""What a task leaves in its worker: copies of it, processes it has started, and what it has changed of the process."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import asyncexec as ax
from asyncexec.testing.patience import scaled
from tests.sampling import sampled

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")

EXECUTORS = ["serial", "threads", "asyncio", "processes"]


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def gone(processes: list[int]) -> bool:
    """Wait until none of these runs, for some seconds at most."""
    for _ in range(250):
        if not any(map(alive, processes)):
            return True
        await asyncio.sleep(0.02)
    return False


def noted(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()]


# -- copies


@pytest.mark.parametrize(
    "ending", sampled(["returns", "raises", "exits", "exits with a word"], "returns", "exits")
)
@pytest.mark.parametrize("executor", EXECUTORS)
async def test_a_forked_copy_ends_where_the_function_does(
    executor: str, ending: str, tmp_path: Path
) -> None:
    ends = {"returns": 0, "raises": 1, "exits": 7, "exits with a word": 1}

    def forks(item: int) -> tuple[int, int]:
        child = os.fork()
        if child:
            return item, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        if ending == "raises":
            raise ValueError(item)
        if ending.startswith("exits"):
            raise SystemExit(7 if ending == "exits" else "a word")
        return item, -1

    async with ax.Engine(executor) as engine, asyncio.timeout(scaled(60)):
        # One at a time: hooks of libraries that are loaded may refuse forks of two threads at once.
        result = await engine.execute(ax.Plan.map(forks, range(6), retry=False, max_at_once=1))
    assert result.value == [(item, ends[ending]) for item in range(6)]


@pytest.mark.parametrize("at", ["once", "after a while"])
@pytest.mark.parametrize("executor", ["threads", "asyncio", "processes"])
async def test_a_copy_made_by_a_coroutine_does_not_go_on_with_the_others(
    executor: str, at: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.touch()

    async def forks(item: int) -> int:
        await asyncio.sleep(0.001 * item)
        child = os.fork() if item % 5 == 0 else None
        if child == 0:
            if at == "after a while":
                await asyncio.sleep(0)
            with log.open("a") as file:
                file.write(f"copy {os.getpid()}\n")
            return -1
        await asyncio.sleep(0.02)
        if child:
            os.waitpid(child, 0)  # noqa: ASYNC222 - it has ended
        with log.open("a") as file:
            file.write(f"{item}\n")
        return item

    plan = ax.Plan.map(forks, range(20), concurrency=10, retry=False)
    async with ax.Engine(executor) as engine, asyncio.timeout(scaled(60)):
        result = await engine.execute(plan)
    assert result.value == list(range(20))
    lines = log.read_text().split("\n")[:-1]
    assert sorted(int(line) for line in lines if line.isdigit()) == list(range(20))
    copies = [line for line in lines if line.startswith("copy")]
    # On an event loop a copy has nothing to wait with, and ends where it waits.
    assert len(copies) == (4 if at == "once" else 0)


async def test_a_copy_saves_no_chunk(tmp_path: Path) -> None:
    import numpy as np

    import asyncexec.array as xp

    def forks(block: np.ndarray) -> np.ndarray:
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            return block
        return block * 0 - 1

    x = xp.asarray(np.arange(12.0), chunks=4)
    for executor in ("threads", "processes"):
        async with ax.Engine(executor) as engine:
            result = await engine.execute(xp.map_blocks(forks, x, dtype=x.dtype))
        assert result.value.tolist() == list(range(12))


# -- processes


def starts(path: Path, how: str) -> Callable[[int], int]:
    """Return a function that starts a process that goes on for a minute, in one way or another."""

    def start(item: int) -> int:
        sleeps = [sys.executable, "-c", "import time; time.sleep(60)"]
        if how in {"child", "own session", "own environment"}:
            more = {"start_new_session": how != "child"}
            if how == "own environment":
                more["env"] = {}  # type: ignore[assignment] # as subprocess takes it
            child = subprocess.Popen(sleeps, **more).pid  # type: ignore[call-overload] # by name
        elif how == "copy":
            child = os.fork()
            if not child:
                time.sleep(60)
        else:  # A daemon: a child of a child, in a session of its own.
            read, write = os.pipe()
            if not (middle := os.fork()):
                os.setsid()
                if daemon := os.fork():
                    os.write(write, str(daemon).encode())
                    os._exit(0)
                time.sleep(60)
                os._exit(0)
            child = int(os.read(read, 100))
            os.waitpid(middle, 0)
        with path.open("a") as file:
            file.write(f"{child}\n")
        return item

    return start


WAYS = ["child", "own session", "own environment", "copy", "daemon"]


@pytest.mark.parametrize("how", WAYS)
async def test_what_a_task_has_started_ends_with_the_engine(how: str, tmp_path: Path) -> None:
    path = tmp_path / "started"
    async with ax.Engine("processes", executor_options={"max_workers": 2}) as engine:
        result = await engine.execute(ax.Plan.map(starts(path, how), range(2)))
        assert result.value == [0, 1]
        assert all(map(alive, noted(path)))  # A later task may use it.
    assert await gone(noted(path))


@pytest.mark.parametrize("how", WAYS)
async def test_what_a_task_has_started_ends_with_its_timeout(how: str, tmp_path: Path) -> None:
    path = tmp_path / "started"
    start = starts(path, how)

    def hangs(item: int) -> None:
        start(item)
        time.sleep(60)

    async with ax.Engine("processes", executor_options={"max_workers": 1}) as engine:
        with pytest.raises(ax.errors.TaskTimeoutError):
            await engine.execute(ax.Plan.map(hangs, [0]), timeout=scaled(1.0), retry=False)
        assert await gone(noted(path))


@pytest.mark.parametrize("how", ["own session", "daemon"])
async def test_what_a_dead_worker_has_started_ends_with_the_engine(
    how: str, tmp_path: Path
) -> None:
    path = tmp_path / "started"
    start = starts(path, how)

    def dies(item: int) -> None:
        start(item)
        os.kill(os.getpid(), signal.SIGKILL)

    async with ax.Engine("processes", executor_options={"max_workers": 1}) as engine:
        with pytest.raises(ax.errors.WorkerLostError):
            await engine.execute(ax.Plan.map(dies, [0]), retry=False)
    assert await gone(noted(path))


DRIVER = """
import asyncio, sys
from pathlib import Path
import asyncexec as ax
from tests.backends.processes.test_left_behind import starts

async def main(path, how):
    start = starts(Path(path), how)
    def hangs(item):
        start(item)
        import time
        time.sleep(60)
    async with ax.Engine("processes", executor_options={"max_workers": 1}) as engine:
        await engine.execute(ax.Plan.map(hangs, [0]))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("how", ["child", "copy"])
async def test_what_a_task_has_started_ends_with_a_driver_that_is_killed(
    how: str, tmp_path: Path
) -> None:
    path = tmp_path / "started"
    command = [sys.executable, "-c", textwrap.dedent(DRIVER), str(path), how]
    driver = subprocess.Popen(command)  # noqa: ASYNC220 - it is killed
    try:
        async with asyncio.timeout(scaled(20)):
            while not (path.exists() and noted(path)):
                await asyncio.sleep(0.02)
    finally:
        driver.kill()
        driver.wait()
    assert await gone(noted(path))
