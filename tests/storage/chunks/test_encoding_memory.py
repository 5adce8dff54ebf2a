"""Chunks are encoded into memory that the process has already, as page faults show."""

import platform
import subprocess
import sys

import pytest

MEGABYTES = 8

PROGRAM = """
import resource, sys
import numpy as np
from asyncexec.storage.chunks.access import opened
from asyncexec.storage.chunks.arrays import planned_array
from asyncexec.storage import create_array

rows = int(sys.argv[2]) * 2**18
ref = planned_array(sys.argv[1], shape=(10 * rows,), dtype="f4", chunks=(rows,))
create_array(ref)
noise = np.random.default_rng(0).random(rows, dtype=np.float32)
counts = []
for i in range(10):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    opened(ref).write((slice(i * rows, (i + 1) * rows),), noise + i)
    counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(max(counts[3:]))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators have other ways")
def test_a_chunk_is_encoded_into_the_memory_of_the_one_before(tmp_path):
    """A chunk has 2,048 pages, and nearly as many once it is encoded, as noise cannot be compressed."""
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "x"), str(MEGABYTES)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(ran.stdout) < MEGABYTES * 256 // 4
