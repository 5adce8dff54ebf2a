"""Distinct elements are NumPy's, whether all fit into a task or go through a network of merges."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec as ax
import asyncexec.array as xp
from tests.array.direct import run
from tests.array.strategies import DTYPES, chunks_of, shapes, values
from tests.array.test_sorting import blocks_of, with_ties
from tests.profiles import examples

SIZES = st.sampled_from([60, 200, 10**6])


@st.composite
def with_repetitions(draw):
    shape = draw(shapes())
    make = draw(st.sampled_from([values, with_ties]))
    data = np.asarray(make(shape, draw(st.sampled_from(DTYPES)), draw(st.integers(0, 999))))
    return xp.asarray(data, chunks=draw(chunks_of(shape))), data


def all_of(data):
    """The distinct elements by NumPy: each NaN is one, in ascending order."""
    found = np.unique(
        data, return_index=True, return_inverse=True, return_counts=True, equal_nan=False
    )
    values, indices, inverse, counts = found
    return values, indices, inverse.reshape(data.shape), counts


def check(found, data):
    """Several NaN are in no order, so that the places of each are not NumPy's: but each has its own."""
    values, indices, _, counts = all_of(data)
    computed = run(xp.plan_of(*found))
    for one, lazy in zip(computed, found, strict=True):
        assert (one.shape, one.dtype) == (lazy.shape, lazy.dtype)
    np.testing.assert_array_equal(computed[0], values)
    np.testing.assert_array_equal(computed[3], counts)
    assert computed[1].dtype == computed[2].dtype == computed[3].dtype == np.int64
    np.testing.assert_array_equal(data.reshape(-1)[computed[1]], values)
    assert computed[2].shape == data.shape
    np.testing.assert_array_equal(values[computed[2]], data)
    np.testing.assert_array_equal(np.bincount(computed[2].reshape(-1)), counts)
    known = ~np.isnan(values)
    np.testing.assert_array_equal(computed[1][known], indices[known])


@settings(max_examples=examples(20))
@given(with_repetitions(), SIZES)
def test_all_of_distinct_elements_is_numpys(case, size):
    x, data = case
    with blocks_of(size):
        found = xp.unique_all(x)
    assert found._fields == ("values", "indices", "inverse_indices", "counts")
    check(found, data)


@settings(max_examples=examples(20))
@given(with_repetitions(), SIZES)
def test_each_function_returns_its_part_of_it(case, size):
    x, data = case
    known, _, _, counts = all_of(data)
    with blocks_of(size):
        distinct = xp.unique_values(x)
        counted = xp.unique_counts(x)
        inverse = xp.unique_inverse(x)
    assert distinct.dtype == data.dtype
    np.testing.assert_array_equal(run(distinct), known)
    np.testing.assert_array_equal(run(counted.values), known)
    np.testing.assert_array_equal(run(counted.counts), counts)
    np.testing.assert_array_equal(run(inverse.values)[run(inverse.inverse_indices)], data)


def test_a_run_over_several_blocks_is_one():
    data = np.array([5] * 50 + [7] * 30 + [6])
    with blocks_of(80):
        found = xp.unique_counts(xp.asarray(data, chunks=9))
    assert run(found.values).tolist() == [5, 6, 7]
    assert run(found.counts).tolist() == [50, 1, 30]


def test_distinct_elements_are_there_for_more():
    with blocks_of(80):
        found = xp.unique_values(xp.asarray(np.arange(60) // 2, chunks=9))
    assert found.shape == (30,)
    np.testing.assert_array_equal(run(found[::-3] + 1), np.arange(30)[::-3] + 1)


def test_distinct_elements_beyond_memory_are_found_within_it(tmp_path):
    spec = ax.Spec(allowed_mem="100.4MB", reserved_mem="100MB", work_dir=tmp_path / "work")
    data = values((20_000,), "int64", 3) * 100 + np.arange(20_000) % 90
    xp.to_zarr(xp.asarray(data, chunks=2000), tmp_path / "x")
    found = xp.unique_counts(xp.from_zarr(tmp_path / "x", spec=spec))
    expected = np.unique_counts(data)
    order = np.argsort(expected.values)
    np.testing.assert_array_equal(run(found.values, checked=False), expected.values[order])
    np.testing.assert_array_equal(run(found.counts, checked=False), expected.counts[order])


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_executors_find_the_same(executor):
    data = with_ties((3, 40), "int16", 5)
    found = xp.unique_inverse(xp.asarray(data, chunks=(2, 9)))
    known = found.values.compute(executor=executor)
    np.testing.assert_array_equal(known[found.inverse_indices.compute(executor=executor)], data)


def test_what_is_no_array_is_refused():
    for function in (xp.unique_all, xp.unique_counts, xp.unique_inverse, xp.unique_values):
        with pytest.raises(TypeError, match=r"takes an array of asyncexec\.array, and got list"):
            function([1, 2])
