"""The directories of an engine's values: nobody else's, gone with the engine, and removed after one that was killed."""

import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from asyncexec.backends import value_folder
from asyncexec.backends.value_folder import ValueFolder
from asyncexec.errors import BackendError
from asyncexec.storage.places import locked_directory
from asyncexec.storage.places.locked_directory import LockedDirectory, remove_abandoned
from asyncexec.worker.values import PickledValue


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A stand-in for the memory file system and the directory of temporary files."""
    found = [tmp_path / "memory", tmp_path / "disk"]
    for place in found:
        place.mkdir()
    monkeypatch.setattr(value_folder, "_MEMORY", found[0])
    monkeypatch.setattr("tempfile.tempdir", str(found[1]))
    return found


def pickled(value):
    return PickledValue(pickle.dumps(value), [])


@pytest.mark.asyncio
async def test_nothing_is_left_of_what_was_kept(places):
    folder = ValueFolder.make()
    handles = [folder.put(n, pickled(np.arange(100))) for n in range(3)]
    folder.delete(handles[:1])
    await folder.close()
    assert [list(place.iterdir()) for place in places] == [[], []]
    folder.delete(handles[1:])
    folder.discard([2])


@pytest.mark.asyncio
async def test_nobody_else_can_look_into_them(places):
    folder = ValueFolder.make()
    modes = [path.stat().st_mode & 0o777 for place in places for path in place.iterdir()]
    await folder.close()
    assert modes == [0o700, 0o700]


@pytest.mark.asyncio
async def test_without_a_memory_file_system_values_are_on_disk(places, monkeypatch):
    monkeypatch.setattr(value_folder, "_MEMORY", places[0] / "none")
    folder = ValueFolder.make()
    handle = folder.put(1, pickled(np.arange(100)))
    assert handle.place.startswith(str(places[1]))
    np.testing.assert_array_equal(folder.get(handle), np.arange(100))
    await folder.close()


def test_without_a_place_for_them_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with pytest.raises(BackendError, match=r"cannot be made: .*none.*Set TMPDIR"):
        ValueFolder.make()


def test_what_a_killed_engine_left_is_removed_and_what_a_living_one_has_is_not(places):
    program = (
        "import sys, time, tempfile; from pathlib import Path\n"
        "from asyncexec.storage.places.locked_directory import LockedDirectory\n"
        "made = LockedDirectory.make(Path(sys.argv[1]))\n"
        "(made.path / '1').write_bytes(b'x' * 100)\n"
        "print(made.path, flush=True); time.sleep(1000)\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(places[0])], stdout=subprocess.PIPE, text=True
    )
    with other:
        left = other.stdout.readline().strip()
        mine = LockedDirectory.make(places[0])
        remove_abandoned(places[0])
        assert Path(left, "1").exists()
        other.send_signal(signal.SIGKILL)
        other.wait()
    remove_abandoned(places[0])
    assert list(places[0].iterdir()) == [mine.path]
    mine.remove()


def test_a_copy_of_a_process_that_was_killed_does_not_keep_its_directory(places):
    program = (
        "import os, sys; from pathlib import Path\n"
        "from asyncexec.storage.places.locked_directory import LockedDirectory\n"
        "made = LockedDirectory.make(Path(sys.argv[1]))\n"
        "if not os.fork():\n"
        "    print('made', flush=True); sys.stdin.read(); os._exit(0)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(places[0])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout.readline() == "made\n"
        owner.wait()
        remove_abandoned(places[0])
        assert not list(places[0].iterdir())


def test_other_files_and_links_of_that_name_are_left_alone(places):
    target = places[1] / "precious"
    target.mkdir()
    (target / "data").touch()
    name = locked_directory._prefix()
    (places[0] / f"{name}link").symlink_to(target)
    (places[0] / f"{name}file").touch()
    remove_abandoned(places[0])
    assert (target / "data").exists()
    assert len(list(places[0].iterdir())) == 2


def test_one_that_is_taken_for_abandoned_while_it_is_made_is_made_again(places, monkeypatch):
    lock, calls = locked_directory._lock, []

    def somebody_is_faster(descriptor):
        calls.append(descriptor)
        if len(calls) == 1:
            (made,) = places[0].iterdir()
            made.rmdir()
        return lock(descriptor)

    monkeypatch.setattr(locked_directory, "_lock", somebody_is_faster)
    directory = LockedDirectory.make(places[0])
    assert list(places[0].iterdir()) == [directory.path]
    directory.remove()
