"""Values as files: what is put comes back equal, is nobody else's, and is gone when it is deleted."""

import errno
import operator
import threading
from pathlib import Path

import numpy as np
import pytest

from asyncexec.errors import OutOfSpaceError, SerializationError, UsageError, ValueLostError
from asyncexec.events.outcome import Encoded, Many, ValueHandle
from asyncexec.testing.kernels import Protesting
from asyncexec.worker import value_files
from asyncexec.worker.attempt import decode
from asyncexec.worker.value_files import ValueFiles
from asyncexec.worker.value_layout import ALIGNMENT, MAP_BYTES
from asyncexec.worker.values import LargeValues, PickledValue


@pytest.fixture
def files(tmp_path):
    for name in ("memory", "disk"):
        (tmp_path / name).mkdir()
    return Sized(tmp_path / "memory", tmp_path / "disk")


class Sized(ValueFiles):
    """Takes values as they are, small and large ones, as a worker does."""

    def put(self, attempt, value):
        return LargeValues(ValueFiles(*self.places), 1000).put(attempt, value)


LARGE = MAP_BYTES // 8 + 3


@pytest.mark.parametrize("count", [200, LARGE])
@pytest.mark.parametrize(
    "make",
    [
        np.arange,
        lambda n: {"a": np.arange(n), "b": [np.ones(n), "words"]},
        lambda n: np.asfortranarray(np.arange(2 * n).reshape(2, n)),
        lambda n: np.arange(2 * n)[::2],
        lambda n: b"x" * 8 * n,
        lambda n: list(range(8 * n)),
        lambda n: np.array([f"number {k}" for k in range(n)], dtype=object),
    ],
    ids=["array", "arrays", "fortran", "strided", "bytes", "list", "objects"],
)
def test_what_is_large_is_kept_and_comes_back_equal(files, make, count):
    value = make(count)
    handle = files.put(7, value)
    assert type(handle) is ValueHandle
    assert handle.key == "7"
    assert files.path(handle).stat().st_size == handle.nbytes
    # NumPy compares lists item by item, which takes long for a million.
    same = operator.eq if isinstance(value, list) else comes_back_equal
    assert same(files.get(handle), value)
    assert same(files.get(handle), value)


def comes_back_equal(found, value):
    np.testing.assert_equal(found, value)
    return True


@pytest.mark.parametrize("value", [None, True, 3, 0.5])
def test_what_is_smallest_comes_back_as_it_is(files, value):
    assert files.put(1, value) is value


@pytest.mark.parametrize("value", ["words", (1, 2), np.arange(10), b"x" * 900])
def test_what_is_small_comes_back_pickled(files, value):
    encoded = files.put(1, value)
    assert type(encoded) is Encoded
    np.testing.assert_equal(decode(encoded), value)


@pytest.mark.parametrize("count", [200, LARGE])
def test_buffers_are_aligned_and_as_writable_as_they_were(files, count):
    fixed = np.arange(count)
    fixed.flags.writeable = False
    odd, got = files.get(
        files.put(1, (np.arange(count, dtype="u1" if count > 200 else "i8"), fixed))
    )
    assert odd.flags.writeable
    assert not got.flags.writeable
    assert (got.ctypes.data - odd.ctypes.data) % ALIGNMENT == 0


@pytest.mark.parametrize("count", [200, LARGE])
def test_what_a_task_changes_in_its_input_changes_for_nobody_else(files, count):
    handle = files.put(1, np.arange(count))
    mine = files.get(handle)
    mine[:] = -1
    np.testing.assert_array_equal(files.get(handle), np.arange(count))


def test_a_value_that_is_deleted_stays_for_whoever_has_it(files):
    handle = files.put(1, np.arange(LARGE))
    mine = files.get(handle)
    files.delete([handle])
    files.delete([handle])
    np.testing.assert_array_equal(mine, np.arange(LARGE))
    with pytest.raises(ValueLostError, match=r"1,048,\d+ bytes is gone from .*memory"):
        files.get(handle)


