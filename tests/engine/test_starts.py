"""Runs that are started in one turn of the event loop begin in several, in their order."""

import asyncio
from collections import Counter

import pytest

import asyncexec as ax
from asyncexec.engine.execution import Execution
from asyncexec.engine.starts import PER_TURN, Starts
from asyncexec.errors import EngineClosedError


async def stay(x):
    return x


@pytest.fixture
async def turns():
    """The number of the loop's turn, in a list."""
    turn, loop = [0], asyncio.get_running_loop()

    def count():
        turn[0] += 1
        turn.append(loop.call_soon(count))
        del turn[1:-1]

    count()
    yield turn
    turn[-1].cancel()


@pytest.fixture
def begun(monkeypatch, turns):
    """How many runs were made, and how many began, in each turn."""
    made, ran = Counter(), Counter()
    make, run = Execution.__init__, Execution.run

    def made_in(self, *arguments, **options):
        made[turns[0]] += 1
        make(self, *arguments, **options)

    def ran_in(self, driver):
        ran[turns[0]] += 1
        return run(self, driver)

    monkeypatch.setattr(Execution, "__init__", made_in)
    monkeypatch.setattr(Execution, "run", ran_in)
    return made, ran


@pytest.mark.parametrize("executor", ["threads", "asyncio"])
@pytest.mark.parametrize("function", [abs, stay])
async def test_few_runs_begin_in_a_turn_however_many_are_awaited_together(
    begun, executor, function
):
    made, ran = begun
    plan = ax.Plan.map(function, [1])
    async with ax.Engine(executor) as engine:
        results = await asyncio.gather(*(engine.execute(plan) for _ in range(100)))
    assert [r.value for r in results] == [[1]] * 100
    # A task of the loop's runs once in each turn, before or after what is counted.
    assert max(made.values()) <= 2 * PER_TURN
    assert max(ran.values()) <= 2 * PER_TURN
    assert sum(ran.values()) == 100


async def test_few_runs_begin_in_a_turn_where_all_are_started_by_one_function(begun):
    _, ran = begun
    async with ax.Engine("threads") as engine:
        executions = [engine.start(ax.Plan.map(abs, [n])) for n in range(100)]
        assert [(await execution).value for execution in executions] == [[n] for n in range(100)]
    assert max(ran.values()) <= 2 * PER_TURN


async def test_runs_begin_in_the_order_in_which_they_were_started():
    starts, order = Starts(asyncio.get_running_loop()), []

    async def wait(n):
        await starts.turn()
        order.append(n)

    async with asyncio.TaskGroup() as tasks:
        for n in range(5 * PER_TURN):
            tasks.create_task(wait(n))
    assert order == list(range(5 * PER_TURN))


async def test_one_that_is_cancelled_before_its_turn_holds_up_no_other():
    starts, order = Starts(asyncio.get_running_loop()), []

    async def wait(n):
        await starts.turn()
        order.append(n)

    tasks = [asyncio.create_task(wait(n)) for n in range(3 * PER_TURN)]
    await asyncio.sleep(0)
    cancelled = tasks[PER_TURN : PER_TURN + 5]
    for task in cancelled:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert all(task.cancelled() for task in cancelled)
    assert len(order) == 3 * PER_TURN - 5


async def test_an_engine_that_closes_ends_the_runs_that_had_not_begun():
    async with ax.Engine("threads") as engine:
        executions = [engine.start(ax.Plan.map(abs, [n])) for n in range(10 * PER_TURN)]
    ended = await asyncio.gather(*executions, return_exceptions=True)
    assert all(isinstance(e, asyncio.CancelledError | ax.Result) for e in ended)


async def test_a_run_whose_turn_comes_after_the_engine_has_closed_is_refused():
    async with ax.Engine("threads") as engine:
        late = [
            asyncio.create_task(engine.execute(ax.Plan.map(abs, [1]))) for _ in range(50 * PER_TURN)
        ]
        await asyncio.sleep(0)
    ended = await asyncio.gather(*late, return_exceptions=True)
    kinds = asyncio.CancelledError | ax.Result | EngineClosedError
    assert all(isinstance(e, kinds) for e in ended)
