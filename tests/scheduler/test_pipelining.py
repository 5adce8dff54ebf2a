"""Chunk by chunk or stage by stage, on a sound or an unreliable cluster: the results are the same."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from asyncexec.backends.contract import Capabilities
from asyncexec.engine import Engine
from asyncexec.plan import Plan
from asyncexec.plan.locality import Locality
from asyncexec.policies.retry import Retry
from asyncexec.testing.fates import RandomFates
from asyncexec.testing.faulty_backend import FaultyBackend, Garbling
from asyncexec.testing.model_backend import ModelBackend
from asyncexec.testing.virtual_time import run
from tests.instant_backend import InstantBackend

from .random_plans import expected, plans

PATIENT = Retry(attempts=8, budget=None)


def capabilities(*, kills: bool) -> Capabilities:
    return Capabilities(name="model", kills=kills, locality=Locality.SAME_PROCESS, batch_limit=4)


async def values_of(plan, backend, **options):
    async with Engine(executor=backend) as engine:
        result = await engine.execute(plan, retry=PATIENT, **options)
    assert result.tasks == plan.tasks
    return result.value


def returned(plan):
    """What the plan's result ought to be: a single task's value, and a single stage's, come bare."""
    values = {
        name: values if plan.stage(name).shape else values[0]
        for name, values in expected(plan).items()
    }
    return values if len(values) > 1 else next(iter(values.values()))


@given(plan=plans(), slots=st.integers(1, 4), seed=st.integers(0, 99))
def test_pipelined_runs_and_runs_with_barriers_give_what_the_plan_says(plan, slots, seed):
    fates = RandomFates(seconds=0.2, sigma=1.0, seed=seed)
    for barriers in (False, True):
        backend = ModelBackend(fates, slots=slots)
        assert run(values_of(plan, backend, barriers=barriers), seed=seed) == returned(plan)
        assert set(backend.ledger.effects.values()) == {1}
        assert backend.ledger.peak <= slots


@given(plan=plans(), kills=st.booleans(), seed=st.integers(0, 10**6))
def test_an_unreliable_cluster_gives_what_the_plan_says(plan, kills, seed):
    fates = RandomFates(
        seconds=0.2,
        sigma=0.5,
        slow=0.1,
        failing=0.1,
        lost=0.02,
        hanging=0.05,
        spared_after=2,
        seed=seed,
    )
    inner = ModelBackend(fates, slots=3, capabilities=capabilities(kills=kills), kill_seconds=0.1)
    garbling = Garbling(
        duplicated=0.2, late=0.3, unasked=0.2, reordered=True, late_seconds=0.3, seed=seed
    )
    backend = FaultyBackend(inner, garbling)
    values = run(values_of(plan, backend, timeout=5.0), seed=seed)
    assert values == returned(plan)


def test_pipelining_starts_a_stage_before_the_one_before_is_complete():
    plan = Plan.map(str, range(20)).then(str.upper, name="upper")

    def order(*, barriers):
        backend = ModelBackend(1.0, slots=2)
        run(values_of(plan, backend, barriers=barriers))
        return [visit.stage for visit in backend.ledger.visits]

    assert order(barriers=True) == ["str"] * 20 + ["upper"] * 20
    assert "upper" in order(barriers=False)[:10]


@pytest.mark.parametrize("watched", [False, True])
async def test_the_loop_stays_free_while_many_tasks_run(unblocked_loop, watched):
    seen = []
    async with Engine(executor=InstantBackend()) as engine:
        observers = [seen.append] if watched else []
        plan = Plan.map(abs, range(50_000)).then(abs, name="again")
        await engine.execute(plan, observers=observers)
    assert bool(seen) is watched