def test_what_attempts_have_left_is_discarded_wherever_it_is(files):
    handle = files.put(1, np.arange(1000))
    (files.places[1] / "2").write_bytes(b"half of a val")
    files.discard([1, 2, 3])
    assert not files.path(handle).exists()
    assert not list(files.places[1].iterdir())


@pytest.mark.parametrize("handle", [("/etc", "1", 5), ("{disk}", "../x", 5), ("{disk}", "", 5)])
def test_a_handle_of_something_else_opens_nothing(files, handle):
    place, key, size = handle
    with pytest.raises(ValueLostError, match="no value of this store"):
        files.get(ValueHandle(place.format(disk=files.places[1]), key, size))


def test_a_memory_file_system_with_little_room_is_left_to_others(files, monkeypatch):
    monkeypatch.setattr(value_files, "_has_room", lambda *_: False)
    handle = files.put(1, np.arange(1000))
    assert Path(handle.place).name == "disk"
    np.testing.assert_array_equal(files.get(handle), np.arange(1000))


def test_a_memory_file_system_that_fills_up_is_done_without(files, monkeypatch):
    write, full = value_files.write_value, []

    def fails_once(file, *args):
        if not full:
            full.append(file.name)
            file.write(b"a part")
            raise OSError(errno.ENOSPC, "No space left on device")
        write(file, *args)

    monkeypatch.setattr(value_files, "write_value", fails_once)
    handle = files.put(1, np.arange(1000))
    assert Path(handle.place).name == "disk"
    assert not list(files.places[0].iterdir())


def test_no_room_anywhere_says_how_much_was_needed_and_where(files, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(value_files, "write_value", full)
    with pytest.raises(OutOfSpaceError, match=r"8,\d+ bytes in .*memory or .*disk: free some"):
        files.put(1, np.arange(1000))
    assert [list(place.iterdir()) for place in files.places] == [[], []]


def test_what_cannot_be_pickled_is_no_value(files):
    with pytest.raises(SerializationError, match=r"returned \(a lock\) cannot be pickled.*Return"):
        files.put(1, threading.Lock())
    with pytest.raises(SerializationError, match=r"a Protesting\) cannot be pickled: SystemExit"):
        files.put(1, Protesting(SystemExit(4)))


def test_a_class_of_a_script_is_kept_by_value(files):
    class Local:
        def __init__(self, data):
            self.data = data

    handle = files.put(1, Local(np.arange(1000)))
    np.testing.assert_array_equal(files.get(handle).data, np.arange(1000))


def test_an_input_may_be_kept_or_be_many_of_which_some_are(files):
    handle = files.put(1, np.arange(1000))
    assert decode(handle, files)[999] == 999
    kept, small = decode(Many((handle, 3)), files)
    assert (kept[999], small) == (999, 3)


def test_without_a_store_a_handle_is_refused():
    with pytest.raises(UsageError, match="in a store of its backend"):
        decode(ValueHandle("/dev/shm/x", "1", 5))


def test_what_is_kept_goes_to_disk_while_the_budget_is_used_up(files):
    (files.places[1] / value_files.FULL).touch()
    handle = files.put(1, np.arange(1000))
    assert (Path(handle.place).name, handle.on_disk) == ("disk", True)
    (files.places[1] / value_files.FULL).unlink()
    handle = files.put(2, np.arange(1000))
    assert (Path(handle.place).name, handle.on_disk) == ("memory", False)


def test_a_value_that_a_store_cannot_keep_travels():
    class Nowhere:
        def put(self, attempt, value):
            assert type(value) is PickledValue

        def get(self, handle):
            raise AssertionError

    encoded = LargeValues(Nowhere(), 10).put(1, np.arange(1000))
    assert decode(encoded)[999] == 999
