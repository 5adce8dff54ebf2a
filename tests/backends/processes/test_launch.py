"""Starting worker processes, and how their end is seen and told."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from asyncexec.backends.processes import launch as process_launch
from asyncexec.backends.processes.launch import Exit, Launcher, describe_exit
from asyncexec.backends.processes.page import MOST_JOBS, Page
from asyncexec.errors import BackendError
from asyncexec.testing.patience import scaled


@pytest.mark.parametrize("descriptors", [True, False], ids=["pidfd", "polling"])
async def test_an_end_is_seen_and_the_process_reaped(descriptors, monkeypatch):
    if not descriptors:
        monkeypatch.setattr(process_launch, "_process_descriptor", lambda pid: None)
    command = [sys.executable, "-c", "exit(7)"]
    process = subprocess.Popen(command, start_new_session=True)  # noqa: ASYNC220 - as workers are
    code = asyncio.get_running_loop().create_future()
    end = Exit(asyncio.get_running_loop(), process, code.set_result)
    async with asyncio.timeout(scaled(60)):
        assert await code == 7
    end.kill()  # Too late, and nobody else is hit.
    assert process.returncode == 7


@pytest.mark.parametrize(
    "code, said",
    [
        (0, "exited with code 0"),
        (-11, "was killed by SIGSEGV"),
        (-9, "was killed by SIGKILL (nobody here did that"),
        (-99, "was killed by signal 99"),
    ],
)
def test_ends_are_described(code, said):
    assert describe_exit(code).startswith(said)


def test_a_working_directory_that_is_gone_is_an_error(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(BackendError, match="working directory does not exist"):
        Launcher.here({})
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_what_cannot_be_started_is_an_error_and_leaves_nothing_open():
    launcher = Launcher(
        command=("/no/such/python",), paths=(), directory="/", environment={}, stderr=2
    )
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(BackendError, match="cannot be started"):
        launcher.launch()
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_warnings_and_options_are_handed_on(monkeypatch):
    monkeypatch.setattr(sys, "warnoptions", ["error::DeprecationWarning"])
    monkeypatch.setattr(sys, "_xoptions", {"utf8": True, "importtime": "2"})
    assert process_launch._interpreter_options()[-3:] == [
        "-Werror::DeprecationWarning",
        "-Xutf8",
        "-Ximporttime=2",
    ]


@pytest.mark.parametrize("nameless", [True, False], ids=["memfd", "temporary file"])
def test_both_sides_see_one_page(nameless, monkeypatch):
    if not nameless:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    descriptor = Page.create()
    driver, worker = Page(descriptor), Page(descriptor)
    os.close(descriptor)
    assert driver.snapshot().number == 0
    assert not driver.snapshot().running

    worker.begin(1)
    worker.start(1, 0)
    assert driver.snapshot()[:3] == (1, 0, True)
    worker.left(1, 0, 1)
    assert not driver.snapshot().running
    worker.start(1, 1)
    assert driver.snapshot()[:3] == (1, 1, True)
    assert driver.snapshot()[5:] == (0, 1)

    driver.forbidden(2)[5] = 1
    assert [n for n in range(MOST_JOBS) if worker.forbidden(2)[n]] == [5]
    driver.forbid(3)
    assert all(worker.forbidden(3))
    driver.allow(3)
    assert not any(worker.forbidden(3))
    assert worker.forbidden(2)[5]
    driver.close()
    worker.close()
