"""A writer that is killed at any moment leaves a chunk as it was, or as it shall be."""

import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import zarr

from asyncexec.storage import TaskOutput, create_array, planned_array, read, write
from asyncexec.storage.chunks.chunk_files import PARTIAL
from asyncexec.storage.workspace.presence import blocks_present, partial_files
from asyncexec.storage.workspace.target import sweep_partial

WRITER = """
import pickle, sys
import numpy as np
from asyncexec.storage import write
ref = pickle.loads(sys.stdin.buffer.read())
print("ready", flush=True)
number = 1
while True:
    write(ref, (slice(0, 600), slice(0, 500)), np.full((600, 500), number, "f8"))
    number += 1
"""
KILLS = 6


@pytest.mark.parametrize(
    "options",
    [{"compressor": None}, {"chunks": (300, 250), "shards": (600, 500)}],
    ids=["chunk", "shard"],
)
def test_a_killed_writer_leaves_whole_chunks(tmp_path, rng, options):
    ref = planned_array(
        tmp_path / "x",
        **({"shape": (600, 500), "dtype": "f8", "chunks": (600, 500), "fill_value": 0} | options),
    )
    create_array(ref)
    write(ref, (slice(0, 600), slice(0, 500)), np.zeros((600, 500)))
    for _ in range(KILLS):
        kill_while_writing(ref, rng.uniform(0.0, 0.03))
        block = read(ref, (slice(0, 600), slice(0, 500)))
        assert (block == block[0, 0]).all()
    # What the killed ones had begun is not taken for chunks, and goes when the run ends.
    target = TaskOutput(array=ref, block=(600, 500))
    assert blocks_present(target).tolist() == [[True]]
    sweep_partial(ref)
    assert left_over(tmp_path / "x") == []
    assert zarr.open_array(tmp_path / "x")[0, 0] == read(ref, (slice(0, 1), slice(0, 1)))[0, 0]


def kill_while_writing(ref, seconds):
    with subprocess.Popen(
        [sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        writer.stdin.write(pickle.dumps(ref))
        writer.stdin.close()
        writer.stdin = None
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(seconds)
        os.kill(writer.pid, signal.SIGKILL)


def left_over(root):
    return [*partial_files(str(root)), *([root / PARTIAL] if (root / PARTIAL).exists() else [])]


def test_what_is_left_of_unfinished_chunks_is_found_and_removed(tmp_path):
    ref = planned_array(tmp_path / "x", shape=(4,), dtype="f8", chunks=(1,), shards=(2,))
    create_array(ref)
    write(ref, (slice(0, 4),), np.ones(4))
    # As zarr's own store leaves them.
    (tmp_path / "x/c/0.0123456789abcdef.partial").write_bytes(b"half")
    (tmp_path / "x" / PARTIAL).mkdir(exist_ok=True)
    (tmp_path / "x" / PARTIAL / "half").write_bytes(b"half")
    assert blocks_present(TaskOutput(array=ref, block=(2,))).tolist() == [True, True]
    sweep_partial(ref)
    assert left_over(tmp_path / "x") == []
    assert sorted(p.name for p in (tmp_path / "x/c").iterdir()) == ["0", "1"]
