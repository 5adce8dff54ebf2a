"""Intermediate chunks in files of a memory file system: shared, counted, spilled, freed, and gone with their run."""

import errno
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from asyncexec.errors import CorruptChunkError
from asyncexec.storage import create_array, planned_array
from asyncexec.storage.places.locked_directory import LockedDirectory
from asyncexec.storage.tiers import shared_array
from asyncexec.storage.tiers.chunk_memory import ChunkMemory
from asyncexec.storage.tiers.process import TierArray
from asyncexec.storage.tiers.shared_account import SharedAccount, shared_account
from asyncexec.storage.tiers.shared_memory import SharedMemory
from tests.storage.regions import regions, taken
from tests.storage.tiers.test_process import fill, region

WHOLE = (slice(0, 10), slice(0, 7))
DATA = np.arange(70.0).reshape(10, 7)


def opened(memory, folder, *, limit_bytes=10**6):
    folder.mkdir(exist_ok=True)
    return memory.open(folder, limit_bytes)


def shared(run, place, shape=(10, 7), block=(4, 3), dtype="f8"):
    ref = planned_array(place, shape=shape, dtype=dtype, chunks=block)
    create_array(ref)
    return run.array(ref, block)


@pytest.fixture
def memory():
    return SharedMemory()


@pytest.fixture
def run(memory, tmp_path):
    found = opened(memory, tmp_path / "memory")
    yield found
    found.close()


def test_a_block_is_read_as_a_map_that_nobody_can_write_to(run, tmp_path):
    side = 400  # Smaller files are read.
    array = shared(run, tmp_path / "x", (side, side), (side, side))
    array.write((slice(0, side), slice(0, side)), np.ones((side, side)))
    found = array.read((slice(0, side), slice(0, side)))
    assert found.all()
    assert not found.flags.writeable
    with pytest.raises(ValueError, match="WRITEABLE"):
        found.setflags(write=True)
    array.free([array.path((0, 0))])
    assert found.all(), "what is mapped stays while it is read"


@given(regions(), st.integers(0, 600))
def test_reading_is_numpys_indexing_however_much_is_spilled(tmp_path_factory, case, limit_bytes):
    shape, block, wanted = case
    folder, memory = tmp_path_factory.mktemp("x"), SharedMemory()
    run = opened(memory, folder / "memory", limit_bytes=limit_bytes)
    array = shared(run, folder / "x", shape, block, "i8")
    data = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    fill(array, data)
    assert memory.used_bytes <= limit_bytes
    found = pickle.loads(pickle.dumps(array)).read(wanted)
    np.testing.assert_array_equal(found, taken(data, wanted))
    assert not found.flags.writeable
    run.close()
    assert memory.used_bytes == 0
    assert list((folder / "memory").iterdir()) == []


@pytest.mark.parametrize(
    "dtype", ["f8", "<M8[s]", "U5", "S3", "bool", "c8", [("a", "f4"), ("b", "i2")]]
)
def test_elements_of_one_size_are_shared_whatever_they_are(run, tmp_path, dtype):
    data = np.arange(12).astype("i8").reshape(3, 4).astype("U5" if dtype == "U5" else "i8")
    data = np.zeros((3, 4), dtype) if isinstance(dtype, list) else data.astype(dtype)
    array = shared(run, tmp_path / "x", (3, 4), (3, 4), data.dtype)
    array.write((slice(0, 3), slice(0, 4)), data)
    np.testing.assert_array_equal(array.read((slice(0, 3), slice(0, 4))), data)
    assert Path(array.path((0, 0))).exists()


