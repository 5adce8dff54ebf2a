"""``Result.values``: any stage's value by name, opened when it is asked for, deleted with the result."""

import asyncio
import gc
from functools import partial

import numpy as np
import pytest

import asyncexec as ax
from asyncexec.errors import OptionError, UnknownInputError, ValueLostError
from asyncexec.testing.patience import scaled

pytestmark = pytest.mark.asyncio

COUNT = 100_000


def made(item):
    return np.full(COUNT, item, dtype="f8")


def total(arrays):
    return float(sum(array.sum() for array in arrays))


def keeping(*names):
    plan = ax.Plan.map(made, range(3), name="made").then(abs, name="same").reduce(total)
    return ax.Plan(plan.stages, plan.name, keeps=names)


@pytest.fixture
async def engine():
    async with ax.Engine("processes", executor_options={"max_workers": 1}) as engine:
        yield engine


def files(engine):
    return [f for d in engine.backend.value_store._directories for f in d.path.iterdir()]


async def until_none(engine):
    async with asyncio.timeout(scaled(30)):
        while files(engine):
            await asyncio.sleep(0.01)


async def test_values_of_kept_stages_are_opened_by_name():
    plan = ax.Plan.call(lambda: [1, 2], name="items").then_each(lambda x: -x, name="each")
    plan = ax.Plan(plan.reduce(sum).stages, keeps=("items", "each"))
    async with ax.Engine("serial") as engine:
        result = await engine.execute(plan)
    assert result.value == -3
    assert dict(result.values) == {"sum": -3, "items": [1, 2], "each": [-1, -2]}
    assert result.values.task("each", 1) == -2
    assert result.values.task("items", 0) == [1, 2]
    with pytest.raises(KeyError):
        result.values["other"]


async def test_large_values_stay_where_they_are_until_they_are_asked_for(engine):
    result = await engine.execute(keeping("same"))
    assert len(files(engine)) == 3
    assert result.values.task("same", 2)[0] == 2.0
    assert [array[-1] for array in result.values["same"]] == [0.0, 1.0, 2.0]
    assert result.value == 3.0 * COUNT
    assert list(result.values) == ["total", "same"]


async def test_they_are_deleted_when_the_result_is_closed(engine):
    result = await engine.execute(keeping("made", "same"))
    result.close()
    await until_none(engine)
    assert result.values["total"] == result.value
    with pytest.raises(ValueLostError, match="was closed"):
        result.values["same"]


async def test_they_are_deleted_with_the_result(engine):
    result = await engine.execute(keeping("same"))
    del result
    gc.collect()
    await until_none(engine)


async def test_they_are_gone_when_the_engine_has_closed():
    async with ax.Engine("processes", executor_options={"max_workers": 1}) as engine:
        result = await engine.execute(keeping("same"))
        loaded = await engine.execute(keeping("same"))
        loaded.values.load()
    with pytest.raises(ValueLostError, match="was closed"):
        result.values.task("same", 0)
    assert loaded.values.task("same", 2)[0] == 2.0


async def test_an_engine_that_runs_one_plan_loads_them_before_it_closes():
    run = partial(ax.sync.execute, keeping("same"), executor="processes")
    result = await asyncio.to_thread(run)
    assert result.values["same"][2][0] == 2.0


async def test_what_is_kept_must_be_a_stage_of_values():
    with pytest.raises(UnknownInputError, match=r"return or keep stage 'sane'.*'same'"):
        keeping("sane")
    assert keeping("total").keeps == ()


async def test_stages_of_chunks_are_not_kept():
    import asyncexec.array as xp

    plan = xp.mean(xp.arange(10, chunks=5)).to_plan()
    chunks = next(stage.name for stage in plan.stages if not stage.holds_values)
    with pytest.raises(OptionError, match="puts out chunks"):
        ax.Plan(plan.stages, returns=plan.returns, keeps=(chunks,), workspace=plan.workspace)
