"""Chunks of inputs that tasks in several processes read: decoded once, shared in files, removed by the last of them."""

import asyncio
import pickle
from pathlib import Path

import numpy as np
import pytest

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.access_map import AccessMap, ReadRegion
from asyncexec.storage import planned_array
from asyncexec.storage.chunks.access import opened
from asyncexec.storage.tiers.shared_memory import SharedMemory
from tests.storage.tiers import overlapping

CHUNKS, GRID = (200, 200), (3, 2)
CHUNK_BYTES = 200 * 200 * 8


def around(depth):
    return overlapping.around(CHUNKS, depth)


@pytest.fixture
def stored(tmp_path, rng):
    """An array with its data."""
    return overlapping.stored_in(tmp_path / "x.zarr", CHUNKS, rng)


@pytest.fixture
def memory(tmp_path):
    """The place of a run in files, and its engine's account."""
    (tmp_path / "files").mkdir()
    shared = SharedMemory()
    run = shared.open(tmp_path / "files", 100 * CHUNK_BYTES)
    yield shared, run
    run.close()


def other_process(array):
    """The array as a worker gets it."""
    return pickle.loads(pickle.dumps(array))


@pytest.mark.parametrize("depth", [3, 150])
def test_each_chunk_is_decoded_once_by_all_processes_together(stored, decoded, memory, depth):
    ref, data = stored
    shared, run = memory
    access = around(depth)
    made = run.input(ref, [access], GRID)
    workers = [other_process(made) for _ in range(3)]
    for number, index in enumerate(np.ndindex(*GRID)):
        region = ReadRegion(access)(index)
        found = workers[number % 3].read(region)
        np.testing.assert_array_equal(found, data[region])
        assert not found.flags.writeable
    assert set(decoded.values()) == {1}
    assert len(decoded) == 6
    assert shared.used_bytes == 0
    assert list(Path(made.folder).iterdir()) == []


async def test_tasks_of_one_process_that_await_a_chunk_ask_for_it_once(stored, decoded, memory):
    ref, data = stored
    shared, run = memory
    access = AccessMap((AxisAccess.constant(0, 600), AxisAccess.constant(0, 300)))
    worker = other_process(run.input(ref, [access], (5,)))
    region = (slice(0, 600), slice(0, 300))
    chunks = opened(ref)
    for found in await asyncio.gather(*[worker.aread(region, chunks) for _ in range(5)]):
        np.testing.assert_array_equal(found, data)
    assert set(decoded.values()) == {1}
    assert shared.used_bytes == 0


class SlowChunks:
    """An opened array of which the first chunk that is asked for does not come."""

    def __init__(self, data):
        self.data, self.asked = data, 0

    async def aread(self, region):
        self.asked += 1
        if self.asked == 1:
            await asyncio.Event().wait()
        return self.data[region]


async def test_a_reader_that_is_cancelled_keeps_nobody_waiting(stored, memory):
    ref, data = stored
    _, run = memory
    access = AccessMap((AxisAccess.constant(0, 200), AxisAccess.constant(0, 200)))
    worker, chunks = other_process(run.input(ref, [access], (4,))), SlowChunks(data)
    region = (slice(0, 200), slice(0, 200))
    readers = [asyncio.create_task(worker.aread(region, chunks)) for _ in range(4)]
    await asyncio.sleep(0)
    assert chunks.asked == 1
    readers[0].cancel()
    readers[1].cancel()
    for reader in readers[2:]:
        np.testing.assert_array_equal(await reader, data[region])
    with pytest.raises(asyncio.CancelledError):
        await readers[1]


def test_intermediates_that_find_no_room_have_the_inputs_removed(stored, memory, tmp_path):
    ref, data = stored
    shared, run = memory
    shared.limit(4 * CHUNK_BYTES)
    access = around(3)
    worker = other_process(run.input(ref, [access], GRID))
    worker.read(ReadRegion(access)((0, 0)))
    assert shared.used_bytes == 3 * CHUNK_BYTES  # The last along an axis is half as large.
    place = planned_array(tmp_path / "y", shape=(400, 200), dtype="f8", chunks=CHUNKS)
    other = other_process(run.array(place, CHUNKS))
    other.write((slice(0, 200), slice(0, 200)), np.ones((200, 200)))
    other.write((slice(200, 400), slice(0, 200)), np.ones((200, 200)))
    assert shared.used_bytes == 2 * CHUNK_BYTES
    for index in np.ndindex(*GRID):
        region = ReadRegion(access)(index)
        np.testing.assert_array_equal(worker.read(region), data[region])
    assert shared.used_bytes == 2 * CHUNK_BYTES


def test_an_attempt_that_comes_after_the_run_reads_for_itself(stored, memory):
    ref, data = stored
    _, run = memory
    access = around(3)
    worker = other_process(run.input(ref, [access], GRID))
    run.folder.rename(run.folder.with_name("gone"))
    region = ReadRegion(access)((1, 1))
    np.testing.assert_array_equal(worker.read(region), data[region])
    assert not run.folder.exists()
    run.folder.with_name("gone").rename(run.folder)


def test_a_file_that_somebody_has_cut_is_no_damage_of_the_input(stored, decoded, memory):
    ref, data = stored
    _, run = memory
    access = around(3)
    worker = other_process(run.input(ref, [access], GRID))
    worker.read(ReadRegion(access)((0, 0)))
    for file in Path(worker.folder).glob("[0-9]*"):
        file.write_bytes(file.read_bytes()[:1000])
    region = ReadRegion(access)((0, 1))
    np.testing.assert_array_equal(worker.read(region), data[region])
    np.testing.assert_array_equal(worker.read(region), data[region])


def test_attempts_that_are_repeated_are_served(stored, memory):
    ref, data = stored
    shared, run = memory
    access = around(3)
    worker = other_process(run.input(ref, [access], GRID))
    for _ in range(3):
        for index in np.ndindex(*GRID):
            region = ReadRegion(access)(index)
            np.testing.assert_array_equal(worker.read(region), data[region])
    assert shared.used_bytes == 0


async def test_a_job_on_processes_leaves_no_chunk_of_its_inputs(stored, tmp_path):
    _, data = stored
    (tmp_path / "files").mkdir(exist_ok=True)
    spec = ax.Spec(work_dir=str(tmp_path / "work"), memory_dir=str(tmp_path / "files"))
    x = xp.from_zarr(str(tmp_path / "x.zarr"), spec=spec)
    async with ax.Engine("processes", executor_options={"max_workers": 2}) as engine:
        found = (await engine.execute(x @ xp.permute_dims(x, (1, 0)))).value
        np.testing.assert_allclose(found, data @ data.T, rtol=1e-12)
        found = (await engine.execute(xp.pad(x, 7))).value
        np.testing.assert_array_equal(found, np.pad(data, 7))
    assert list((tmp_path / "files").iterdir()) == []
