"""What the next task or piece reads is asked for while the present one is computed with."""

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr

from asyncexec.plan.pieces import Pieces
from asyncexec.storage.chunks import chunk_files
from asyncexec.storage.chunks.arrays import planned_array
from asyncexec.storage.chunks.block_io import BlockIO, TaskInput, TaskOutput
from asyncexec.storage.places.opening import open_array
from asyncexec.worker.awaited_pieces import taken_in_turn
from asyncexec.worker.pieces import LoadedPieces

SIDE = 300


def rows(index):
    return (slice(SIDE * index[0], SIDE * (index[0] + 1)), slice(0, SIDE))


@pytest.fixture
def announced(monkeypatch):
    """The files that the system was asked for, by their numbers."""
    found = []

    def fetch(descriptor, *_):
        found.append(int(Path(f"/proc/self/fd/{descriptor}").readlink().parts[-2]))

    monkeypatch.setattr(chunk_files, "_FETCH", fetch)
    return found


@pytest.fixture
def source(tmp_path):
    data = np.arange(4.0 * SIDE * SIDE).reshape(4 * SIDE, SIDE)
    zarr.create_array(tmp_path / "x", data=data, chunks=(SIDE, SIDE))
    return TaskInput(array=open_array(tmp_path / "x"), select=rows)


def target(tmp_path):
    array = planned_array(tmp_path / "y", shape=(4 * SIDE, SIDE), dtype="f8", chunks=(SIDE, SIDE))
    return TaskOutput(array=array, block=(SIDE, SIDE))


class Summing:
    """A kernel that takes pieces."""

    def pieces(self, index):
        return iter([(2 * index[0],), (2 * index[0] + 1,)])

    def take(self, held, piece, *inputs):
        return (held or []) + [piece, *inputs]

    def finish(self, index, held):
        return index, held


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads names of open files")
class TestFiles:
    def test_the_next_task_s_file_is_asked_for(self, source, tmp_path, announced):
        io = BlockIO(sources=(source,), targets=(target(tmp_path),))
        for task in range(4):
            io.load((task, 0))
        assert announced == [1, 2, 3]

    def test_the_next_piece_s_file_is_asked_for_before_the_present_one_is_taken(
        self, source, announced
    ):
        io = BlockIO(sources=(source,), pieces=Pieces(grid=(4,), lengths=(2,)))
        seen = [list(announced) for _ in LoadedPieces(Summing(), io, (1,))]
        assert seen == [[3], [3]]

    def test_small_chunks_are_not_asked_for(self, tmp_path, announced):
        zarr.create_array(tmp_path / "x", data=np.ones((8, 4)), chunks=(2, 4))
        small = TaskInput(
            array=open_array(tmp_path / "x"), select=lambda i: (slice(0, 2), slice(0, 4))
        )
        io = BlockIO(sources=(small,), targets=(target(tmp_path),))
        io.load((0, 0))
        io.announce((1, 0))
        assert announced == []

    def test_a_file_that_is_missing_is_told_of_when_it_is_read(self, source, tmp_path, announced):
        (tmp_path / "x" / "c" / "1" / "0").unlink()
        io = BlockIO(sources=(source,), targets=(target(tmp_path),))
        io.load((0, 0))
        assert announced == []
        assert not io.load((1, 0))[0][0].any()  # fill values, as the array says


class Loads:
    """Loads pieces; notes what was begun, and waits until it is told to go on."""

    def __init__(self):
        self.begun = []
        self.ended = []
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, piece):
        self.begun.append(piece)
        try:
            await self.go.wait()
            return (piece[0] * 10,), 8
        finally:
            self.ended.append(piece)


@pytest.mark.parametrize("ahead", [False, True])
async def test_results_are_the_same_with_and_without_reading_ahead(ahead):
    async def call(function):
        return function()

    index = (1,)
    result, read, _ = await taken_in_turn(Summing(), index, Loads(), call, ahead=ahead)
    assert result == ((1,), [(2,), 20, (3,), 30])
    assert read == 16


async def test_one_piece_is_loaded_ahead_and_no_more():
    load, begun = Loads(), []

    class Many(Summing):
        def pieces(self, index):
            return iter([(i,) for i in range(5)])

    async def call(function):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        begun.append(len(load.begun))
        return function()

    await taken_in_turn(Many(), (0,), load, call, ahead=True)
    assert begun == [2, 3, 4, 5, 5, 5]


async def test_a_kernel_that_raises_leaves_no_load_behind():
    load = Loads()

    async def call(function):
        await asyncio.sleep(0)
        load.go.clear()
        raise ValueError("kernel")

    with pytest.raises(ValueError, match="kernel"):
        await taken_in_turn(Summing(), (0,), load, call, ahead=True)
    assert load.ended == load.begun


async def test_a_load_ahead_that_fails_is_raised_in_its_turn():
    taken = []

    async def load(piece):
        if piece == (1,):
            raise OSError("gone")
        return (piece,), 8

    async def call(function):
        taken.append(1)
        return function()

    with pytest.raises(OSError, match="gone"):
        await taken_in_turn(Summing(), (0,), load, call, ahead=True)
    assert len(taken) == 1


def test_only_what_is_in_stores_elsewhere_is_loaded_ahead(source, tmp_path):
    far = planned_array("s3://bucket/x", shape=(4,), dtype="f8", chunks=(1,))
    assert BlockIO(sources=(TaskInput(array=far, select=rows),)).reads_ahead
    assert not BlockIO(sources=(source, TaskInput(array=far, select=rows))).reads_ahead
    assert not BlockIO().reads_ahead


def test_several_inputs_elsewhere_are_under_way_at_the_same_time(monkeypatch):
    far = planned_array("s3://bucket/x", shape=(4,), dtype="f8", chunks=(1,))
    one = TaskInput(array=far, select=lambda index: (slice(0, 1),))
    io = BlockIO(sources=(one, replace(one), replace(one)))
    together = asyncio.Barrier(3)

    class Chunks:
        async def aread(self, region):
            await together.wait()  # Never passed by one alone.
            return np.ones(1)

    async def found(*_):
        return Chunks()

    monkeypatch.setattr("asyncexec.storage.chunks.block_io.aopened", found)
    inputs, read = io.load((0,))
    assert (len(inputs), read) == (3, 24)
