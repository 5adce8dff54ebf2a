"""Memory for chunks is used again when no view of it is left, and by one program at a time."""

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import CorruptChunkError
from asyncexec.storage.chunks import buffers as module
from asyncexec.storage.chunks.access import opened
from asyncexec.storage.chunks.block_io import BlockIO, TaskInput
from asyncexec.storage.chunks.buffers import BUFFERS, LEAST_BYTES, Buffers, read_only
from asyncexec.storage.places.opening import open_array

SIDE = 512  # 1 MB of float32


class Program:
    pass


def rows(index):
    return (slice(SIDE * index[0], SIDE * (index[0] + 1)), slice(0, SIDE))


@pytest.fixture(params=["zstd", "blosc", "gzip", "none", "checksum"])
def array(request, tmp_path):
    codecs = {
        "zstd": zarr.codecs.ZstdCodec(level=1),
        "blosc": zarr.codecs.BloscCodec(),
        "gzip": zarr.codecs.GzipCodec(level=1),
        "none": None,
        "checksum": [zarr.codecs.ZstdCodec(level=1), zarr.codecs.Crc32cCodec()],
    }
    data = np.random.default_rng(0).random((4 * SIDE, SIDE), dtype=np.float32)
    zarr.create_array(
        tmp_path / "a", data=data, chunks=(SIDE, SIDE), compressors=codecs[request.param]
    )
    return open_array(tmp_path / "a"), data


def test_a_block_is_not_used_again_while_a_view_of_a_view_is_left():
    buffers, program = Buffers(), Program()
    buffers.begin(program)
    block = buffers.take(LEAST_BYTES)
    view = np.frombuffer(read_only(block), np.uint16).reshape(-1, 2)[3:5, :1]
    del block
    assert buffers.free_bytes == 0
    del view
    assert buffers.free_bytes == LEAST_BYTES


def test_no_more_blocks_are_kept_than_were_taken_at_once():
    buffers, program = Buffers(), Program()
    buffers.begin(program)
    for size in (1, 3, 2, 4, 1):
        one, other = buffers.take(size * LEAST_BYTES), buffers.take(LEAST_BYTES)
        del one, other
    assert buffers.free_bytes <= 5 * LEAST_BYTES


@pytest.mark.parametrize("sizes", [(1, 1, 200, 200), (200, 1, 1, 200), (5, 200, 30, 1)])
def test_large_blocks_do_not_go_to_small_chunks(sizes):
    buffers, program = Buffers(), Program()
    buffers.begin(program)
    for turn in range(6):
        held = [buffers.take(size * LEAST_BYTES) for size in sizes[turn % 2 :]]
        del held
        assert buffers.free_bytes <= sum(sizes) * LEAST_BYTES


def test_sizes_that_differ_a_little_leave_the_other_blocks_where_they_are():
    buffers, program = Buffers(), Program()
    buffers.begin(program)
    places = set()
    for size in (1.0, 1.01, 0.98, 1.02, 1.0):
        stored = buffers.take(int(size * 4 * LEAST_BYTES))
        decoded = buffers.take(8 * LEAST_BYTES)
        places.add(decoded.ctypes.data)
        del stored, decoded
    assert len(places) == 1


def test_what_one_program_has_left_goes_when_another_begins():
    buffers, one, other = Buffers(), Program(), Program()
    buffers.begin(one)
    late = buffers.take(LEAST_BYTES)
    buffers.take(LEAST_BYTES)
    buffers.begin(other)
    del late
    assert buffers.free_bytes == 0


def test_nothing_is_kept_in_a_thread_where_no_tasks_run(array):
    ref, data = array
    with ThreadPoolExecutor(1) as pool:
        block = pool.submit(opened(ref).read, rows((1,))).result()
        np.testing.assert_array_equal(block, data[rows((1,))])
        del block
        assert pool.submit(lambda: BUFFERS.free_bytes).result() == 0


