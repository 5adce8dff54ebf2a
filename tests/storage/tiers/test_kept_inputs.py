"""Chunks of inputs that several tasks of a stage read: decoded once, counted, let go."""

import asyncio
import math
import pickle
import threading
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import CorruptArrayError
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.access_map import AccessMap, ReadRegion
from asyncexec.storage import planned_array
from asyncexec.storage.chunks.block_io import BlockIO, TaskInput
from asyncexec.storage.chunks.chunk_slices import chunk_slices
from asyncexec.storage.tiers.chunk_uses import chunk_uses, may_read_again
from asyncexec.storage.tiers.kept_inputs import KeptInput
from asyncexec.storage.tiers.process import MemoryTier, TierArray
from asyncexec.storage.workspace.repeated_reads import keep_inputs
from tests.plan.test_access import accesses
from tests.storage.tiers import overlapping

CHUNKS = (100, 100)
CHUNK_BYTES = 100 * 100 * 8


def around(depth):
    return overlapping.around(CHUNKS, depth)


@pytest.fixture
def stored(tmp_path, rng):
    """An array with its data."""
    return overlapping.stored_in(tmp_path / "x.zarr", CHUNKS, rng)


@given(st.data(), st.integers(1, 12), st.integers(1, 5), st.integers(1, 4))
def test_the_tasks_that_need_a_chunk_are_as_many_as_their_regions_say(data, extent, size, others):
    access = data.draw(accesses(extent))
    grid = (data.draw(st.integers(1, 4)), others)
    if not isinstance(access.block, int):
        grid = (access.block.count, others)
    regions = [access.region(index) for index in np.ndindex(*grid)]
    counts = Counter(part.chunk for region in regions for part in chunk_slices(region, size))
    ref = planned_array("memory://x", shape=(extent,), dtype="i8", chunks=(size,))
    uses = chunk_uses([AccessMap((access,))], grid, ref)
    if uses is None:
        assert max(counts.values(), default=0) <= 1
    else:
        assert {c: uses.of((c,)) for c in counts} == counts
    if max(counts.values(), default=0) > 1:
        assert may_read_again(AccessMap((access,)), grid, (size,))


def test_blocks_of_whole_chunks_are_seen_to_need_each_once():
    plain = AccessMap((AxisAccess(0, 10, 0, 95), AxisAccess(1, 20, 0, 95, 1, 5)))
    assert not may_read_again(plain, (10, 5), (5, 5))
    assert may_read_again(plain, (10, 5), (20, 5))
    assert may_read_again(plain, (10, 5), (5, 10))


@pytest.mark.parametrize("depth", [0, 3, 120])
def test_each_chunk_is_decoded_once_and_all_memory_is_given_back(stored, decoded, depth):
    ref, data = stored
    tier = MemoryTier(10 * data.nbytes)
    access = around(depth)
    kept = KeptInput(tier, ref, [access], (6, 3))
    for index in np.ndindex(6, 3):
        region = ReadRegion(access)(index)
        found = kept.read(region)
        np.testing.assert_array_equal(found, data[region])
        assert not found.flags.writeable
    assert set(decoded.values()) == {1}
    assert len(decoded) == 18
    assert tier.used_bytes == 0


def test_no_more_is_kept_than_there_is_room_for(stored, decoded):
    ref, data = stored
    tier, access = MemoryTier(2 * CHUNK_BYTES), around(3)
    kept = KeptInput(tier, ref, [access], (6, 3))
    for index in np.ndindex(6, 3):
        region = ReadRegion(access)(index)
        np.testing.assert_array_equal(kept.read(region), data[region])
        assert tier.used_bytes <= 2 * CHUNK_BYTES
    assert tier.used_bytes == 0
    assert 18 < sum(decoded.values()) < 120


def test_intermediates_take_the_memory_of_inputs(stored, tmp_path):
    ref, data = stored
    whole = MemoryTier(4 * CHUNK_BYTES)
    tier, access = MemoryTier(None, of=whole), around(3)
    io = BlockIO(sources=(TaskInput(array=ref, select=ReadRegion(access)),))
    kept = keep_inputs(io, (6, 3), tier).sources[0].kept
    kept.read(ReadRegion(access)((0, 0)))
    assert whole.used_bytes == 4 * CHUNK_BYTES
    # Of another run of the same engine.
    other = planned_array(tmp_path / "y", shape=(200, 100), dtype="f8", chunks=(100, 100))
    block = TierArray(MemoryTier(None, of=whole), other, (100, 100))
    block.write((slice(0, 100), slice(0, 100)), np.ones((100, 100)))
    assert whole.used_bytes == CHUNK_BYTES
    assert not (tmp_path / "y").exists()
    for index in np.ndindex(6, 3):
        region = ReadRegion(access)(index)
        np.testing.assert_array_equal(kept.read(region), data[region])
        assert whole.used_bytes == CHUNK_BYTES


