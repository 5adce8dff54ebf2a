"""Chunks in memory that processes share, where what holds them goes away or is short: nothing is lost or left."""

import asyncio
import shutil

import numpy as np
import pytest

import asyncexec as ax
import asyncexec.array as xp
from tests.engine import shared_kernels as kernels
from tests.engine.test_shared_intermediates import (
    DATA,
    engine,
    is_empty,
    job,
    until,
)


async def test_an_engine_that_is_left_while_a_chunk_is_written_leaves_nothing(folder):
    async with engine() as running:
        plan = job(folder, kernels.adding)
        ends = asyncio.ensure_future(running.execute(plan, initializer=kernels.stop_while_writing))
        await until(folder.parent / "waits")
    with pytest.raises(asyncio.CancelledError):
        await ends
    assert is_empty(folder)


@pytest.mark.parametrize("stage", ["first", "kernel"])
async def test_a_memory_directory_that_is_removed_costs_only_what_was_in_it(folder, stage):
    stages = {"first": kernels.adding, "kernel": kernels.adding, stage: kernels.removing_memory}
    async with engine() as running:
        plan = job(folder, stages["kernel"], first=stages["first"])
        found = await running.execute(plan, barriers=True)
        np.testing.assert_array_equal(found.value, DATA + 2)
        folder.mkdir(exist_ok=True)
        found = await running.execute(job(folder, kernels.counting), barriers=True)
        assert found.value.min() >= 1, "the next run has its chunks in memory again"
    assert is_empty(folder)


async def test_a_memory_directory_that_is_gone_when_the_run_begins_is_told_of(folder, caplog):
    plan = job(folder, kernels.adding)
    folder.rmdir()
    async with engine() as running:
        found = await running.execute(plan)
    np.testing.assert_array_equal(found.value, DATA + 2)
    assert "intermediates go to the work directory" in caplog.text
    assert not folder.exists()


async def test_two_engines_share_a_memory_file_system_that_is_too_small_for_both(folder):
    async with engine() as one, engine() as other:
        runs = [
            running.execute(
                job(folder, kernels.adding), initializer=kernels.have_little_room, barriers=True
            )
            for running in (one, other, one)
        ]
        for found in await asyncio.gather(*runs):
            np.testing.assert_array_equal(found.value, DATA + 2)
    assert is_empty(folder)


@pytest.mark.parametrize("resume", [False, True])
async def test_a_large_array_of_the_driver_is_handed_over_in_memory(folder, resume):
    data = np.arange(160_000.0).reshape(400, 400)  # More than is sent with a program.
    work = folder.parent / "work"
    spec = ax.Spec(work_dir=work, memory_dir=folder, allowed_mem="110MB")
    x = xp.asarray(data, chunks=(100, 400), spec=spec)
    async with engine() as running:
        assert ((await running.execute(x * 2)).value == data * 2).all()
        plan = xp.map_blocks(kernels.where, x, str(folder), dtype="f8")
        seen = (await running.execute(plan, resume=resume)).value.max()
        # What is to be resumed must be there when the memory is not.
        assert seen == 4000 if resume else 4 <= seen < 1000
        assert is_empty(folder)
        limited = xp.map_blocks(kernels.adding, x, str(folder), dtype="f8")
        found = await running.execute(limited, initializer=kernels.have_little_room)
        assert (found.value == data + 1).all()
    shutil.rmtree(work, ignore_errors=True)
    assert is_empty(folder)
