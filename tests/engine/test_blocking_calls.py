"""Calls that block: refused in a coroutine of a service by their own name, with the line to write instead."""

import asyncio
import operator
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import EngineClosedError, RunningLoopError, UnknownOptionError, UsageError

X = xp.arange(4, chunks=2)
TOTAL = xp.sum(X)
PLAN = ax.Plan.map(abs, [-1, 2])


def enter_sync_engine():
    with ax.sync.SyncEngine():
        pass


BLOCKING = {
    "x.compute()": (X.compute, "(value,) = await ax.compute(x)"),
    "float(x)": (lambda: float(TOTAL), "await ax.compute(x), and then float(value)"),
    "int(x)": (lambda: int(TOTAL), "await ax.compute(x), and then int(value)"),
    "bool(x)": (lambda: 1 if TOTAL else 0, "await ax.compute(x), and then bool(value)"),
    "complex(x)": (lambda: complex(TOTAL), "await ax.compute(x), and then complex(value)"),
    "operator.index(x)": (lambda: range(TOTAL), "and then operator.index(value)"),
    "numpy.asarray(x)": (lambda: np.asarray(X), "(value,) = await ax.compute(x)"),
    "xp.compute(x, y)": (lambda: xp.compute(X, TOTAL), "await ax.compute(x, y)"),
    "xp.to_zarr(x, place)": (
        lambda: xp.to_zarr(X, "x.zarr"),
        "await ax.execute(xp.store([x], [place]))",
    ),
    "xp.store(arrays, targets).compute()": (
        lambda: xp.store([X], ["x.zarr"]).compute(),
        "await ax.execute(xp.store(arrays, targets))",
    ),
    "xp.full(shape, x)": (lambda: xp.full((2,), TOTAL), "and then xp.full(shape, value)"),
    "asyncexec.sync.execute(plan)": (
        lambda: ax.sync.execute(PLAN),
        "await ax.execute(plan)",
    ),
    "with SyncEngine(...)": (enter_sync_engine, "async with asyncexec.Engine(...)"),
}


@pytest.mark.parametrize("called", BLOCKING)
async def test_a_blocking_call_in_a_service_is_named_with_what_to_write(called):
    call, instead = BLOCKING[called]
    with pytest.raises(RunningLoopError) as raised:
        call()
    assert str(raised.value).startswith(f"{called} would block the event loop that is running here")
    assert instead in str(raised.value)


@pytest.mark.parametrize("called", ["float(x)", "operator.index(x)", "numpy.asarray(x)"])
def test_the_same_calls_work_without_a_loop(called):
    call, _ = BLOCKING[called]
    assert call() is not None


async def test_what_does_not_compute_works_in_a_service():
    assert len(X) == 4
    assert "shape=(4,)" in repr(X)
    assert len(list(X)) == 4


async def test_an_open_sync_engine_is_refused_in_a_service_too():
    with pytest.raises(RunningLoopError, match=r"SyncEngine\.execute\(plan\) would block"):
        ax.sync.SyncEngine().execute(PLAN)


def test_a_sync_engine_that_is_not_open_says_so():
    with pytest.raises(EngineClosedError, match="with SyncEngine"):
        ax.sync.SyncEngine().execute(PLAN)


async def test_a_thread_without_a_loop_may_block():
    assert (await asyncio.to_thread(X.compute)).tolist() == [0, 1, 2, 3]


def test_a_spec_brings_executor_and_options_and_a_call_brings_both_anew():
    spec = ax.Spec(executor="serial", executor_options={"max_workers": 1})
    x = xp.arange(4, chunks=2, spec=spec)
    seen = []
    for options in ({}, {"executor": "threads"}):
        ax.sync.execute(x, observers=[lambda e: seen.append(getattr(e, "executor", ""))], **options)
        x.compute(observers=[lambda e: seen.append(getattr(e, "executor", ""))], **options)
    assert [name for name in seen if name] == ["serial", "serial", "threads", "threads"]


def test_what_interrupts_the_wait_stops_the_work_first():
    started, release = threading.Event(), threading.Event()

    def wait(_):
        started.set()
        release.wait(30)

    class Line:
        def draw(self):
            if started.is_set():
                raise KeyboardInterrupt

    events = []
    with ax.sync.SyncEngine("threads") as engine:
        with pytest.raises(KeyboardInterrupt):
            engine._portal.run_plan(
                ax.Plan.map(wait, range(4)), {"observers": [events.append]}, Line().draw
            )
        assert type(events[-1]).__name__ == "PlanCancelled"
        release.set()
        assert engine.execute(PLAN).value == [1, 2]