@pytest.mark.parametrize("axes", list(permutations(range(3))))
@pytest.mark.parametrize("shape", [(2, 3, 4), (100, 60, 50), (1, 3, 4), (3, 1, 1)])
def test_a_block_is_read_in_the_order_in_which_it_lay_in_memory(run, memory, tmp_path, axes, shape):
    memory.limit(10**7)
    data = np.arange(np.prod(shape), dtype=float).reshape(shape).transpose(axes)
    array = shared(run, tmp_path / "x", data.shape, data.shape)
    array.write(region(array, (0, 0, 0)), data)
    found = array.read(region(array, (0, 0, 0)))
    np.testing.assert_array_equal(found, data)
    assert found.transpose(np.argsort(axes)).flags.c_contiguous
    assert not found.flags.writeable
    array.write(region(array, (0, 0, 0)), data + 1)
    np.testing.assert_array_equal(array.read(region(array, (0, 0, 0))), data + 1)
    array.free([array.path((0, 0, 0))])
    assert memory.used_bytes == 0


def test_what_lies_in_no_order_of_axes_is_written_in_c_order(run, tmp_path):
    array = shared(run, tmp_path / "x", (4, 3), (4, 3))
    for data in (DATA[::2, ::2][:4, :3], DATA.T[:4, :3], DATA[9:5:-1, :3], DATA[:4, 2:5]):
        array.write((slice(0, 4), slice(0, 3)), data)
        np.testing.assert_array_equal(array.read((slice(0, 4), slice(0, 3))), data)


def test_an_order_of_axes_that_is_none_is_damage(run, tmp_path):
    array = shared(run, tmp_path / "x", (4, 3), (4, 3))
    array.write((slice(0, 4), slice(0, 3)), np.asfortranarray(DATA[:4, :3]))
    path = Path(array.path((0, 0)))
    assert path.read_bytes()[-2:] == b"\x01\x00"
    path.write_bytes(path.read_bytes()[:-2] + b"\x01\x01")
    with pytest.raises(CorruptChunkError):
        array.read((slice(0, 4), slice(0, 3)))


def test_a_block_that_repeats_one_element_takes_the_memory_of_one(run, memory, tmp_path):
    array = shared(run, tmp_path / "x")
    array.write((slice(0, 4), slice(0, 3)), np.broadcast_to(np.float64(2.5), (4, 3)))
    assert memory.used_bytes == 8
    assert (array.read((slice(0, 4), slice(0, 3))) == np.full((4, 3), 2.5)).all()


def test_what_is_released_is_freed_and_no_longer_held(run, memory, tmp_path):
    array = shared(run, tmp_path / "x")
    fill(array, DATA)
    assert memory.used_bytes == DATA.nbytes
    array.release([(0, 0), (1, 1)])
    run.wait()
    assert memory.used_bytes == DATA.nbytes - 2 * 4 * 3 * 8
    assert not array.holds((0, 0))
    assert array.holds((0, 1))
    with pytest.raises(CorruptChunkError) as caught:
        array.read((slice(0, 1), slice(0, 1)))
    assert caught.value.chunks == ((0, 0),)


def test_a_block_that_is_written_again_counts_once(run, memory, tmp_path):
    array = shared(run, tmp_path / "x")
    for value in (1.0, 2.0):
        fill(array, np.full((10, 7), value))
    assert memory.used_bytes == DATA.nbytes
    assert (array.read(WHOLE) == 2.0).all()


def test_a_block_that_finds_no_room_when_it_is_written_again_is_the_one_that_is_read(
    run, memory, tmp_path
):
    array = shared(run, tmp_path / "x")
    array.write(region(array, (0, 0)), np.ones((4, 3)))
    memory.limit(0)
    array.write(region(array, (0, 0)), np.full((4, 3), 2.0))
    assert (array.read(region(array, (0, 0))) == 2.0).all()
    assert memory.used_bytes == 0


@pytest.mark.parametrize("written", [0, 40])
def test_a_memory_file_system_that_fills_up_sends_blocks_to_the_disk(
    run, memory, tmp_path, monkeypatch, written
):
    array = shared(run, tmp_path / "x")
    array.write(region(array, (0, 0)), DATA[:4, :3])
    monkeypatch.setattr(shared_array, "_write_file", failing_after_some(written))
    fill(array, DATA)
    assert memory.used_bytes == 0
    assert list(Path(array.folder).iterdir()) == []
    np.testing.assert_array_equal(array.read(WHOLE), DATA)


