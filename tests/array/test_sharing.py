"""Stages of one grid that read the same are one stage, and read it once."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.array import sharing
from tests.array.direct import run
from tests.array.strategies import binary, leaves, reduce, unary, with_itself, with_scalar


def readers(plan, *arrays):
    """The stages that read any of `arrays`, by name."""
    sources = {id(array.node.array) for array in arrays}
    blocks = plan.workspace.blocks.items()
    return [name for name, io in blocks if any(id(s.array) in sources for s in io.sources)]


@pytest.fixture
def u():
    return xp.asarray(np.arange(80.0).reshape(8, 10), chunks=(4, 5))


@pytest.fixture
def v():
    return xp.asarray(np.arange(80.0).reshape(8, 10)[::-1] ** 2, chunks=(4, 5))


def quadratic_means(u, v):
    return [xp.mean(a * b, axis=0) for a, b in ((u, u), (v, v), (u, v))]


def test_three_quadratic_means_read_both_arrays_once(u, v):
    plan = xp.plan_of(*quadratic_means(u, v)).to_plan()
    (name,) = readers(plan, u, v)
    assert len(plan.workspace.blocks[name].sources) == 2
    assert len(plan.stage(name).outputs) == 3
    together = run(xp.plan_of(*quadratic_means(u, v)))
    for one, alone in zip(together, quadratic_means(u, v), strict=True):
        np.testing.assert_array_equal(one, run(alone))


def test_mean_and_deviation_of_a_standardised_anomaly_are_made_of_one_reading(u):
    found = (u - xp.mean(u, axis=0)) / xp.std(u, axis=0)
    assert len(readers(found.to_plan(), u)) == 2
    a = run(u)
    np.testing.assert_allclose(run(found), (a - a.mean(axis=0)) / a.std(axis=0))


def test_what_one_stage_needs_of_another_stays_apart(u):
    first = u + 1
    plan = xp.plan_of(first, first * xp.sum(first)).to_plan()
    assert len(plan.stages) == 4


def test_arrays_that_share_little_stay_apart(u, v):
    row = xp.asarray(np.ones((1, 10)), chunks=(1, 5))
    assert len(xp.plan_of(u + row, v + row).to_plan().stages) == 2


def test_other_grids_stay_apart(u):
    assert len(xp.plan_of(u + 1, xp.rechunk(u, (2, 5)) + 1).to_plan().stages) == 2


def test_functions_of_users_stay_apart_where_there_are_few_tasks(u):
    assert len(xp.plan_of(xp.map_blocks(np.sin, u), u + 1).to_plan().stages) == 2
    few = xp.Array(u.node, ax.Spec(reduction_tasks=4))
    assert len(xp.plan_of(xp.map_blocks(np.sin, few), few + 1).to_plan().stages) == 1


def test_groups_of_the_same_labels_are_reduced_in_one_reading(u):
    labels = np.arange(8) % 3

    def made():
        return [
            xp.groupby_reduce(u, labels, func=name, axis=0)[0] for name in ("mean", "max", "count")
        ]

    assert len(readers(xp.plan_of(*made()).to_plan(), u)) == 1
    for one, alone in zip(run(xp.plan_of(*made())), made(), strict=True):
        assert one.tobytes() == run(alone).tobytes()


def test_counts_of_a_histogram_and_a_mean_are_made_of_one_reading(u):
    def made():
        return [xp.histogram(u, 5, (0, 80))[0], xp.mean(u), xp.quantile(u, 0.5)]

    assert len(readers(xp.plan_of(*made()[:2]).to_plan(), u)) == 1
    spec = ax.Spec(reduction_tasks=1)
    pieces = xp.Array(u.node, spec)
    assert (
        len(xp.plan_of(xp.histogram(pieces, 5, (0, 80))[0], xp.mean(pieces)).to_plan().stages) == 1
    )
    for one, alone in zip(run(xp.plan_of(*made())), made(), strict=True):
        assert one.tobytes() == run(alone).tobytes()


def test_stages_that_do_not_fit_into_memory_together_stay_apart():
    def stages(allowed):
        spec = ax.Spec(allowed_mem=allowed, reserved_mem="100MB")
        x = xp.from_array(np.ones((1000, 4000)), chunks=1000, spec=spec)
        return xp.plan_of(*(x + n for n in range(5))).to_plan().stages

    assert len(stages("2GB")) == 1
    assert 1 < len(stages("140MB")) <= 5
    assert all(stage.memory.fits for stage in stages("140MB"))


@given(st.data())
def test_several_results_together_are_what_each_is_alone(data):
    x, a = data.draw(leaves())
    with np.errstate(all="ignore"):
        x, a = data.draw(st.sampled_from([unary, with_scalar, reduce]))(data.draw, x, a)
    found = [x] if data.draw(st.booleans()) else []
    for _ in range(data.draw(st.integers(2, 4))):
        y, expected = x, a
        for _ in range(data.draw(st.integers(1, 3))):
            operation = data.draw(
                st.sampled_from([unary, with_scalar, with_itself, binary, reduce])
            )
            with np.errstate(all="ignore"):
                y, expected = operation(data.draw, y, expected)
        found.append(y)
    together = run(xp.plan_of(*found))
    for one, alone in zip(together, found, strict=True):
        np.testing.assert_array_equal(one, run(alone))


@pytest.mark.parametrize("executor", ["threads", "processes"])
async def test_engines_compute_several_results_of_one_stage(executor, u, v):
    async with ax.Engine(executor=executor) as engine:
        together = (await engine.execute(xp.plan_of(*quadratic_means(u, v)))).value
    for one, alone in zip(together, quadratic_means(u, v), strict=True):
        np.testing.assert_array_equal(one, run(alone))


def test_what_results_share_is_computed_once_on_the_way(u):
    shared = xp.sin(u) + 1
    plan = xp.plan_of(shared * 2, shared - 1, xp.mean(shared, axis=0)).to_plan()
    assert [stage.operation for stage in plan.stages] == [
        "sin+add+multiply+subtract+mean",
        "mean+squeeze",
    ]


def test_what_others_read_too_is_stored(u):
    shared = xp.sin(u)
    plan = xp.plan_of(shared * 2, shared - 1, shared[::-1]).to_plan()
    assert any(stage.operation == "sin" for stage in plan.stages)


def test_plans_with_shared_stages_are_the_same_each_time(u, v):
    def fingerprint():
        shared = xp.sin(u)
        return xp.plan_of(*quadratic_means(shared, v), shared + v).to_plan().fingerprint

    assert len({fingerprint() for _ in range(5)}) == 1


def test_the_number_of_arrays_that_a_stage_writes_is_bounded(u):
    stages = xp.plan_of(*(u + n for n in range(100))).to_plan().stages
    assert max(len(stage.outputs) for stage in stages) == sharing.MOST_RESULTS
    assert len(stages) == 7