def test_tasks_that_need_a_chunk_at_the_same_time_decode_it_once(stored, decoded):
    ref, data = stored
    tier = MemoryTier(10 * data.nbytes)
    access = AccessMap((AxisAccess.constant(0, 600), AxisAccess.constant(0, 300)))
    kept = KeptInput(tier, ref, [access], (8,))
    begin = threading.Barrier(8)

    def task():
        begin.wait()
        np.testing.assert_array_equal(kept.read((slice(0, 600), slice(0, 300))), data)

    threads = [threading.Thread(target=task) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(decoded.values()) == {1}
    assert tier.used_bytes == 0


class SlowChunks:
    """An opened array of which the first chunk that is asked for comes only when the test says so, or fails."""

    def __init__(self, data):
        self.data, self.asked, self.come = data, 0, asyncio.Event()

    async def aread(self, region):
        self.asked += 1
        if self.asked == 1:
            await self.come.wait()
        return self.data[region]


def read_by_all(stored, length, *, tasks):
    """A square part of an array that all tasks read: its reader, its chunks, the region, the data, the tier."""
    ref, data = stored
    tier = MemoryTier(10 * data.nbytes)
    access = AccessMap((AxisAccess.constant(0, length), AxisAccess.constant(0, length)))
    region = (slice(0, length), slice(0, length))
    kept = KeptInput(tier, ref, [access], (tasks,))
    return kept, SlowChunks(data), region, data[region], tier


async def test_a_reader_that_is_cancelled_leaves_the_chunk_to_those_that_wait_for_it(stored):
    kept, chunks, region, part, tier = read_by_all(stored, 50, tasks=4)
    readers = [asyncio.create_task(kept.aread(region, chunks)) for _ in range(4)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert chunks.asked == 1
    readers[1].cancel()
    await asyncio.sleep(0)
    readers[0].cancel()
    for reader in readers[2:]:
        np.testing.assert_array_equal(await reader, part)
    assert chunks.asked == 3
    assert tier.used_bytes == 0


async def test_a_reader_that_is_cancelled_before_it_has_begun_keeps_nobody_waiting(stored):
    kept, chunks, region, part, tier = read_by_all(stored, 150, tasks=3)
    chunks.come.set()
    first = asyncio.create_task(kept.aread(region, chunks))
    await asyncio.sleep(0)
    first.cancel()
    for _ in range(2):
        np.testing.assert_array_equal(await kept.aread(region, chunks), part)
    assert tier.used_bytes == 0


async def test_readers_that_wait_get_the_chunk_that_another_one_reads(stored):
    kept, chunks, region, part, tier = read_by_all(stored, 50, tasks=4)
    readers = [asyncio.create_task(kept.aread(region, chunks)) for _ in range(4)]
    await asyncio.sleep(0)
    chunks.come.set()
    for found in await asyncio.gather(*readers):
        np.testing.assert_array_equal(found, part)
    assert chunks.asked == 1
    assert tier.used_bytes == 0


def test_attempts_that_read_again_are_served_and_count_for_nobody(stored):
    ref, data = stored
    tier, access = MemoryTier(10 * data.nbytes), around(3)
    kept = KeptInput(tier, ref, [access], (6, 3))
    for _ in range(3):
        for index in np.ndindex(6, 3):
            region = ReadRegion(access)(index)
            np.testing.assert_array_equal(kept.read(region), data[region])
    assert tier.used_bytes == 0


def test_a_damaged_chunk_is_an_error_for_every_task_that_needs_it(stored, tmp_path):
    ref, _ = stored
    tier, access = MemoryTier(10**8), around(3)
    kept = KeptInput(tier, ref, [access], (6, 3))
    (tmp_path / "x.zarr" / "c" / "1" / "1").write_bytes(b"\x28\xb5\x2f\xfdnothing")
    for row, column in np.ndindex(6, 3):
        if row > 2:
            kept.read(ReadRegion(access)((row, column)))
            continue
        with pytest.raises(CorruptArrayError, match="c/1/1"):
            kept.read(ReadRegion(access)((row, column)))
    assert tier.used_bytes == 0


def test_kept_chunks_are_not_sent_to_other_processes(stored):
    ref, _ = stored
    with pytest.raises(TypeError, match="kept in memory"):
        pickle.dumps(KeptInput(MemoryTier(0), ref, [around(3)], (6, 3)))


def stencil(block):
    return block * 2 + np.roll(block, 1, axis=0)


EXPRESSIONS = {
    "overlapping blocks": lambda x: xp.map_overlap(stencil, x, depth=2, boundary="none"),
    "a product": lambda x: x @ xp.permute_dims(x, (1, 0)),
    "padding": lambda x: xp.pad(x, 7),
    "differences": lambda x: xp.diff(x, axis=0),
    "a slice across chunks": lambda x: x[30:, 50:] + 1,
    "two slices of one array": lambda x: x[5:, 5:] * x[:-5, :-5],
    "an outer sum": lambda x: x[:, :, None] + x[:, None, :50],
}


@pytest.mark.parametrize("name", EXPRESSIONS)
async def test_a_job_decodes_each_chunk_of_its_input_once(stored, decoded, tmp_path, name):
    _, data = stored
    spec = ax.Spec(work_dir=str(tmp_path / "work"), allowed_mem="400MB")
    x = xp.from_zarr(str(tmp_path / "x.zarr"), spec=spec)
    async with ax.Engine("threads", executor_options={"max_workers": 3}) as engine:
        found = (await engine.execute(EXPRESSIONS[name](x))).value
    mine = [n for path, n in decoded.items() if "x.zarr" in path]
    assert max(mine) == 1
    (plain,) = await ax.compute(EXPRESSIONS[name](xp.asarray(data, chunks=CHUNKS)))
    np.testing.assert_allclose(found, plain, rtol=1e-12)


async def test_a_job_whose_spec_leaves_no_memory_to_intermediates_reads_again(
    stored, decoded, tmp_path
):
    _, data = stored
    x = xp.from_zarr(str(tmp_path / "x.zarr"))
    plan = xp.plan_of(xp.pad(x, 7) + 1)
    plan = replace(plan, workspace=replace(plan.workspace, tier_bytes=0))
    async with ax.Engine("threads") as engine:
        found = (await engine.execute(plan)).value
    np.testing.assert_array_equal(found[0], np.pad(data, 7) + 1)
    assert sum(decoded.values()) > math.prod((6, 3))
