"""A disk that is full, a quota, a file size limit: one error of ours, and nothing half-written."""

import errno
import os
import subprocess

import numpy as np
import pytest

from asyncexec.errors import OutOfSpaceError, StorageError
from asyncexec.storage import create_array, planned_array, read, write
from asyncexec.storage.chunks import chunk_files
from asyncexec.storage.chunks.chunk_files import PARTIAL
from asyncexec.storage.places.errors import storage_error
from asyncexec.storage.workspace.preparation import Preparation
from tests.fresh_interpreter import printed_by


def made(place, **options):
    ref = planned_array(
        place,
        **({"shape": (4, 1000), "dtype": "f8", "chunks": (1, 1000), "compressor": None} | options),
    )
    create_array(ref)
    return ref


def row(number):
    return (slice(number, number + 1), slice(0, 1000))


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 64 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a file system")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("shards", [None, (1, 1000)], ids=["chunk", "shard"])
def test_a_full_disk_is_an_error_that_names_chunk_and_place(small_disk, shards):
    ref = made(small_disk / "x", shape=(40, 1000), shards=shards)
    with pytest.raises(
        OutOfSpaceError, match=rf"chunk \(\d+, 0\) of {small_disk}/x .*the disk is full"
    ) as caught:
        write(ref, (slice(0, 40), slice(0, 1000)), np.arange(40.0)[:, None] + np.zeros(1000))
    written = [int(path.parent.name) for path in (small_disk / "x/c").rglob("*/0")]
    assert 0 < len(written) < 40
    assert caught.value.errno == errno.ENOSPC
    for number in written:
        assert (read(ref, row(number)) == number).all()
    leftovers = [p for p in (small_disk / "x").rglob("*") if p.is_file() and ("partial" in str(p))]
    assert leftovers == []


def test_a_full_disk_while_arrays_are_made(small_disk):
    (small_disk / "filler").write_bytes(b"0" * 60_000)
    refs = [
        planned_array(small_disk / str(number), shape=(4,), dtype="f8", chunks=(1,))
        for number in range(100)
    ]
    with pytest.raises(OutOfSpaceError):
        Preparation().make_intermediates(refs)


def test_a_limit_on_the_size_of_files_is_met_the_same_way(tmp_path):
    """RLIMIT_FSIZE, as batch systems set it."""
    ref = made(tmp_path / "x")
    script = f"""
import resource, numpy as np
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
from asyncexec.errors import OutOfSpaceError
from asyncexec.storage import open_array, write
try:
    write(open_array({str(tmp_path / "x")!r}), (slice(0, 1), slice(0, 1000)), np.ones((1, 1000)))
except OutOfSpaceError as error:
    print(error)
"""
    assert "a file would be too large" in printed_by(script)
    assert not (tmp_path / "x/c/0/0").exists()
    assert list((tmp_path / "x" / PARTIAL).iterdir()) == []
    assert ref.dense


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_write_that_stops_in_the_middle_leaves_nothing(tmp_path, monkeypatch, number):
    ref = made(tmp_path / "x")
    write(ref, row(0), np.ones((1, 1000)))
    real, calls = os.write, []

    def half(descriptor, data):
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(number, os.strerror(number))
        return real(descriptor, data[:100])

    monkeypatch.setattr(chunk_files.os, "write", half)
    with pytest.raises(OutOfSpaceError, match="Nothing of it was kept"):
        write(ref, row(0), np.full((1, 1000), 2))
    monkeypatch.undo()
    assert (read(ref, row(0)) == 1).all()
    assert list((tmp_path / "x" / PARTIAL).iterdir()) == []


def test_other_errors_of_the_system_keep_their_number(tmp_path):
    ref = made(tmp_path / "x")
    error = storage_error(
        OSError(errno.EIO, "Input/output error"), ref.location, "cannot be read", chunk=(1, 2)
    )
    assert isinstance(error, StorageError)
    assert not isinstance(error, OutOfSpaceError)
    assert error.errno == errno.EIO
    assert "chunk (1, 2)" in str(error)
    assert "Input/output error" in str(error)