OPTIONS = {
    "asyncexec.sync.execute(plan)": lambda **o: ax.sync.execute(PLAN, **o),
    "x.compute()": X.compute,
    "xp.compute(x, y)": lambda **o: xp.compute(X, TOTAL, **o),
    "xp.to_zarr(x, place)": lambda **o: xp.to_zarr(X, "never.zarr", **o),
    "xp.store(arrays, targets).compute()": lambda **o: xp.store([X], ["never.zarr"]).compute(**o),
    "asyncexec.execute()": lambda **o: asyncio.run(ax.execute(PLAN, **o)),
    "asyncexec.compute()": lambda **o: asyncio.run(ax.compute(X, TOTAL, **o)),
}


@pytest.mark.parametrize("called", OPTIONS)
@pytest.mark.parametrize(
    "option, hint",
    [
        ("max_workers", "are given as executor_options={'max_workers': ...}"),
        ("memory", "it belongs to the engine: Engine(memory=...)"),
        ("timout", "did you mean 'timeout'?"),
        ("self", "has no option 'self'"),
    ],
)
def test_a_call_names_itself_where_it_is_given_an_option_it_lacks(called, option, hint):
    with pytest.raises(UnknownOptionError) as raised:
        OPTIONS[called](**{option: 2})
    assert str(raised.value).startswith(f"{called} has no option {option!r}")
    assert hint in str(raised.value)
    assert isinstance(raised.value, TypeError)
    assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize("option", ["plan", "options"])
def test_an_option_with_the_name_of_an_inner_parameter_is_one_of_the_call(option):
    with pytest.raises(UnknownOptionError, match=r"^x\.compute\(\) has no option"):
        X.compute(**{option: 1})


@pytest.mark.parametrize(
    "given, says",
    [
        (
            {"max_workers": 2},
            r"^Engine\(\) has no option 'max_workers'; .* given as executor_options=\{'max_workers': ",
        ),
        ({"executor": "dask", "cluster_address": "a"}, r"\(dask, ray\) are given as executor_opt"),
        ({"memroy": "1GB"}, r"^Engine\(\) has no option 'memroy' \(did you mean 'memory'\?\)"),
        ({"max_worker": 2}, r"executor_options=\{'max_worker': \.\.\.\} \(max_workers, perhaps\)"),
    ],
)
def test_an_engine_says_where_options_of_executors_go(given, says):
    with pytest.raises(UnknownOptionError, match=says):
        ax.Engine(**given)


async def test_an_engine_that_runs_plans_says_that_executor_options_are_for_its_making():
    async with ax.Engine() as engine:
        with pytest.raises(UnknownOptionError, match=r"to the engine: Engine\(executor_options="):
            await engine.execute(PLAN, max_workers=2)


def test_an_engine_for_blocking_callers_names_itself():
    with pytest.raises(UnknownOptionError, match=r"^SyncEngine\(\) has no option 'max_workers'; "):
        ax.sync.SyncEngine(max_workers=2)


def test_a_blocking_call_under_trio_is_refused_with_what_to_write(monkeypatch):
    trio = SimpleNamespace(lowlevel=SimpleNamespace(in_trio_run=lambda: True))
    monkeypatch.setitem(sys.modules, "trio", trio)
    with pytest.raises(RunningLoopError, match=r"await trio\.to_thread\.run_sync"):
        X.compute()


@pytest.mark.parametrize("call", [ax.execute, ax.close_shared_engines, ax.compute])
def test_a_coroutine_without_asyncio_is_refused_with_what_to_write(call):
    arguments = {ax.execute: (PLAN,), ax.compute: (X,)}.get(call, ())
    with pytest.raises(UsageError, match="runs on asyncio"):
        call(*arguments).send(None)


def test_serial_takes_one_worker_and_no_other_number():
    ax.Engine("serial", executor_options={"max_workers": 1})
    for number in (0, 2, None, True, "1"):
        with pytest.raises(ax.errors.OptionError, match="max_workers is 1"):
            ax.Engine("serial", executor_options={"max_workers": number})


def test_operator_index_of_an_array_computes():
    assert operator.index(TOTAL) == 6
