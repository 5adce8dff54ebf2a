"""Set operations by NumPy's names are NumPy's."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec.array as xp
from tests.array.direct import run
from tests.array.strategies import chunks_of
from tests.array.test_sets import with_repetitions
from tests.array.test_sorting import blocks_of, with_ties
from tests.profiles import examples


@settings(max_examples=examples(25))
@given(with_repetitions(), st.booleans(), st.sampled_from([60, 10**6]))
def test_distinct_elements_are_those_of_numpy(case, equal_nan, size):
    x, data = case
    options = {"return_index": True, "return_inverse": True, "return_counts": True}
    with blocks_of(size):
        values, indices, inverse, counts = xp.unique(x, **options, equal_nan=equal_nan)
        alone = xp.unique(x, equal_nan=equal_nan)
    expected = np.unique(data, **options, equal_nan=equal_nan)
    np.testing.assert_array_equal(run(values), expected[0])
    np.testing.assert_array_equal(run(alone), expected[0])
    np.testing.assert_array_equal(run(counts), expected[3])
    np.testing.assert_array_equal(data.reshape(-1)[run(indices)], expected[0])
    np.testing.assert_array_equal(expected[0][run(inverse)], data)


@settings(max_examples=examples(25))
@given(st.data(), st.sampled_from(["union1d", "intersect1d", "setdiff1d", "setxor1d"]))
def test_two_arrays_make_the_set_that_numpy_makes(data, name):
    arrays, elements = [], []
    for seed in (1, 2):
        shape = tuple(data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=2)))
        dtype = data.draw(st.sampled_from(["int16", "uint8", "bool"]))
        elements.append(with_ties(shape, dtype, seed))
        arrays.append(xp.asarray(elements[-1], chunks=data.draw(chunks_of(shape))))
    expected = getattr(np, name)(*elements)
    found = getattr(xp, name)(*arrays)
    np.testing.assert_array_equal(run(found), expected)


def test_nan_is_in_one_array_alone():
    both = np.array([np.nan, 1.0, 2.0]), np.array([2.0, np.nan, -0.0, np.nan])
    found = run(xp.setxor1d(*(xp.asarray(each, chunks=2) for each in both)))
    np.testing.assert_array_equal(found, np.setxor1d(*both))
    assert np.isnan(found).sum() == 2


def test_numpys_function_of_a_lazy_array_is_lazy():
    values, counts = np.unique(xp.asarray([3, 1, 3], chunks=2), return_counts=True)
    assert isinstance(values, xp.Array)
    assert run(counts).tolist() == [1, 2]


def test_parts_are_returned_in_numpys_order():
    x = xp.asarray([3, 1, 3], chunks=2)
    assert isinstance(xp.unique(x), xp.Array)
    assert [run(each).tolist() for each in xp.unique(x, return_inverse=True)] == [
        [1, 3],
        [1, 0, 1],
    ]
    with pytest.raises(TypeError, match="takes an array of asyncexec"):
        xp.unique([1])
