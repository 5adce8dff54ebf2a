"""What an array of many chunks takes of the scheduler beside its storage: as much for each, and no memory."""

import tracemalloc

import pytest
import zarr

import asyncexec as ax
import asyncexec.array as xp
from tests.counting import calls_of
from tests.instant_backend import InstantBackend

FEW, MANY = 10_000, 50_000


def plan_of(job, chunks):
    made = xp.ones((chunks,), chunks=(1,)) * 2.0
    wanted = made + 1.0 if job == "elementwise" else xp.sum(made)
    return xp.store([wanted], [zarr.storage.MemoryStore()]).to_plan()


@pytest.fixture
async def engine():
    async with ax.Engine(executor=InstantBackend(slots=4)) as opened:
        await opened.execute(plan_of("elementwise", 100))
        yield opened


@pytest.mark.parametrize("job", ["elementwise", "reduction"])
async def test_the_driver_holds_no_more_for_more_chunks(engine, job):
    async def most_held(chunks):
        plan = plan_of(job, chunks)
        tracemalloc.start()
        try:
            await engine.execute(plan)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = [await most_held(chunks) for chunks in (FEW, MANY)]
    assert (many - few) / (MANY - FEW) <= 4, (few, many)


@pytest.mark.parametrize("job", ["elementwise", "reduction"])
def test_planning_takes_as_many_calls_for_more_chunks(job):
    plan_of(job, 100)
    few, many = [calls_of(lambda n=n: plan_of(job, n)) for n in (10**3, 10**6)]
    # A tree has two levels for a thousand, and four or six for a million.
    assert many <= 3 * few, (few, many)
