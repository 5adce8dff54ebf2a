"""What is at a place has another hash once it was written to, however it is made to look as before."""

import os
import shutil
import time

import numpy as np
import pytest
import zarr

from asyncexec.storage import locate
from asyncexec.storage.places.contents import contents


@pytest.fixture
def place(tmp_path):
    zarr.create_array(tmp_path / "x", data=np.arange(8.0), chunks=(4,), compressors=None)
    return locate(tmp_path / "x")


def test_what_nobody_has_touched_has_the_same_hash(place):
    assert contents(place) == contents(place) != ""


def test_a_chunk_of_the_same_size_and_time_is_another(place, tmp_path):
    before = contents(place)
    chunk = tmp_path / "x" / "c" / "1"
    times = chunk.stat()
    tick(tmp_path, times.st_ctime_ns)
    chunk.write_bytes(np.ones(4).tobytes())
    os.utime(chunk, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert contents(place) != before


def test_an_array_that_was_restored_with_its_times_is_another(place, tmp_path):
    before = contents(place)
    tick(tmp_path, (tmp_path / "x" / "c" / "1").stat().st_ctime_ns)
    shutil.copytree(tmp_path / "x", tmp_path / "copy")  # with times, as rsync -a
    shutil.rmtree(tmp_path / "x")
    (tmp_path / "copy").rename(tmp_path / "x")
    assert contents(place) != before


def tick(folder, since):
    """Return once the file system's clock is past a time: it goes on by some milliseconds at once."""
    deadline = time.monotonic() + 60
    while True:
        (folder / "clock").write_bytes(b"")
        if (folder / "clock").stat().st_ctime_ns > since or time.monotonic() > deadline:
            return
