"""A run works out no more than it needs, in few goes, and leaves nothing open."""

import asyncio
import threading

import numpy as np
import pytest
import zarr

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.engine.call_threads import Lane
from asyncexec.errors import SerializationError, StorageError, TargetExistsError
from asyncexec.events.records import PlanStarted
from asyncexec.observers import History, Logs, Progress
from asyncexec.plan.fingerprint import plan_fingerprint as fingerprint_module
from asyncexec.scheduler import late_stages
from asyncexec.storage.workspace.open_workspace import OpenArrayWorkspace
from asyncexec.storage.workspace.targets import RunTargets
from asyncexec.storage.workspace.work_dir import WorkPlace


def array():
    return xp.asarray(np.arange(6.0), chunks=2) + 1


def stages():
    """Two stages, of which one reads the other."""
    return xp.mean(xp.asarray(np.arange(6.0), chunks=2), axis=0)


@pytest.fixture
def hashed(monkeypatch):
    """The thread of each time that a plan's fingerprint is computed."""
    return called_in(monkeypatch, fingerprint_module, "fingerprint")


@pytest.fixture
def outlined(monkeypatch):
    """The thread of each time that a relation is outlined."""
    return called_in(monkeypatch, late_stages, "outline")


def called_in(monkeypatch, module, name):
    threads, function = [], getattr(module, name)

    def noting(*arguments):
        threads.append(threading.current_thread())
        return function(*arguments)

    monkeypatch.setattr(module, name, noting)
    return threads


@pytest.mark.parametrize(
    "observers", [[], [Logs()], [Progress()]], ids=["none", "logs", "progress"]
)
async def test_a_run_that_keeps_nothing_computes_no_fingerprint_and_outlines_nothing(
    hashed, outlined, observers
):
    async with ax.Engine("threads", observers=observers) as engine:
        result = await engine.execute(array())
    np.testing.assert_array_equal(result.value, np.arange(6.0) + 1)
    assert hashed == outlined == []


async def test_an_observer_of_ones_own_gets_fingerprint_and_relations(hashed, outlined):
    heard = []
    plan = stages().to_plan()
    async with ax.Engine("threads") as engine:
        await engine.execute(plan, observers=[heard.append])
    assert isinstance(heard[0], PlanStarted)
    assert heard[0].fingerprint == plan.fingerprint
    assert [len(stage.reads) for stage in heard[0].stages] == [len(s.reads) for s in plan.stages]
    assert outlined
    assert threading.current_thread() not in {*hashed, *outlined}


async def test_a_history_has_the_fingerprint(tmp_path, hashed):
    plan = array().to_plan()
    async with ax.Engine("threads", observers=[Progress(), History(tmp_path)]) as engine:
        await engine.execute(plan)
    (kept,) = tmp_path.rglob("plan.json")
    assert plan.fingerprint in kept.read_text()
    assert len(hashed) == 1


async def test_a_run_that_is_resumed_computes_the_fingerprint_once_and_not_on_the_loop(
    tmp_path, hashed
):
    spec = ax.Spec(work_dir=str(tmp_path))
    async with ax.Engine("threads") as engine:
        await engine.execute(xp.asarray(np.arange(6.0), chunks=2, spec=spec) + 1, resume=True)
    assert len(hashed) == 1
    assert hashed[0] is not threading.current_thread()


@pytest.mark.parametrize("plan", [array, lambda: ax.Plan.map(abs, [-1])], ids=["array", "function"])
async def test_a_run_goes_to_other_threads_twice(monkeypatch, plan):
    calls, call = [], Lane.call

    def counting(self, function):
        calls.append(function)
        return call(self, function)

    async with ax.Engine("serial") as engine:
        monkeypatch.setattr(Lane, "call", counting)
        await engine.execute(plan())
    assert len(calls) == 2


class Counted:
    """A function that counts how often it is pickled here."""

    pickled = 0

    def __call__(self, block):
        return block + 1

    def __reduce__(self):
        Counted.pickled += 1
        return Counted, ()


class Unpicklable:
    def __call__(self, block):
        return block

    def __reduce__(self):
        raise TypeError("it holds a lock")


async def test_a_kernel_is_pickled_once():
    Counted.pickled = 0
    source = xp.asarray(np.arange(6.0), chunks=2)
    async with ax.Engine("processes", executor_options={"max_workers": 1}) as engine:
        result = await engine.execute(xp.map_blocks(Counted(), source, dtype=source.dtype))
        np.testing.assert_array_equal(result.value, np.arange(6.0) + 1)
        assert Counted.pickled == 1
        result = await engine.execute(ax.Plan.map(Counted(), [1, 2]))
    assert result.value == [2, 3]
    assert Counted.pickled == 2


