"""What is computed together in one stage, and what is stored."""

import math

import numpy as np
import pytest
import zarr

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.array import fusion
from tests.array.direct import run


def operations(x):
    return [stage.operation for stage in x.to_plan().stages]


@pytest.fixture
def x():
    return xp.asarray(np.arange(80.0).reshape(8, 10), chunks=(4, 5))


def test_a_chain_is_one_stage(x):
    assert operations(xp.sqrt(x * 2 + 1)) == ["multiply+add+sqrt"]


def test_a_diamond_is_one_stage_that_computes_the_shared_part_once(x):
    shared = xp.exp(x)
    (stage,) = (shared * xp.sin(shared) + shared).to_plan().stages
    assert stage.operation == "exp+sin+multiply+add"
    assert len(stage.kernel.steps) == 4
    assert len(stage.kernel.inputs) == 1


def test_what_two_stages_need_is_stored_once(x):
    shared = xp.exp(x)
    assert operations(shared - xp.mean(shared, axis=0)) == [
        "exp",
        "mean",
        "mean",
        "squeeze+subtract",
    ]


def test_views_are_never_stored(x):
    shared = x[1:, ::-1].T
    assert (
        operations(xp.sum(shared, axis=0) + xp.sum(shared, axis=1)[:7])
        == [
            "getitem+permute_dims+sum",
            "getitem+permute_dims+sum",
            "sum+squeeze+getitem x2+sum+add",
        ]
        or len(operations(xp.sum(shared, axis=0))) == 2
    )


def test_what_is_needed_in_two_places_at_once_is_stored(x):
    y = xp.exp(x)
    assert operations(y[1:] - y[:-1]) == ["exp", "getitem x2+subtract"]
    # Of an array that is there, both are read by one stage.
    assert operations(x[1:] - x[:-1]) == ["getitem x2+subtract"]


def test_creations_are_never_stored():
    ones = xp.ones((8, 8), chunks=4)
    assert operations(ones[1:] + ones[:-1]) == ["ones+getitem x2+add"]


def test_elementwise_work_on_a_result_of_a_reduction_goes_into_its_last_pass(x):
    assert operations(xp.sqrt(xp.mean(x, axis=0)) + 1) == ["mean", "mean+squeeze+sqrt+add"]


def test_a_reduction_is_not_repeated_by_every_task_that_broadcasts_it(x):
    assert operations(x - xp.max(x, axis=0)) == ["max", "max", "squeeze+subtract"]


def test_the_number_of_arrays_a_stage_reads_is_bounded():
    arrays = [xp.asarray(np.full(4, k), chunks=2) for k in range(30)]
    total = arrays[0]
    for each in arrays[1:]:
        total = total + each
    plan = total.to_plan()
    assert 4 <= len(plan.stages) <= 8
    for stage in plan.stages:
        assert len(plan.workspace.blocks[stage.name].sources) <= fusion.MOST_SOURCES + 1
    np.testing.assert_array_equal(run(total), np.full(4, sum(range(30))))


def test_memory_bounds_what_is_fused(tmp_path):
    spec = ax.Spec(allowed_mem="600MB", reserved_mem="100MB")
    for k in range(6):
        zarr.create_array(tmp_path / f"{k}", shape=(8000, 8000), chunks=(4000, 2000), dtype="f8")
    arrays = [xp.from_zarr(tmp_path / f"{k}", spec=spec) for k in range(6)]
    total = arrays[0]
    for each in arrays[1:]:
        total = total * 2 + each
    plan = total.to_plan()
    assert all(stage.memory.fits for stage in plan.stages)
    roomy = xp.Array(total.node, ax.Spec(allowed_mem="6GB", reserved_mem="100MB"))
    assert len(roomy.to_plan().stages) < len(plan.stages)


def test_long_chains_are_planned_quickly_and_deep_ones_do_not_recurse(x):
    y = x
    for _ in range(3000):
        y = y + 1
    (stage,) = y.to_plan().stages
    assert stage.operation == "add x3000"
    np.testing.assert_allclose(run(y), run(x) + 3000)


def test_temporaries_are_counted_while_they_live(x):
    one = xp.asarray(np.zeros(10**6), chunks=10**6)
    chain, wide = one, xp.sin(one)
    for _ in range(10):
        chain = xp.sin(chain)
        wide = wide + chain
    held = [y.to_plan().projected_bytes for y in (xp.sin(xp.sin(one)), chain, wide)]
    size = 8 * 10**6
    # However long, a chain holds two blocks at a time; where earlier ones are needed again, they are held too.
    assert held[1] - held[0] == size
    assert held[2] - held[1] == size


def test_plans_are_the_same_in_every_process(x):
    plan = xp.mean(x * x, axis=0).to_plan()
    same = xp.mean(xp.multiply(x, x), axis=0).to_plan()
    other = xp.mean(x * x + 0, axis=0).to_plan()
    assert plan.fingerprint == same.fingerprint != other.fingerprint


def test_what_sources_hold_is_part_of_the_fingerprint():
    plans = [(xp.asarray(np.full(4, value)) + 1).to_plan() for value in (1.0, 1.0, 2.0)]
    prints = [plan.fingerprint for plan in plans]
    assert prints[0] == prints[1] != prints[2]


def test_fused_steps_on_a_single_element_give_the_bits_that_stored_ones_give():
    x = xp.asarray(np.asarray(0.345584192064786 + 0.8216181435011584j))
    once = xp.square(x)
    stored, _ = run(xp.plan_of(once, xp.square(once)))
    assert run(xp.square(once)).tobytes() == np.square(np.asarray(stored)).tobytes()


def test_slices_of_means_of_windows_store_means_rather_than_windows(rng):
    data = rng.normal(size=(600, 8))
    x = xp.asarray(data, chunks=(50, 8))
    means = xp.mean(xp.sliding_window_view(x, 7, axis=0), axis=-1) * 2
    plan = means[::20].to_plan()
    stored = [math.prod(out.shape) for stage in plan.stages for out in stage.outputs]
    assert sum(stored) < 2 * means.size
    expected = np.lib.stride_tricks.sliding_window_view(data, 7, axis=0).mean(axis=-1)[::20] * 2
    np.testing.assert_allclose(run(means[::20]), expected)
