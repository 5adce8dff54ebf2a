"""A task can ask about its run on every backend, and gets the context variables of whoever started it where it can."""

import contextvars
import decimal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import asyncexec as ax
from asyncexec.errors import SerializationError, UsageError
from asyncexec.plan import Plan

pytestmark = pytest.mark.usefixtures("functions_by_value")

EXECUTORS = ["serial", "threads", "asyncio", "processes"]
IN_THIS_PROCESS = ["serial", "threads", "asyncio"]
VARIABLE = contextvars.ContextVar("variable", default="unset")


def look(item):
    context = ax.get_run_context()
    said = (context.input, context.namespace, context.workflow, dict(context.config))
    where = (context.plan, context.stage, context.task, context.index, context.attempt)
    run = (context.executor, context.execution, context.run_id, context.run_name)
    return said, where, run, dict(context.extras), bool(context.worker), context.cancelled


def attached(plan, **context):
    return Plan(plan.stages, plan.name, plan.returns, context=context)


@pytest.mark.parametrize("executor", EXECUTORS)
async def test_a_task_knows_its_run(executor):
    plan = attached(
        ax.Plan.map(look, "abc", name="look"),
        input={"city": "Utrecht"},
        namespace="weather",
        workflow="nowcast",
        config={"depth": 3},
        colour="green",
    )
    async with ax.Engine(executor) as engine:
        engine.scope_entries["tasks"] = lambda plan: plan.tasks
        execution = engine.start(plan)
        result = await execution
    ran = [run for _, _, run, _, _, _ in result.value]
    identity = execution.run_identity
    assert set(ran) == {(executor, "look-1", identity.id, identity.name)}
    for task, (said, where, _, extras, worker, cancelled) in enumerate(result.value):
        assert said == ({"city": "Utrecht"}, "weather", "nowcast", {"depth": 3})
        assert where == ("look", "look", task, (task,), 1)
        assert {"colour": "green", "tasks": 3}.items() <= extras.items()
        assert worker
        assert not cancelled


async def number_of_attempt(item):
    if ax.get_run_context().attempt == 1:
        raise ConnectionError("once")
    return ax.get_run_context().attempt


@pytest.mark.parametrize("executor", EXECUTORS)
async def test_an_attempt_knows_its_number_also_in_a_coroutine(executor):
    async with ax.Engine(executor) as engine:
        retry = ax.Retry(attempts=2, base_seconds=0.01)
        result = await engine.execute(ax.Plan.map(number_of_attempt, [1, 2]), retry=retry)
    assert result.value == [2, 2]


def in_a_thread(item):
    with ThreadPoolExecutor(1) as pool:
        there = pool.submit(contextvars.copy_context().run, ax.get_run_context).result()
        with pytest.raises(UsageError, match="no run context here"):
            pool.submit(ax.get_run_context).result()
    return there.task


@pytest.mark.parametrize("executor", EXECUTORS)
async def test_threads_of_a_task_have_its_context_if_they_are_given_it(executor):
    async with ax.Engine(executor) as engine:
        result = await engine.execute(ax.Plan.map(in_a_thread, range(3)))
    assert result.value == [0, 1, 2]


def test_there_is_no_run_context_outside_a_task():
    with pytest.raises(UsageError, match="no run context here"):
        ax.get_run_context()


def test_a_plan_keeps_its_context_when_a_stage_is_added():
    plan = attached(ax.Plan.call(str.split, "a b"), workflow="w")
    longer = plan.then_each(str.upper).then(str.lower).reduce("".join)
    assert longer.context == {"workflow": "w"}


def test_the_fingerprint_of_a_plan_has_of_its_context_what_says_so():
    plan = ax.Plan.map(abs, [1])
    assert attached(plan, input=1).fingerprint == plan.fingerprint
    assert attached(plan, fingerprint="1").fingerprint != plan.fingerprint


async def test_a_context_that_cannot_travel_is_refused_before_anything_runs():
    plan = attached(ax.Plan.map(abs, [1]), input=threading.Lock())
    async with ax.Engine("processes", executor_options={"max_workers": 1}) as engine:
        with pytest.raises(SerializationError, match="the context of plan 'abs'"):
            await engine.execute(plan)
    async with ax.Engine("threads") as engine:
        assert (await engine.execute(plan)).value == [1]


def variable_and_precision(item):
    seen = VARIABLE.get(), decimal.getcontext().prec
    VARIABLE.set(f"task {item}")
    decimal.getcontext().prec = 5
    return seen


@pytest.mark.parametrize("executor", IN_THIS_PROCESS)
async def test_context_variables_of_the_caller_reach_tasks_and_do_not_leak_from_one_to_the_next(
    executor,
):
    async with ax.Engine(executor) as engine:
        VARIABLE.set("caller")
        with decimal.localcontext(prec=17):
            execution = engine.start(ax.Plan.map(variable_and_precision, range(20)))
        VARIABLE.set("later")
        result = await execution
    assert set(result.value) == {("caller", 17)}


async def test_the_name_of_a_run_is_its_own():
    async with ax.Engine("serial") as engine:
        executions = [engine.start(ax.Plan.map(abs, [1])) for _ in range(20)]
        for execution in executions:
            await execution
    assert len({execution.run_identity.id for execution in executions}) == 20
    first, second, digits = executions[0].run_identity.name.split("-")
    assert first.isalpha()
    assert second.isalpha()
    assert executions[0].run_identity.id.startswith(digits)
