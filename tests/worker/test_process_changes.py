"""What a task changes of its worker process is put back after it."""

import faulthandler
import gc
import multiprocessing
import os
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import pytest

import asyncexec as ax
from asyncexec.worker.process_changes import CHANGES, ProcessChanges
from asyncexec.worker.records import AttemptSpec
from asyncexec.worker.task_context import CURRENT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no worker processes there")


def state(_: object = None) -> tuple[object, ...]:
    before = os.umask(0)
    os.umask(before)
    return (
        Path.cwd().name,
        {k: v for k, v in os.environ.items() if k.startswith("TEST_LEFT")},
        os.environ.get("HOME"),
        [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGUSR1, signal.SIGALRM)],
        before,
        signal.getitimer(signal.ITIMER_REAL)[0] > 0,
    )


def change(item: int) -> tuple[object, ...]:
    """Return the state before, and change all of it; short enough for many in a batch."""
    found = state()
    os.chdir("/")
    os.environ["TEST_LEFT"] = "a"
    os.environ.update(TEST_LEFT_TWICE="b")
    os.environ["TEST_LEFT_TWICE"] = "c"
    os.environ.pop("HOME", None)
    os.putenv("TEST_LEFT_RAW", "d")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, lambda *_: None)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.alarm(100)
    os.umask(0o77)
    if item % 3 == 0:
        raise ValueError(item)
    return found


async def test_a_task_finds_the_process_as_it_was_before_the_others() -> None:
    async with ax.Engine("processes", executor_options={"max_workers": 1}) as engine:
        (first,) = (await engine.execute(ax.Plan.map(state, [0]))).value
        plan = ax.Plan.map(change, range(200), on_failure="keep", retry=False)
        found = (await engine.execute(plan)).value
        (last,) = (await engine.execute(ax.Plan.map(state, [0]))).value
    assert {str(each) for each in found if not isinstance(each, ax.Failed)} == {str(first)}
    assert last == first


def close_standard(item: int) -> None:
    if item % 2:
        os.dup2(os.open(os.devnull, os.O_RDWR), item % 3)
    else:
        os.close(item % 3)


def standard(_: object) -> list[tuple[int, int]]:
    return [(found.st_dev, found.st_ino) for found in map(os.fstat, range(3))]


async def test_a_task_finds_standard_input_and_outputs_as_they_were_before_the_others() -> None:
    async with ax.Engine("processes", executor_options={"max_workers": 1}) as engine:
        (first,) = (await engine.execute(ax.Plan.map(standard, [0]))).value
        await engine.execute(ax.Plan.map(close_standard, range(6)))
        (last,) = (await engine.execute(ax.Plan.map(standard, [0]))).value
    assert last == first


async def test_what_an_initializer_and_an_import_set_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sets_on_import.py").write_text("import os\nos.environ['TEST_LEFT_IMPORT'] = '1'\n")
    monkeypatch.syspath_prepend(tmp_path)

    def initialize() -> None:
        os.chdir(tmp_path)
        os.environ["TEST_LEFT_INIT"] = "1"

    def imports(item: int) -> tuple[str, list[str]]:
        import sets_on_import  # type: ignore[import-not-found] # noqa: F401 - it is the test's own

        os.chdir("/")
        os.environ["TEST_LEFT_TASK"] = "1"
        return "", []

    async with ax.Engine(
        "processes", executor_options={"max_workers": 1}, initializer=initialize
    ) as engine:
        await engine.execute(ax.Plan.map(imports, range(3)))
        (found,) = (await engine.execute(ax.Plan.map(state, [0]))).value
    assert found[0] == tmp_path.name
    assert found[1] == {"TEST_LEFT_INIT": "1", "TEST_LEFT_IMPORT": "1"}


async def test_coroutines_leave_nothing_either_once_all_have_ended() -> None:
    async def changes(item: int) -> None:
        os.chdir("/")
        os.environ["TEST_LEFT"] = str(item)

    async with ax.Engine("processes", executor_options={"max_workers": 1}) as engine:
        (first,) = (await engine.execute(ax.Plan.map(state, [0]))).value
        await engine.execute(ax.Plan.map(changes, range(20), concurrency=5))
        (last,) = (await engine.execute(ax.Plan.map(state, [0]))).value
    assert last == first


@pytest.mark.parametrize("executor", ["serial", "threads", "asyncio"])
async def test_the_process_of_the_driver_is_its_own(executor: str) -> None:
    change_directory = os.chdir

    def sets(item: int) -> None:
        os.environ["TEST_LEFT_HERE"] = "1"

    try:
        async with ax.Engine(executor) as engine:
            await engine.execute(ax.Plan.map(sets, range(3)))
        assert os.environ["TEST_LEFT_HERE"] == "1"
        assert os.chdir is change_directory
        assert not CHANGES.made
    finally:
        os.environ.pop("TEST_LEFT_HERE", None)


def pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("forkserver"))


@pytest.mark.parametrize("system", ["futures", "loky", "dask"])
async def test_workers_of_other_systems_are_as_they_were_after_each_batch(system: str) -> None:
    executor, options = await started(system)

    async def changes(item: int) -> None:
        os.chdir("/")
        os.environ["TEST_LEFT"] = str(item)

    async with ax.Engine(executor, executor_options=options) as engine:
        (first,) = (await engine.execute(ax.Plan.map(state, [0]))).value
        plan = ax.Plan.map(change_without_signals, range(20), on_failure="keep", retry=False)
        found = (await engine.execute(plan)).value
        await engine.execute(ax.Plan.map(changes, range(20), concurrency=5))
        (last,) = (await engine.execute(ax.Plan.map(state, [0]))).value
    assert {str(each) for each in found if not isinstance(each, ax.Failed)} == {str(first)}
    assert last == first


async def started(system: str) -> tuple[str, dict[str, object]]:
    if system == "futures":
        return "futures", {"executor": pool}
    if system == "loky":
        loky = pytest.importorskip("loky")
        return "futures", {"executor": partial(loky.ProcessPoolExecutor, 1)}
    pytest.importorskip("distributed")
    return "dask", {"max_workers": 1, "encrypted": False}


def change_without_signals(item: int) -> tuple[object, ...]:
    """As ``change``, also in a thread other than the main one."""
    found = state()
    os.chdir("/")
    os.environ["TEST_LEFT"] = "a"
    os.environ.pop("HOME", None)
    os.umask(0o77)
    if item % 3 == 0:
        raise ValueError(item)
    return found


@pytest.fixture
def restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is replaced in this process is as before after the test."""
    monkeypatch.chdir(tmp_path)
    for name in ("chdir", "fchdir", "putenv", "unsetenv", "umask"):
        monkeypatch.setattr(os, name, getattr(os, name))
    for name in ("signal", "alarm", "setitimer"):
        monkeypatch.setattr(signal, name, getattr(signal, name))
    for name in ("settrace", "setprofile", "setrecursionlimit"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    for name in ("enable", "disable"):
        monkeypatch.setattr(gc, name, getattr(gc, name))
        monkeypatch.setattr(faulthandler, name, getattr(faulthandler, name))
    name = "dump_traceback_later"
    monkeypatch.setattr(faulthandler, name, getattr(faulthandler, name))


@pytest.mark.usefixtures("restored")
def test_of_a_process_that_others_use_only_what_attempts_change_is_put_back(tmp_path: Path) -> None:
    changes = ProcessChanges()
    os.environ.pop("TEST_LEFT", None)
    token = CURRENT.set(AttemptSpec(1, 0, ()))
    try:
        with changes.among_others():
            other = threading.Thread(target=os.environ.__setitem__, args=("TEST_OTHER", "1"))
            other.start()
            other.join()
            os.environ["TEST_LEFT"] = "1"
            os.chdir("/")
        assert Path.cwd() == tmp_path
        assert "TEST_LEFT" not in os.environ
        assert os.environ["TEST_OTHER"] == "1"
    finally:
        CURRENT.reset(token)
        os.environ.pop("TEST_OTHER", None)


@pytest.mark.usefixtures("restored")
def test_nothing_is_put_back_while_another_batch_runs_in_the_process(tmp_path: Path) -> None:
    changes = ProcessChanges()
    token = CURRENT.set(AttemptSpec(1, 0, ()))
    try:
        with changes.among_others():
            with changes.among_others():
                os.chdir("/")
                changes.undo()
            assert Path.cwd() == Path("/")
        assert Path.cwd() == tmp_path
    finally:
        CURRENT.reset(token)


def interpreter(_: object = None) -> tuple[object, ...]:
    return (
        sys.gettrace(),
        sys.getprofile(),
        sys.getrecursionlimit(),
        gc.isenabled(),
        faulthandler.is_enabled(),
    )


def change_interpreter(item: int) -> tuple[object, ...]:
    found = interpreter()
    faulthandler.disable()
    faulthandler.dump_traceback_later(3600, exit=True)
    gc.disable()
    sys.setrecursionlimit(500)
    sys.setprofile(lambda *_: None)
    sys.settrace(lambda *_: None)
    return found


async def test_a_task_finds_the_interpreter_as_it_was_before_the_others() -> None:
    async with ax.Engine("processes", executor_options={"max_workers": 1}) as engine:
        (first,) = (await engine.execute(ax.Plan.map(interpreter, [0]))).value
        found = (await engine.execute(ax.Plan.map(change_interpreter, range(20)))).value
        (last,) = (await engine.execute(ax.Plan.map(interpreter, [0]))).value
    assert {*found, last} == {first}