async def test_a_kernel_that_cannot_be_pickled_is_refused_before_storage_is_touched(tmp_path):
    source = xp.asarray(np.arange(6.0), chunks=2, spec=ax.Spec(work_dir=str(tmp_path / "work")))
    array = xp.map_blocks(Unpicklable(), source, dtype=source.dtype)
    async with ax.Engine("processes", executor_options={"max_workers": 1}) as engine:
        with pytest.raises(SerializationError, match=r"cannot be pickled.*it holds a lock"):
            await engine.execute(xp.store([array], [str(tmp_path / "out.zarr")]))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def closings(monkeypatch):
    """What each closing of a workspace was told of the run's success."""
    told, close = [], OpenArrayWorkspace.close

    def noting(self, *, succeeded):
        told.append(succeeded)
        close(self, succeeded=succeeded)

    monkeypatch.setattr(OpenArrayWorkspace, "close", noting)
    return told


async def test_a_workspace_is_closed_once_after_success(closings):
    async with ax.Engine("threads") as engine:
        await engine.execute(array())
    assert closings == [True]


@pytest.mark.parametrize("method", ["io", "collect"])
async def test_a_workspace_is_closed_once_where_storage_fails(closings, monkeypatch, method):
    def fail(*_):
        raise OSError("the disk is gone")

    monkeypatch.setattr(OpenArrayWorkspace, method, fail)
    async with ax.Engine("threads") as engine:
        with pytest.raises(OSError, match="the disk is gone"):
            await engine.execute(array())
    assert closings == [False]


async def test_a_workspace_is_closed_where_the_run_is_cancelled_at_its_end(closings, monkeypatch):
    loop, engine = asyncio.get_running_loop(), ax.Engine("threads")

    def cancelled_meanwhile(_, values):
        loop.call_soon_threadsafe(execution.cancel)
        raise OSError("the disk is gone")

    monkeypatch.setattr(OpenArrayWorkspace, "collect", cancelled_meanwhile)
    async with engine:
        execution = engine.start(array())
        with pytest.raises(OSError, match="the disk is gone"):
            await execution
    assert closings == [False]


@pytest.mark.parametrize(
    "raised", [OSError, SystemExit, GeneratorExit, StopIteration, asyncio.CancelledError]
)
@pytest.mark.parametrize("after", [False, True])
async def test_a_run_is_complete_whatever_the_end_of_its_targets_raises(
    tmp_path, monkeypatch, caplog, raised, after
):
    finish = RunTargets.finish

    def failing(self):
        if after:
            finish(self)
        raise raised("the disk is gone")

    monkeypatch.setattr(RunTargets, "finish", failing)
    data = np.arange(6)
    spec = ax.Spec(work_dir=tmp_path / "work")
    x = xp.asarray(data, chunks=(2,), spec=spec)
    async with ax.Engine("threads") as engine:
        await engine.execute(xp.store([x + 1], [tmp_path / "y.zarr"]))
    assert "is complete" in caplog.text
    assert raised.__name__ in caplog.text
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "y.zarr")[...], np.arange(1, 7))
    assert list((tmp_path / "work").iterdir()) == []


async def test_a_run_returns_its_values_whatever_the_removal_of_its_folder_raises(
    tmp_path, monkeypatch, caplog
):
    def failing(_):
        raise StorageError("cannot be removed")

    monkeypatch.setattr(WorkPlace, "remove", failing)
    async with ax.Engine("threads") as engine:
        plan = ax.Plan.map(abs, [-1, 2])
        result = await engine.execute(plan, resume=True, work_dir=tmp_path)
    assert result.value == [1, 2]
    assert "cannot be removed" in caplog.text


async def test_a_target_with_damaged_metadata_is_refused_as_such_once_its_plan_is_complete(
    tmp_path,
):
    x = xp.asarray(np.arange(6), chunks=(2,), spec=ax.Spec(work_dir=tmp_path / "work"))
    target = tmp_path / "y.zarr"
    async with ax.Engine("threads") as engine:
        await engine.execute(xp.store([x + 1], [target]), resume=True)
        (target / "zarr.json").write_bytes(b"{")
        with pytest.raises(TargetExistsError, match="metadata are damaged"):
            await engine.execute(xp.store([x + 1], [target]), resume=True)
        await engine.execute(xp.store([x + 1], [target], overwrite=True), resume=True)
    np.testing.assert_array_equal(zarr.open_array(target)[...], np.arange(1, 7))
