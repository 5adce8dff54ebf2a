"""The greatest and least elements are the first of the sorted array."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec as ax
import asyncexec.array as xp
from tests.array.direct import run
from tests.array.strategies import values
from tests.array.test_sorting import blocks_of, descending_order, lines, with_ties
from tests.profiles import examples


@settings(max_examples=examples(40))
@given(lines(), st.integers(1, 12), st.sampled_from([100, 10**6]), st.booleans())
def test_the_greatest_are_the_first_in_descending_order(case, k, size, least):
    x, data, axis = case
    order = np.argsort(data, axis=axis, kind="stable") if least else descending_order(data, axis)
    first = np.take(order, np.arange(min(k, data.shape[axis])), axis=axis)
    with blocks_of(size):
        found = xp.argtopk(x, -k if least else k, axis=axis)
        chosen = xp.topk(x, -k if least else k, axis)
    assert (found.shape, found.dtype, chosen.dtype) == (first.shape, np.int64, data.dtype)
    np.testing.assert_array_equal(run(found), first)
    np.testing.assert_array_equal(run(chosen), np.take_along_axis(data, first, axis))


def test_partial_results_are_merged_in_a_tree():
    x = xp.ones(10**6, chunks=10)
    assert [s.tasks for s in xp.topk(x, 5).to_plan().stages] == [
        100_000,
        12_500,
        1563,
        196,
        25,
        4,
        1,
    ]


def test_more_than_two_tasks_hold_are_the_first_of_the_sorted_array():
    data = values((500,), "float64", 1)
    with blocks_of(400):
        found = xp.topk(xp.asarray(data, chunks=40), 100)
    np.testing.assert_array_equal(run(found), np.sort(data)[:-101:-1])


def test_chunks_too_short_for_k_are_put_together_within_memory():
    spec = ax.Spec(allowed_mem="110MB", reserved_mem="100MB")
    x = xp.ones((400, 10**6), chunks=(400, 100), spec=spec)
    assert all(stage.memory.fits for stage in xp.argtopk(x, 1000).to_plan().stages)


def test_threads_find_the_same():
    data = with_ties((3, 40), "float64", 5)
    found = xp.argtopk(xp.asarray(data, chunks=(2, 9)), 3)
    np.testing.assert_array_equal(
        found.compute(executor="threads"), descending_order(data, 1)[:, :3]
    )


def test_none_at_all_cannot_be_asked_for():
    with pytest.raises(ValueError, match=r"topk\(x, k=0\) of an array of shape \(3,\)"):
        xp.topk(xp.ones(3), 0)
    with pytest.raises(TypeError, match="k must be an integer"):
        xp.topk(xp.ones(3), 1.5)