def failing_after_some(written):
    def fails(path, whole, *_):
        with Path(path).open("xb") as file:
            file.write(whole[:written])
        raise OSError(errno.ENOSPC, "No space left on device")

    return fails


def test_a_quarter_of_the_memory_file_system_is_left_to_others(run, memory, tmp_path, monkeypatch):
    array = shared(run, tmp_path / "x")
    found = list(os.statvfs(array.folder))
    full = os.statvfs_result((4096, 4096, 100, 25, 25, *found[5:]))
    monkeypatch.setattr(shared_array.os, "statvfs", lambda _: full)
    fill(array, DATA)
    assert memory.used_bytes == 0
    np.testing.assert_array_equal(array.read(WHOLE), DATA)


def test_a_small_memory_file_system_is_told_of(run, monkeypatch):
    found = list(os.statvfs(run.folder))
    assert not run.shortage(1000)
    small = os.statvfs_result((4096, 4096, 16_384, 16_384, 16_384, *found[5:]))
    monkeypatch.setattr(shared_array.os, "statvfs", lambda _: small)
    told = run.shortage(10**9)
    assert "50.3 MB" in told
    assert "memory_dir" in told
    assert not run.shortage(10**7)


def test_what_is_cut_off_is_damaged_and_named(run, tmp_path):
    array = shared(run, tmp_path / "x")
    fill(array, DATA)
    os.truncate(array.path((1, 2)), 24)
    with pytest.raises(CorruptChunkError) as caught:
        array.read(WHOLE)
    assert caught.value.chunks == ((1, 2),)
    assert caught.value.array == str(array.ref.location)


def test_an_attempt_that_comes_late_leaves_nothing_in_memory(memory, tmp_path):
    run = opened(memory, tmp_path / "memory")
    array = pickle.loads(pickle.dumps(shared(run, tmp_path / "x")))
    fill(array, DATA)
    run.close()
    fill(array, DATA)
    assert list((tmp_path / "memory").iterdir()) == []


def test_what_a_killed_writer_was_writing_is_removed_when_room_is_short(run, memory, tmp_path):
    array = shared(run, tmp_path / "x")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    account = SharedAccount(run.account)
    assert account.take(run.slot, 900_000)
    left = run.folder / "0" / f"w.{dead.pid}.0.900000"
    left.write_bytes(bytes(1000))
    mine = run.folder / "0" / f"w.{os.getpid()}.0.8"
    mine.write_bytes(bytes(8))
    memory.limit(900_000)
    fill(array, DATA)
    assert not left.exists()
    assert mine.exists()
    assert memory.used_bytes == DATA.nbytes
    account.close()


def test_runs_of_one_engine_have_one_account(memory, tmp_path):
    first, second = (opened(memory, tmp_path / "memory", limit_bytes=600) for _ in range(2))
    one, two = shared(first, tmp_path / "x"), shared(second, tmp_path / "y")
    fill(one, DATA)
    fill(two, DATA)
    assert DATA.nbytes <= memory.used_bytes <= 600
    first.close()
    assert memory.used_bytes <= 40
    np.testing.assert_array_equal(two.read(WHOLE), DATA)
    second.close()
    assert list((tmp_path / "memory").iterdir()) == []


def take_and_give_back(path, slot):
    account = SharedAccount(path)
    for size in range(1, 200):
        if account.take(slot, 2 * size):
            assert account.used_bytes <= 1000
            account.give_back(slot, 2 * size)


