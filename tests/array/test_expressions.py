"""Whatever expression is computed, NumPy computes the same."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.array.lowering import RequestedArray
from asyncexec.array.projection import TaskMemoryLimit
from tests.array.direct import run
from tests.array.strategies import expressions
from tests.profiles import examples

SLOW_TO_DRAW = [HealthCheck.too_slow, HealthCheck.data_too_large]


def assert_same(found, expected):
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@given(expressions())
@settings(suppress_health_check=SLOW_TO_DRAW)
def test_expressions_are_what_numpy_says(case):
    x, expected = case
    assert (x.shape, x.dtype) == (expected.shape, expected.dtype)
    assert_same(run(x), expected)


@given(expressions(), expressions())
@settings(max_examples=examples(30), suppress_health_check=SLOW_TO_DRAW)
def test_several_results_of_one_plan(one, other):
    found = run(xp.Computation(results=results(one[0], other[0], one[0]), spec=ax.Spec()))
    for value, expected in zip(found, (one[1], other[1], one[1]), strict=True):
        assert_same(value, expected)


def results(*arrays):
    return tuple(RequestedArray(node=a.node) for a in arrays)


@given(expressions())
@settings(suppress_health_check=SLOW_TO_DRAW)
def test_fusion_changes_nothing(case):
    x, expected = case
    with pytest.MonkeyPatch.context() as patch:
        # Nothing ever fits, so that whatever can be stored is.
        patch.setattr(TaskMemoryLimit, "fits", lambda self, group: False)
        plan = x.to_plan()
    assert len(plan.stages) >= len(x.to_plan().stages)
    assert_same(run(plan), expected)


@given(expressions())
@settings(max_examples=examples(25), suppress_health_check=SLOW_TO_DRAW)
async def test_the_engine_computes_the_same_in_any_order(case):
    x, expected = case
    async with ax.Engine(executor="threads") as engine:
        assert_same((await engine.execute(x)).value, expected)
