"""Chunks of inputs that processes share in memory: nothing is lost, wrong or left, whatever ends a run."""

import asyncio

import numpy as np
import pytest
import zarr

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import TaskFailedError
from tests.engine import shared_kernels as kernels
from tests.engine.test_shared_intermediates import engine, is_empty, until

DATA = np.arange(160_000.0).reshape(800, 200)


@pytest.fixture
def source(folder):
    """An array in four chunks of 320 kB, and what a task in another process is computed with."""
    place = folder.parent / "x.zarr"
    spec = ax.Spec(work_dir=folder.parent / "work", memory_dir=folder, allowed_mem="150MB")
    zarr.create_array(place, data=DATA, chunks=(200, 200))
    return xp.from_zarr(str(place), spec=spec)


def overlapping(source, kernel, folder):
    return xp.map_overlap(
        kernel, source, str(folder), depth=1, boundary="none", trim=True, dtype="f8"
    )


async def test_chunks_of_inputs_are_in_memory_while_they_are_needed_and_gone_after(source, folder):
    async with engine() as running:
        found = await running.execute(overlapping(source, kernels.counting_inputs, folder))
        assert found.value.max() >= 1
        assert is_empty(folder)
        with pytest.raises(TaskFailedError, match="not today"):
            await running.execute(overlapping(source, kernels.failing, folder), retry=False)
        assert is_empty(folder)
        plan = overlapping(source, kernels.waiting, folder)
        running_job = asyncio.ensure_future(running.execute(plan))
        await until(folder.parent / "waits")
        running_job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running_job
        assert is_empty(folder)


async def test_workers_that_share_chunks_of_files_load_no_event_loop(source, folder):
    async with engine() as running:
        found = await running.execute(overlapping(source, kernels.has_asyncio, folder))
    assert not found.value.any()


KERNELS = {
    "a worker dies": (kernels.dying_once, None),
    "a worker dies as it writes": (kernels.adding, kernels.die_while_writing),
    "the file system is full": (kernels.adding, kernels.fill_up),
    "all chunks are removed": (kernels.losing, None),
    "the memory directory is removed": (kernels.removing_memory, None),
}


@pytest.mark.parametrize("trouble", KERNELS)
@pytest.mark.parametrize("resume", [False, True])
async def test_trouble_with_what_is_in_memory_costs_only_what_was_there(
    source, folder, trouble, resume
):
    kernel, initializer = KERNELS[trouble]
    async with engine() as running:
        plan = overlapping(source, kernel, folder)
        found = await running.execute(plan, initializer=initializer, resume=resume)
        np.testing.assert_array_equal(found.value, DATA + 1)
    folder.mkdir(exist_ok=True)
    assert is_empty(folder)
