"""Kernels for tests of intermediates in shared memory, which say what is there and end in every way."""

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from asyncexec.storage.tiers import shared_array

DATA = np.arange(4000.0).reshape(40, 100)


def counting(block, folder):
    """The number of chunks in memory, in place of each element."""
    return np.full_like(block, len(list(Path(folder).glob("asyncexec-*/run-*/*/[0-9]*"))))


def failing(block, _folder):
    raise ValueError("not today")


def waiting(block, folder):
    """Say that chunks are there, and hold until the worker or the attempt is ended."""
    Path(folder, "..", "waits").touch()
    while True:
        time.sleep(0.01)


def dying_once(block, folder):
    """End the worker of the first call."""
    with suppress(FileExistsError):
        Path(folder, "..", "died").mkdir()
        os.kill(os.getpid(), signal.SIGKILL)
    return block + 1


def losing(block, folder):
    """Remove all chunks that are in memory but the one that is read, once."""
    with suppress(FileExistsError):
        Path(folder, "..", "lost").mkdir()
        for chunk in Path(folder).glob("asyncexec-*/run-*/*/[0-9]*"):
            chunk.unlink()
    return block + 1


def removing_work(block, folder):
    """Remove the run's folder in the work directory, and pass on the chunk."""
    for place in Path(folder, "..", "work").glob("asyncexec-*"):
        with suppress(FileNotFoundError):  # Another task was quicker.
            place.rename(place.with_name("removed"))
    return block


def adding(block, _folder):
    return block + 1


def fill_up():
    """Have every file in memory fail as on a file system that is full."""

    def full(path, whole, *_):
        with Path(path).open("xb") as file:
            file.write(whole[:7])
        raise OSError(28, "No space left on device")

    shared_array._write_file = full


def die_while_writing():
    """Have the first worker that writes a chunk end when half of it is written."""

    def half(path, whole, *_):
        with Path(path).open("xb") as file:
            file.write(whole[: len(whole) // 2])
            file.flush()
            folder = Path(path).parents[3]
            try:
                Path(folder, "..", "died").mkdir()
            except FileExistsError:
                file.write(whole[len(whole) // 2 :])
            else:
                os.kill(os.getpid(), signal.SIGKILL)

    shared_array._write_file = half


def stop_while_writing():
    """Have every worker stop for good when half of its first chunk is written."""

    def half(path, whole, *_):
        with Path(path).open("xb") as file:
            file.write(whole[: len(whole) // 2])
            file.flush()
            Path(path).parents[3].joinpath("..", "waits").touch()
            time.sleep(60)

    shared_array._write_file = half


def have_little_room():
    """Have the memory file system be one of three chunks, whoever has them."""

    def room(folder):
        held = [path.stat().st_size for path in Path(folder).parents[2].rglob("[0-9]*.[0-9]*")]
        return max(0, 3 * DATA.nbytes // 4 - sum(held))

    shared_array.free_bytes = room


def where(block, folder):
    """How many chunks in memory there are, 1000 to a file that is not in memory."""
    work = Path(folder, "..", "work").glob("asyncexec-*/from-memory-*/c/*/*")
    return counting(block, folder) + 1000 * len(list(work))


def removing_memory(block, folder):
    """Remove the folder for memory with all that is in it, once, and pass on the chunk."""
    with suppress(FileExistsError):
        (Path(folder).parent / "removed").mkdir()
        shutil.rmtree(folder)
    return block + 1


def waiting_for_word(block, folder):
    """Say that chunks are there, and pass the chunk on once the word is given."""
    Path(folder, "..", f"waits-{os.getppid()}").touch()
    while not Path(folder, "..", "go").exists():
        time.sleep(0.01)
    return block + 1


def has_asyncio(block, _folder):
    """Whether the worker has loaded an event loop, in place of each element."""
    return np.full_like(block, "asyncio" in sys.modules)


def counting_inputs(block, folder):
    """How many chunks of inputs are in memory, in place of each element."""
    return np.full_like(block, len(list(Path(folder).glob("asyncexec-*/run-*/in.*/[0-9]*"))))
