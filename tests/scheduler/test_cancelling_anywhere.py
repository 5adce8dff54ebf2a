"""Cancelled at any moment, a run stops, leaves nothing behind, and its engine goes on."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given, strategies as st

from asyncexec.engine import Engine
from asyncexec.events.records import PlanCancelled, PlanSucceeded
from asyncexec.plan import Plan
from asyncexec.testing.fates import RandomFates
from asyncexec.testing.model_backend import ModelBackend
from asyncexec.testing.virtual_time import run

from .random_plans import plans
from .test_pipelining import capabilities, returned

LAST = (PlanCancelled, PlanSucceeded)


@given(
    plan=plans(),
    after=st.floats(0.0, 6.0),
    kills=st.booleans(),
    how=st.sampled_from(["execution", "caller", "timeout"]),
    seed=st.integers(0, 10**6),
)
def test_a_run_cancelled_at_any_moment_stops_and_the_engine_goes_on(plan, after, kills, how, seed):
    fates = RandomFates(seconds=1.0, sigma=0.5, failing=0.1, hanging=0.02, seed=seed)
    backend = ModelBackend(fates, slots=2, capabilities=capabilities(kills=kills), kill_seconds=0.3)
    events = []

    async def main():
        async with Engine(executor=backend, observers=[events.append], timeout=10.0) as engine:
            cancelled = await cancel(engine, plan, after, how)
            assert backend.ledger.running == 0
            started = len(backend.ledger.visits)
            await asyncio.sleep(60)
            assert len(backend.ledger.visits) == started
            assert (await engine.execute(Plan.map(abs, [-1, 2]))).value == [1, 2]
        return cancelled

    cancelled = run(main(), seed=seed)
    ends = [type(e) for e in events if isinstance(e, LAST)]
    if cancelled:  # Before it began, it may tell nothing; as it ended, that it had succeeded.
        assert ends[:-1] in ([PlanCancelled], [], [PlanSucceeded])
        assert ends[-1] is PlanSucceeded
    else:
        assert ends == [PlanSucceeded, PlanSucceeded]


async def cancel(engine, plan, after, how):
    """Cancel a run in one of three ways; return whether it was still running."""
    if how == "timeout":
        with contextlib.suppress(TimeoutError):
            result = await asyncio.wait_for(engine.execute(plan), after)
            assert result.value == returned(plan)
            return False
        return True
    if how == "caller":
        running = task = asyncio.create_task(engine.execute(plan))
    else:
        running = engine.start(plan)
        task = asyncio.create_task(result_of(running))
    await asyncio.sleep(after)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        assert (await task).value == returned(plan)
        return False
    return True


async def result_of(execution):
    return await execution


@pytest.mark.parametrize("seed", range(5))
def test_leaving_the_engine_stops_every_run(seed):
    async def main():
        backend = ModelBackend(1.0, slots=2)
        async with Engine(executor=backend) as engine:
            executions = [engine.start(Plan.map(abs, range(50))) for _ in range(3)]
            await asyncio.sleep(3.5)
        assert backend.ledger.running == 0
        for execution in executions:
            with pytest.raises(asyncio.CancelledError):
                await execution

    run(main(), seed=seed)