def test_no_process_and_no_thread_takes_what_is_not_there(tmp_path):
    account = SharedAccount.make(str(tmp_path / "account"))
    account.limit(1000)
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=take_and_give_back, args=(account.path, 1))]
    others += [threading.Thread(target=take_and_give_back, args=(account.path, n)) for n in (2, 3)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert account.used_bytes == 0
    assert [account.used_by(slot) for slot in range(4)] == [0] * 4
    account.close()


def test_accounts_of_ended_runs_are_closed_in_the_processes_that_used_them(tmp_path):
    def used(number):
        made = SharedAccount.make(str(tmp_path / f"{number}"))
        made.limit(10)
        assert shared_account(made.path).take(0, 1)
        made.close()

    def open_files():
        return len(list(Path("/proc/self/fd").iterdir()))

    for number in range(20):
        used(number)
    before = open_files()
    for number in range(20, 60):
        used(number)
    assert open_files() <= before


OWNER = """
import sys, time
from pathlib import Path
from asyncexec.storage.tiers.shared_memory import SharedMemory
memory = SharedMemory()
run = memory.open(Path(sys.argv[1]), 10**6)
(run.folder / "0").mkdir()
(run.folder / "0" / "chunk").write_bytes(bytes(1000))
print("open", flush=True)
sys.stdin.read()
"""


def test_the_next_run_removes_what_a_killed_driver_has_left_and_nothing_of_the_living(
    memory, tmp_path
):
    folder = tmp_path / "memory"
    folder.mkdir()
    killed, living = (
        subprocess.Popen(
            [sys.executable, "-c", OWNER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(2)
    )
    for owner in (killed, living):
        assert owner.stdout.readline() == b"open\n"
    assert len(list(folder.glob("asyncexec-*"))) == 2
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    others = LockedDirectory.make(folder)
    opened(memory, folder).close()
    left = list(folder.glob("asyncexec-*"))
    assert others.path in left
    assert len(left) == 2
    (chunk,) = folder.glob("asyncexec-*/run-*/0/chunk")
    assert chunk.stat().st_size == 1000
    living.communicate()
    others.remove()


@pytest.mark.parametrize("kind", ["here", "shared"])
def test_a_run_with_larger_tasks_sends_the_newest_chunks_of_others_to_the_disk(tmp_path, kind):
    memory = ChunkMemory(1000)
    first = memory.open(10, 2)
    if kind == "here":
        array = TierArray(first.here(), planned("x", tmp_path), (4, 3))
    else:
        (tmp_path / "memory").mkdir()
        array = shared(first.shared(tmp_path / "memory"), tmp_path / "x")
    fill(array, DATA)
    assert memory.used_bytes == DATA.nbytes
    second = memory.open(900, 1)
    assert memory.used_bytes <= memory.limit_bytes == 100
    np.testing.assert_array_equal(array.read(WHOLE), DATA)
    assert array.holds((0, 0))
    assert array.holds((2, 2))
    array.clear()
    first.close()
    second.close()
    assert memory.used_bytes == 0


def planned(name, tmp_path):
    return planned_array(tmp_path / name, shape=(10, 7), dtype="f8", chunks=(4, 3))


def test_a_late_attempt_does_not_meet_the_next_run(memory, tmp_path):
    first = opened(memory, tmp_path / "memory")
    others = opened(memory, tmp_path / "memory")
    late = shared(first, tmp_path / "x")
    first.close()
    second = opened(memory, tmp_path / "memory")
    array = shared(second, tmp_path / "y")
    fill(array, DATA)
    fill(late, -DATA)
    np.testing.assert_array_equal(array.read(WHOLE), DATA)
    assert memory.used_bytes == DATA.nbytes
    second.close()
    others.close()


def test_what_tasks_need_is_left_to_them():
    memory = ChunkMemory(1000)
    small = memory.open(100, 2)
    assert memory.limit_bytes == 750  # A quarter is never taken.
    large = memory.open(600, 4)
    assert memory.limit_bytes == 400  # One of the largest fits at any time.
    many = memory.open(100, 8)
    large.close()
    assert memory.limit_bytes == 500  # As many as there are slots, up to a half.
    many.close()
    small.close()
    assert memory.limit_bytes == 1000
    assert memory.used_bytes == 0