def test_chunks_that_are_held_keep_their_elements_while_others_are_read(array):
    ref, data = array
    io = BlockIO(sources=(TaskInput(array=ref, select=rows),))
    held = [io.load((i % 4,))[0][0] for i in range(12)]
    for i, block in enumerate(held):
        np.testing.assert_array_equal(block, data[rows((i % 4,))])


def test_chunks_that_are_let_go_give_their_memory_to_the_next(array):
    ref, data = array
    io = BlockIO(sources=(TaskInput(array=ref, select=rows),))
    places = set()
    for i in range(12):
        (block,), _ = io.load((i % 4,))
        np.testing.assert_array_equal(block, data[rows((i % 4,))])
        places.add(block.ctypes.data)
        del block
    if ref.encoding.compressor and "gzip" in ref.encoding.compressor:
        return  # which takes no buffer to decode into
    assert len(places) <= 2
    del io
    gc.collect()
    assert BUFFERS.free_bytes == 0


def test_chunks_are_read_only_for_good(array):
    (block,), _ = BlockIO(sources=(TaskInput(array=array[0], select=rows),)).load((0,))
    with pytest.raises(ValueError, match="WRITEABLE"):
        block.flags.writeable = True
    with pytest.raises(ValueError, match="WRITEABLE"):
        block.base.flags.writeable = True


@pytest.mark.parametrize("damage", ["cut", "longer", "empty", "other size", "twice"])
def test_damage_is_told_also_where_chunks_are_decoded_into_old_memory(array, tmp_path, damage):
    ref, _ = array
    io = BlockIO(sources=(TaskInput(array=ref, select=rows),))
    io.load((1,))
    path = tmp_path / "a" / "c" / "0" / "0"
    whole = path.read_bytes()
    small = opened(ref)._codec._codec
    path.write_bytes(
        {
            "cut": whole[:-9],
            "longer": whole + b"some more",
            "empty": b"",
            "other size": bytes(small.encode(np.zeros(7))) if small else bytes(7),
            "twice": whole * 2,
        }[damage]
    )
    with pytest.raises(CorruptChunkError):
        io.load((0,))


def test_a_file_that_grows_while_it_is_read_is_read_to_its_end(tmp_path, monkeypatch):
    from asyncexec.storage.chunks import chunk_files

    path = tmp_path / "f"
    path.write_bytes(bytes(LEAST_BYTES) + b"end")
    real = chunk_files.os.fstat

    class Smaller:
        def __init__(self, of):
            self.st_size = real(of).st_size - 3

    monkeypatch.setattr(chunk_files.os, "fstat", Smaller)
    with path.open("rb", buffering=0) as file:
        assert bytes(chunk_files._read_again(file)) == path.read_bytes()


async def test_results_are_the_same_where_threads_use_memory_again(tmp_path):
    data = np.random.default_rng(1).random((8 * SIDE, SIDE), dtype=np.float32)
    for name in ("x", "y"):
        zarr.create_array(tmp_path / name, data=data, chunks=(SIDE, SIDE))
    x, y = (xp.from_zarr(tmp_path / name) for name in ("x", "y"))
    async with ax.Engine("threads", executor_options={"max_workers": 3}) as engine:
        for _ in range(3):
            total = (await engine.execute(xp.sum(x + y))).value
            pairs = (await engine.execute(xp.stack([x, y], axis=0)[1] - x)).value
    assert not pairs.any()
    assert total == pytest.approx(2 * data.sum(dtype="f8"), rel=1e-5)


def test_blocks_come_back_in_whatever_thread_the_last_view_goes():
    buffers, program = Buffers(), Program()
    buffers.begin(program)
    taken = [buffers.take(LEAST_BYTES) for _ in range(50)]
    threads = [threading.Thread(target=taken.pop) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert buffers.free_bytes == 50 * LEAST_BYTES
    assert module.Buffers().free_bytes == 0


def test_a_stage_lets_go_of_what_another_one_has_left_when_it_begins(array):
    io, another = (BlockIO(sources=(TaskInput(array=array[0], select=rows),)) for _ in range(2))
    io.load((0,))
    io.begin()
    assert BUFFERS.free_bytes
    another.begin()
    assert not BUFFERS.free_bytes
