"""What outlives its block is found, and named."""

import asyncio
import subprocess
import sys
import threading

import pytest

from asyncexec.engine import Engine
from asyncexec.plan import Plan
from asyncexec.testing.virtual_time import virtual_time
from tests.leaks import no_leaks


async def test_nothing_is_found_where_nothing_is_left(tmp_path):
    async with no_leaks(tmp_path):
        await asyncio.create_task(asyncio.sleep(0))
        await asyncio.to_thread(str)
        thread = threading.Thread(target=str)
        thread.start()
        thread.join()
        (tmp_path / "file").touch()
        (tmp_path / "file").unlink()


async def test_a_task_is_found():
    with pytest.raises(AssertionError, match="task forgotten"):
        async with no_leaks(patience_seconds=0):
            task = asyncio.create_task(asyncio.sleep(60), name="forgotten")
    task.cancel()
    await asyncio.wait([task])


async def test_a_thread_is_found_unless_ignored():
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="forgotten-1")
    with pytest.raises(AssertionError, match="thread forgotten-1"):
        async with no_leaks(patience_seconds=0):
            thread.start()
    async with no_leaks(patience_seconds=0, ignored_threads=["forgotten"]):
        other = threading.Thread(target=end.wait, name="forgotten-2")
        other.start()
    end.set()
    thread.join()
    other.join()


async def test_a_process_is_found():
    children = []
    try:
        with pytest.raises(AssertionError, match=r"left behind: process \d+: "):
            async with no_leaks(patience_seconds=0):
                children.append(child_process())
    finally:
        for child in children:
            child.kill()
            child.wait()


def child_process():
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


async def test_a_file_is_found(tmp_path):
    with pytest.raises(AssertionError, match=r"file .*forgotten"):
        async with no_leaks(tmp_path, patience_seconds=0):
            (tmp_path / "forgotten").touch()


@virtual_time
async def test_what_ends_in_a_moment_is_waited_for_on_any_clock():
    async with no_leaks():
        end = threading.Event()
        threading.Thread(target=end.wait).start()
        asyncio.get_running_loop().call_later(0.02, end.set)


@pytest.mark.parametrize("executor", ["serial", "threads", "processes"])
async def test_an_engine_leaves_nothing_behind(executor, tmp_path):
    async with no_leaks(tmp_path), Engine(executor=executor) as engine:
        assert (await engine.execute(Plan.map(abs, [-1, 1]))).value == [1, 1]
