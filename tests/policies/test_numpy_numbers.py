"""Numbers of NumPy are numbers in every option; booleans are none, and what is kept is Python's."""

import dataclasses

import numpy as np
import pytest

import asyncexec as ax
from asyncexec.errors import OptionError
from asyncexec.policies import CircuitOptions
from asyncexec.simulation import Cluster, Noise, simulate

WHOLE = [np.int8, np.uint16, np.int64]
REAL = [np.float16, np.float32, np.float64, *WHOLE]


def plain(value):
    """Return whether everything in a dataclass is of Python's own types."""
    return not any(
        isinstance(getattr(value, field.name), np.generic) for field in dataclasses.fields(value)
    )


async def negative(item):
    return -item


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("executor", ["threads", "processes", "asyncio", "serial"])
async def test_counts_of_numpy_run_a_plan(kind, executor):
    plan = ax.Plan.map(
        negative, range(4), concurrency=kind(2), max_at_once=kind(2), priority=kind(1), retry=kind(3), timeout=kind(60),
        resources={"licences": kind(1)}, labels=("api",),
    )  # fmt: skip
    workers = {} if executor in ("asyncio", "serial") else {"max_workers": kind(2)}
    async with ax.Engine(
        executor,
        executor_options=workers,
        retry=kind(2),
        memory=np.int64(2**40),
        value_memory=np.int64(2**30),
        resources={"licences": kind(2)},
        limits={"api": ax.Limit(max_at_once=kind(3), max_per_second=kind(100))},
    ) as engine:
        result = await engine.execute(plan, retry=kind(2), timeout=kind(60), priority=kind(3))
        assert result.value == [0, -1, -2, -3]
        streamed = [value async for value in engine.results(plan, buffer=kind(2))]
        assert streamed == result.value


@pytest.mark.parametrize("kind", REAL)
def test_policies_keep_pythons_numbers(kind):
    policies = [
        ax.Retry(base_seconds=kind(0.5), cap_seconds=kind(2), budget=kind(1)),
        ax.Timeout(task=kind(2), stage=kind(30), plan=kind(60)),
        ax.Limit(max_per_second=kind(2)),
    ]
    assert all(map(plain, policies))
    assert policies[0].cap_seconds == 2
    assert ax.Timeout(task=kind(2)) == ax.Timeout(task=2)


@pytest.mark.parametrize("kind", WHOLE)
def test_counts_are_kept_as_pythons(kind):
    assert plain(ax.Retry(attempts=kind(2)))
    assert plain(ax.Limit(max_at_once=kind(2)))
    assert plain(CircuitOptions(failures=kind(2), tasks=kind(2), openings=kind(2)))
    assert ax.Spec(allowed_mem=np.int64(10**9), reserved_mem=kind(100)).reserved_bytes == 100


@pytest.mark.parametrize("flag", [True, np.True_])
def test_a_boolean_is_no_number(flag):
    makers = [
        lambda: ax.Retry(attempts=flag),
        lambda: ax.Retry(base_seconds=flag),
        lambda: ax.Timeout(task=flag),
        lambda: ax.Limit(max_at_once=flag),
        lambda: ax.Limit(max_per_second=flag),
        lambda: CircuitOptions(failures=flag),
        lambda: ax.Plan.map(negative, range(2), concurrency=flag),
        lambda: ax.Plan.map(negative, range(2), priority=flag),
        lambda: ax.Plan.map(negative, range(2), resources={"licences": flag}),
        lambda: ax.Plan.map(negative, range(2), max_at_once=flag),
        lambda: ax.Engine("threads", executor_options={"max_workers": flag}),
        lambda: ax.Engine("threads", memory=flag),
        lambda: ax.Engine("threads", timeout=flag),
        lambda: ax.Engine("threads", resources={"licences": flag}),
        lambda: ax.sync.execute(ax.Plan.map(abs, [1]), priority=flag),
        lambda: ax.Spec(allowed_mem=flag),
    ]
    for number, make in enumerate(makers):
        with pytest.raises(OptionError):
            pytest.fail(f"{number}: {make()}")


@pytest.mark.parametrize("kind", WHOLE)
def test_simulations_take_them_too(kind):
    plan, noise = (
        ax.Plan.map(abs, range(100)),
        {"failure_share": 0.25, "slow_share": 0.1, "slow_factors": (2, 3)},
    )
    expected = simulate(plan, Cluster(workers=5), durations=2, noise=Noise(**noise), seed=1)
    noise = Noise(
        failure_share=np.float32(0.25), slow_share=np.float64(0.1), slow_factors=(kind(2), kind(3))
    )
    found = simulate(plan, Cluster(workers=kind(5)), durations=kind(2), noise=noise, seed=kind(1))
    assert (found.seed, found.attempts) == (expected.seed, expected.attempts)
    with pytest.raises(OptionError, match="seed"):
        simulate(plan, durations=1, seed=np.True_)
