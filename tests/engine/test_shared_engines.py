"""`await ax.compute(x, y)` and `await ax.execute(plan)`: on engines that the calls of one event loop share."""

import asyncio
import contextvars
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.backends.threads import ThreadsBackend
from asyncexec.engine import default_engine
from asyncexec.errors import OptionError, TaskFailedError
from tests.sampling import sampled


def shared():
    """The engines of the running loop."""
    loop = asyncio.get_running_loop()
    return [each.engine for each in default_engine._ENGINES._by_loop.get(loop, [])]


@pytest.fixture
async def _closed():
    yield
    await ax.close_shared_engines()


pytestmark = pytest.mark.usefixtures("_closed")


async def test_several_arrays_are_one_plan_that_shares_their_work():
    x = xp.arange(100, chunks=10) * 2
    started = []
    low, high, mean = await ax.compute(xp.min(x), xp.max(x), xp.mean(x), observers=[started.append])
    assert (low, high, mean) == (0, 198, 99.0)
    plans = [e for e in started if type(e).__name__ == "PlanStarted"]
    assert len(plans) == 1
    apart = sum(f(x).to_plan().tasks for f in (xp.min, xp.max, xp.mean))
    assert sum(stage.tasks for stage in plans[0].stages) < apart


async def test_the_values_are_always_a_tuple():
    (value,) = await ax.compute(xp.arange(4, chunks=2))
    np.testing.assert_array_equal(value, [0, 1, 2, 3])
    assert await ax.compute() == ()


async def test_calls_share_one_engine_for_each_executor_and_options():
    plan = ax.Plan.map(abs, [-1])
    for options in ({}, {"executor": "threads"}, {"executor_options": {}}, {"executor": "serial"}):
        assert (await ax.execute(plan, **options)).value == [1]
    await ax.execute(plan, executor="threads", executor_options={"max_workers": 1})
    await ax.execute(plan, executor="threads", executor_options={"max_workers": 1})
    assert len(shared()) == 3


async def test_calls_at_once_open_one_engine():
    x = xp.arange(10, chunks=5)
    values = await asyncio.gather(*(ax.compute(x + n) for n in range(20)))
    assert [int(value[0]) for (value,) in values] == list(range(20))
    assert len(shared()) == 1


async def test_a_spec_says_the_executor():
    spec = ax.Spec(executor="serial", executor_options={"max_workers": 1})
    x = xp.ones(4, spec=spec)
    names = []
    await ax.compute(x, observers=[lambda e: names.append(getattr(e, "executor", None))])
    await ax.execute(xp.store([x], ["memory://x.zarr"]).to_plan(), executor="serial")
    assert names[0] == "serial"


async def test_a_call_that_is_cancelled_stops_its_work_and_leaves_the_engine_to_others():
    running = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def wait(_):
        loop.call_soon_threadsafe(running.set)
        await asyncio.sleep(3600)

    ends = []
    call = asyncio.create_task(
        ax.execute(ax.Plan.map(wait, [0]), observers=[lambda e: ends.append(type(e).__name__)])
    )
    await running.wait()
    (before,) = shared()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert ends[-1] == "PlanCancelled"
    assert (await ax.execute(ax.Plan.map(abs, [-1]))).value == [1]
    assert shared() == [before]


async def test_the_first_caller_may_be_cancelled_while_the_engine_opens():
    first = asyncio.create_task(ax.compute(xp.ones(2)))
    second = asyncio.create_task(ax.compute(xp.ones(3)))
    await asyncio.sleep(0)
    first.cancel()
    (value,) = await second
    assert value.shape == (3,)
    assert first.cancelled()


async def test_a_plan_that_fails_fails_alone():
    with pytest.raises(TaskFailedError, match="ValueError"):
        await ax.execute(ax.Plan.map(int, ["one"]), retry=False)
    assert (await ax.execute(ax.Plan.map(int, ["1"]))).value == [1]


async def test_an_engine_that_could_not_be_opened_is_opened_anew_by_the_next_call():
    class Flaky(ThreadsBackend):
        tries = 0

        async def __aenter__(self):
            type(self).tries += 1
            if self.tries == 1:
                raise ax.errors.BackendError("not yet")
            return await super().__aenter__()

    plan = ax.Plan.map(abs, [-1])
    with pytest.raises(ax.errors.BackendError, match="not yet"):
        await ax.execute(plan, executor=Flaky)
    assert (await ax.execute(plan, executor=Flaky)).value == [1]


