"""Intermediate chunks in memory that worker processes share: nothing is lost or left, whatever ends a run."""

import asyncio
import signal
import subprocess
import sys

import numpy as np
import pytest

import asyncexec as ax
import asyncexec.array as xp
from asyncexec import storage
from asyncexec.errors import MemoryBudgetError, TaskFailedError
from tests.engine import shared_kernels as kernels

DATA = kernels.DATA
CHUNKS = (10, 100)
CHUNK_BYTES = 8_000


def job(folder, kernel, *, first=kernels.adding, **spec):
    """Two stages, of which the second reads the chunks of the first."""
    spec = ax.Spec(
        work_dir=folder.parent / "work",
        memory_dir=folder,
        optimize=False,
        allowed_mem="110MB",
        **spec,
    )
    x = xp.asarray(DATA, chunks=CHUNKS, spec=spec)
    made = xp.map_blocks(first, x, str(folder), dtype="f8")
    return xp.map_blocks(kernel, made, str(folder), dtype="f8")


def engine(**options):
    return ax.Engine("processes", executor_options={"max_workers": 2}, **options)


def is_empty(folder):
    work = folder.parent / "work"
    return not list(folder.iterdir()) and not (work.exists() and list(work.iterdir()))


async def until(path):
    while not path.exists():
        await asyncio.sleep(0.01)


async def test_chunks_are_in_memory_while_they_are_read_and_gone_after(folder):
    async with engine() as running:
        plan = job(folder, kernels.counting)
        found = await running.execute(plan, barriers=True)
        assert found.value.min() >= 1, "the block that is read is in memory"
        assert is_empty(folder)
        failed = job(folder, kernels.failing)
        with pytest.raises(TaskFailedError, match="not today"):
            await running.execute(failed, retry=False)
        assert is_empty(folder)
        running_job = asyncio.ensure_future(running.execute(job(folder, kernels.waiting)))
        await until(folder.parent / "waits")
        assert list(folder.glob("asyncexec-*/run-*/*/[0-9]*"))
        running_job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running_job
        assert is_empty(folder)


@pytest.mark.parametrize("initializer", [None, kernels.die_while_writing])
async def test_nothing_is_lost_or_left_where_a_worker_is_killed(folder, initializer):
    kernel = kernels.adding if initializer else kernels.dying_once
    async with engine() as running:
        found = await running.execute(job(folder, kernel), initializer=initializer)
        np.testing.assert_array_equal(found.value, DATA + 2)
        assert is_empty(folder)
    assert (folder.parent / "died").exists()


async def test_chunks_that_are_gone_from_memory_are_made_again(folder):
    async with engine() as running:
        found = await running.execute(job(folder, kernels.losing), barriers=True)
        np.testing.assert_array_equal(found.value, DATA + 2)
        assert found.recomputed >= 1
        assert is_empty(folder)


async def test_a_memory_file_system_that_is_full_sends_chunks_to_the_work_directory(folder):
    async with engine() as running:
        plan = job(folder, kernels.adding)
        found = await running.execute(plan, initializer=kernels.fill_up)
        np.testing.assert_array_equal(found.value, DATA + 2)
        assert is_empty(folder)


@pytest.mark.parametrize("executor", ["processes", "threads"])
async def test_tasks_and_intermediates_have_one_budget(folder, executor):
    budget = 110_000_000 + 2 * CHUNK_BYTES
    async with ax.Engine(executor, executor_options={"max_workers": 2}, memory=budget) as running:
        found = await running.execute(job(folder, kernels.adding), barriers=True)
        np.testing.assert_array_equal(found.value, DATA + 2)
        peak = running._budget.peak_bytes
        assert 0 < peak <= budget
        assert is_empty(folder)
    with pytest.raises(MemoryBudgetError, match="Engine\\(memory"):
        async with ax.Engine(executor, memory="1MB") as running:
            await running.execute(job(folder, kernels.adding))
    assert is_empty(folder)


async def test_a_work_directory_that_vanishes_matters_only_to_what_goes_there(folder):
    plan = job(folder, kernels.adding, first=kernels.removing_work)
    async with engine() as running:
        found = await running.execute(plan)
        np.testing.assert_array_equal(found.value, DATA + 1)
        assert not list(folder.iterdir())
        (folder.parent / "work" / "removed").rename(folder.parent / "first")
        with pytest.raises(TaskFailedError) as caught:
            await running.execute(plan, initializer=kernels.fill_up, retry=False)
        assert "was replaced or removed" in str(caught.value)
        assert not list(folder.iterdir())


DRIVER = """
import asyncio, json, sys
from pathlib import Path
from tests.engine import shared_kernels as kernels
from tests.engine.test_shared_intermediates import engine, job

async def main():
    async with engine() as running:
        await running.execute(job(Path(sys.argv[1]), kernels.waiting))

asyncio.run(main())
"""


async def test_the_next_run_removes_what_a_killed_driver_has_left_in_memory(folder):
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(folder)])  # noqa: ASYNC220 - it is not waited for
    await until(folder.parent / "waits")
    (left,) = storage.clean(folder)
    assert left.in_use
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    (left,) = storage.clean(folder)
    assert left.nbytes > CHUNK_BYTES
    async with engine() as running:
        found = await running.execute(job(folder, kernels.adding))
        np.testing.assert_array_equal(found.value, DATA + 2)
    assert not list(folder.iterdir())


async def test_what_is_to_be_resumed_is_in_the_work_directory(folder):
    plan = job(folder, kernels.counting)
    async with engine() as running:
        found = await running.execute(plan, resume=True)
    assert found.value.max() == 0
