"""Chains of short tasks, of which a worker does many in one go, on threads: the same as one by one."""

import asyncio
import time
from itertools import pairwise

import pytest

import asyncexec as ax
from asyncexec.events.records import AttemptStarted, StageStarted, TaskSucceeded


def chain(functions):
    plan = ax.Plan.map(functions[0], [1, 2])
    for function in functions[1:]:
        plan = plan.then(function)
    return plan


def add_one(value):
    return value + 1


@pytest.fixture
async def engine():
    async with ax.Engine("threads", executor_options={"max_workers": 2}) as opened:
        yield opened


async def test_each_task_succeeds_once_after_what_it_reads(engine):
    events = []
    result = await engine.execute(chain([add_one] * 60), observers=[events.append])
    assert result.value == [61, 62]
    begun, complete = [], []
    for event in events:
        match event:
            case StageStarted(stage=stage):
                begun.append(stage)
            case AttemptStarted(attempt=attempt):
                assert attempt.stage in begun
            case TaskSucceeded(attempt=attempt):
                complete.append((attempt.stage, attempt.task))
    names = [stage.name for stage in result.stages]
    assert len(complete) == len(set(complete)) == 120
    for before, after in pairwise(names):
        for task in (0, 1):
            assert complete.index((before, task)) < complete.index((after, task))


async def test_a_failure_in_the_middle_names_its_stage_and_is_tried_again_there(engine):
    calls = []

    def unsteady(value):
        calls.append(value)
        if len(calls) < 3:
            raise ConnectionError("not yet")
        return value

    functions = [add_one] * 20 + [unsteady] + [add_one] * 20
    result = await engine.execute(chain(functions), retry=ax.Retry(attempts=5))
    assert result.value == [41, 42]
    assert sorted(stage.retries for stage in result.stages)[-2:] == [0, 2]


async def test_one_that_hangs_is_given_up_and_what_follows_it_runs_after_its_retry(engine):
    calls = []

    def hangs_once(value):
        calls.append(value)
        if len(calls) == 1:
            time.sleep(1.0)
        return value

    functions = [add_one] * 10 + [hangs_once] + [add_one] * 10
    result = await engine.execute(chain(functions), timeout=0.1, retry=3)
    assert result.value == [21, 22]


async def test_one_that_has_nothing_to_do_ends_its_chain(engine):
    def only_even(value):
        if value % 2:
            raise ax.SkippedError("odd")
        return value

    result = await engine.execute(chain([add_one] * 10 + [only_even] + [add_one] * 10))
    assert result.value[0] != result.value[1] == 22
    assert isinstance(result.value[0], ax.Skipped)


async def test_cancelling_stops_a_chain_at_once(engine):
    done = []

    def slow(value):
        time.sleep(0.01)
        done.append(value)
        return value

    execution = engine.start(chain([slow] * 200))
    while len(done) < 20:
        await asyncio.sleep(0.001)
    await execution.stopped()
    seen = len(done)
    assert seen < 200
    await asyncio.sleep(0.05)
    assert len(done) <= seen + 2  # those that ran
