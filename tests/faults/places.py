"""The folder of a round: its input, what must be in it at the end, and what may not be left anywhere."""

import pathlib
import signal
import time

import numpy as np
import psutil
import zarr

from asyncexec.testing.patience import scaled
from tests.faults.programs import CHUNKS, DATA, FUNCTIONS, expected, total

MARK = "ASYNCEXEC_FAULT_ROUND"
OTHERS = DATA[:5] + 0.5


def begin_in(folder, *, existing=0):
    """Make the input, an array and a file of others, and arrays where the first targets will be."""
    zarr.create_array(folder / "x.zarr", data=DATA, chunks=CHUNKS)
    zarr.create_array(folder / "others.zarr", data=OTHERS, chunks=(2, 3))
    (folder / "work").mkdir()
    (folder / "work" / "notes.txt").write_text("of others")
    (folder / "calls").mkdir()
    (folder / "tmp").mkdir()
    for number in range(existing):
        zarr.create_array(folder / f"y{number}.zarr", data=DATA - 1, chunks=(9, 9))


def check_targets(folder, program, amount=1.0):
    """Assert that each target has the bits that NumPy makes."""
    folder = pathlib.Path(folder)
    for number, value in enumerate(expected(program, amount)):
        found = zarr.open_array(folder / f"y{number}.zarr", mode="r")[...]
        np.testing.assert_array_equal(found, value)
        assert found.dtype == value.dtype


def check_result(told, said, amount=1.0):
    """Assert that the targets of a driver, or the value that it says, are right."""
    assert "ran" in said, said
    if told["program"] == FUNCTIONS:
        assert said["value"] == total(amount)
    else:
        check_targets(told["folder"], told["program"], amount)


def check_untouched(folder, targets):
    """Assert that at the places of targets is what was there at the beginning."""
    for name in targets:
        np.testing.assert_array_equal(zarr.open_array(folder / name, mode="r")[...], DATA - 1)


def check_nothing_else(folder, targets=()):
    """Assert that there is what was there, and the targets, and nothing more."""
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["calls", "others.zarr", "tmp", "work", "x.zarr", *targets]
    )
    assert [path.name for path in (folder / "work").iterdir()] == ["notes.txt"]
    assert not list(folder.glob("*/.asyncexec*"))
    np.testing.assert_array_equal(zarr.open_array(folder / "x.zarr", mode="r")[...], DATA)
    np.testing.assert_array_equal(zarr.open_array(folder / "others.zarr", mode="r")[...], OTHERS)


def names(program):
    if program == FUNCTIONS:
        return []
    return [f"y{number}.zarr" for number in range(len(expected(program)))]


def alive(folder):
    """Return the processes of a round that still run, by the environment that they inherited."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(folder) and process.status() != "zombie":
                found.append(process)
        except psutil.Error:
            continue
    return found


def check_no_process(folder):
    """Assert that the processes of a round have ended, or do within some seconds."""
    deadline = time.monotonic() + scaled(5.0)
    while left := alive(folder):
        if time.monotonic() > deadline:
            shown = [(process.pid, process.cmdline()) for process in left]
            for process in left:
                process.send_signal(signal.SIGKILL)
            raise AssertionError(f"still running: {shown}")
        time.sleep(0.05)
