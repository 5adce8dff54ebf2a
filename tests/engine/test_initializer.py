"""Every worker calls the initializer once before its first task, and a run ends if that fails."""

import os
import threading

import pytest

import asyncexec as ax
from asyncexec.errors import OptionError, SerializationError, WorkerInitializerError

EXECUTORS = ["serial", "threads", "asyncio", "processes"]
STATE = threading.local()


def prepare(word, calls):
    STATE.word = word
    with calls.open("a") as file:
        file.write(f"{os.getpid()} {threading.get_ident()}\n")


def look(item):
    return STATE.word


async def look_on_the_loop(item):
    return STATE.word


LOOKS = {"asyncio": look_on_the_loop}


@pytest.mark.parametrize("executor", EXECUTORS)
async def test_a_worker_is_initialized_once_for_all_runs(executor, tmp_path):
    calls = tmp_path / "calls"
    async with ax.Engine(executor, initializer=prepare, initargs=("ready", calls)) as engine:
        for _ in range(3):
            plan = ax.Plan.map(LOOKS.get(executor, look), range(40))
            result = await engine.execute(plan.then(LOOKS.get(executor, look)))
            assert set(result.value) == {"ready"}
    called = calls.read_text().splitlines()
    assert len(set(called)) == len(called) <= os.cpu_count()


def fail():
    raise ValueError("no licence")


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("on_failure", ["fail", "keep"])
async def test_a_run_ends_at_once_when_an_initializer_fails(executor, on_failure):
    plan = ax.Plan.map(abs_of, range(50), name="look", on_failure=on_failure)
    async with ax.Engine(executor) as engine:
        retry = ax.Retry(attempts=10, transient=(Exception,))
        with pytest.raises(
            WorkerInitializerError, match="failed: ValueError: no licence"
        ) as caught:
            await engine.execute(plan, initializer=fail, retry=retry)
        assert (caught.value.plan, caught.value.stage, caught.value.attempt) == ("look", "look", 1)
        assert caught.value.worker
        assert caught.value.worker in str(caught.value)
        assert (await engine.execute(ax.Plan.map(abs_of, [-1]))).value == [1]


async def abs_of(item):
    return abs(item)


async def test_an_initializer_is_an_executor_option_too_and_may_be_a_dotted_path(tmp_path):
    options = {"max_workers": 1, "initializer": "os:chdir", "initargs": [str(tmp_path)]}
    async with ax.Engine("processes", executor_options=options) as engine:
        result = await engine.execute(ax.Plan.call(os.getcwd))
    assert result.value == str(tmp_path)


async def test_an_initializer_that_cannot_travel_is_refused_before_anything_runs():
    async with ax.Engine("processes") as engine:
        with pytest.raises(
            SerializationError, match="the initializer of workers cannot be pickled"
        ):
            await engine.execute(ax.Plan.map(abs, [1]), initializer=threading.Lock().acquire)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"initializer": 3}, "must be a plain function"),
        ({"initializer": look_on_the_loop}, "must be a plain function"),
        ({"initializer": "os:no_such"}, "cannot be imported"),
        ({"initializer": print, "initargs": 3}, "must be a tuple"),
    ],
)
def test_what_is_no_initializer_is_refused(options, message):
    with pytest.raises(OptionError, match=message):
        ax.Engine(**options)
