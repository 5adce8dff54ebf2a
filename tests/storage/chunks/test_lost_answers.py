"""File systems on a network that lose an answer: what they did counts."""

import errno
import os

import numpy as np
import pytest

from asyncexec.errors import TargetReplacedError
from asyncexec.storage import planned_array
from asyncexec.storage.chunks.chunk_files import WholeFiles, partial_folder


@pytest.fixture
def files(tmp_path):
    """What writes the files of a run's target."""
    from dataclasses import replace

    ref = planned_array(tmp_path / "y", shape=(4,), dtype="f8", chunks=(4,))
    ref = replace(ref, generation="run")
    (tmp_path / "y" / partial_folder(ref)).mkdir(parents=True)
    return WholeFiles(ref)


def losing(replaced):
    def replace(source, target):
        replaced(source, target)
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", source)

    return replace


def test_a_rename_whose_answer_was_lost_is_done(files, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", losing(os.replace))
    files.write(str(tmp_path / "y" / "0"), np.ones(4).tobytes())
    assert (tmp_path / "y" / "0").read_bytes() == np.ones(4).tobytes()


def test_without_its_folder_a_run_has_been_replaced(files, tmp_path):
    (tmp_path / "y" / "0").write_bytes(b"of another run")
    for folder in (tmp_path / "y").glob(".*"):
        folder.rmdir()
    with pytest.raises(TargetReplacedError):
        files.write(str(tmp_path / "y" / "0"), b"late")
    assert (tmp_path / "y" / "0").read_bytes() == b"of another run"