@pytest.mark.parametrize("made", [False, True], ids=["class", "instance"])
async def test_an_engine_whose_backend_broke_is_replaced_and_closed(made):
    opened = []

    class Breaking(ThreadsBackend):
        async def __aenter__(self):
            opened.append(self)
            return await super().__aenter__()

        async def map(self, batches):
            if len(opened) == 1:
                async for _ in batches:
                    raise ConnectionError("the cluster went away")
            async for reports in super().map(batches):
                yield reports

    executor = Breaking() if made else Breaking
    plan = ax.Plan.map(abs, [-1])
    with pytest.raises(ax.errors.BackendError, match="went away"):
        await ax.execute(plan, executor=executor)
    (broken,) = shared()
    assert (await ax.execute(plan, executor=executor)).value == [1]
    assert len(shared()) == 1
    assert broken not in shared()
    assert not broken.is_open


@pytest.mark.parametrize("options", [3, [1], "x"])
async def test_executor_options_that_are_no_mapping_are_refused_as_by_an_engine(options):
    with pytest.raises(OptionError, match="executor_options must map names to values"):
        await ax.execute(ax.Plan.map(abs, [1]), executor_options=options)


async def test_an_engine_is_closed_on_request_and_opened_anew():
    await ax.compute(xp.ones(2))
    (first,) = shared()
    await ax.close_shared_engines()
    assert not first.is_open
    assert shared() == []
    await ax.compute(xp.ones(2))
    assert shared() != [first]


async def test_only_arrays_are_computed():
    with pytest.raises(TypeError, match=r"got a Plan: write await ax\.execute"):
        await ax.compute(ax.Plan.map(abs, [1]))
    with pytest.raises(TypeError, match="got str"):
        await ax.compute("x")
    with pytest.raises(OptionError, match="nothing to execute"):
        await ax.execute(3)


async def test_what_runs_the_engine_keeps_nothing_of_the_first_call():
    request = contextvars.ContextVar("request")

    async def first():
        request.set("the first")
        await ax.compute(xp.ones(2))

    await asyncio.create_task(first())
    (engine,) = shared()
    assert engine._life._task.get_context().get(request) is None


def threads():
    return {t for t in threading.enumerate() if t.name.startswith("asyncexec")}


@pytest.mark.parametrize("end", ["run", "close"])
def test_the_engine_ends_with_its_loop(end):
    before = threads()

    async def main():
        await ax.compute(xp.ones(2))
        return shared()

    if end == "run":
        engines = asyncio.run(main())
    else:
        loop = asyncio.new_event_loop()
        engines = loop.run_until_complete(main())
        assert threads() > before
        loop.close()
    assert [engine.is_open for engine in engines] == [False]
    assert threads() <= before


def test_each_loop_has_its_own():
    async def main():
        await ax.compute(xp.ones(2))
        return shared()

    assert asyncio.run(main()) != asyncio.run(main())


ON_A_LOOP = "loop = asyncio.new_event_loop(); loop.run_until_complete(main())"
IN_A_THREAD = "threading.Thread(target=loop.run_forever, daemon=True).start()"
ENDS = {
    "run": "asyncio.run(main())",
    "closed": f"{ON_A_LOOP}; loop.close()",
    "left open": f"{ON_A_LOOP}; atexit.register(loop.close)",
    "in a thread": f"loop = asyncio.new_event_loop(); {IN_A_THREAD}; "
    "asyncio.run_coroutine_threadsafe(main(), loop).result()",
}


@pytest.mark.parametrize("executor", ["threads", "processes"])
@pytest.mark.parametrize("end", sampled(ENDS, "run", "in a thread"))
def test_a_process_ends_without_warnings_whichever_way_its_loop_does(executor, end):
    code = textwrap.dedent(
        f"""
        import asyncio, atexit, threading
        import asyncexec as ax

        async def main():
            # Of so many workers some have not started yet when the process ends.
            options = {{"max_workers": 6}}
            plan = ax.Plan.map(abs, [-1])
            print((await ax.execute(plan, executor={executor!r}, executor_options=options)).value)

        if __name__ == "__main__":
            {ENDS[end]}
        """
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[1]\n", "")
