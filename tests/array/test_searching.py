"""Places in sorted arrays, numbers of bins, and membership, against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec as ax
import asyncexec.array as xp
from tests.array.direct import run
from tests.array.strategies import chunks_of, leaves, shapes, values
from tests.array.test_sorting import with_ties
from tests.profiles import examples

REAL = [np.float64, np.float32, np.int64, np.int16, np.uint8, np.bool_]
TINY = ax.Spec(allowed_mem="110MB", reserved_mem="100MB")


@st.composite
def of_few_values(draw, dtypes, shape=None):
    shape = draw(shapes()) if shape is None else shape
    data = with_ties(shape, draw(st.sampled_from(dtypes)), draw(st.integers(0, 999)))
    return xp.asarray(data, chunks=draw(chunks_of(shape))), data


@settings(max_examples=examples(40))
@given(st.data(), st.sampled_from(["left", "right"]), st.booleans(), st.sampled_from([24, 10**6]))
def test_places_are_those_of_numpy(data, side, unsorted, limit):
    _, line = data.draw(of_few_values(REAL, (data.draw(st.integers(0, 20)),)))
    x2, wanted = data.draw(of_few_values(REAL))
    expected = np.searchsorted(np.sort(line), wanted, side=side)
    line = line if unsorted else np.sort(line)
    x1 = xp.asarray(line, chunks=data.draw(chunks_of(line.shape)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("asyncexec.array.searching.chunk_limit", lambda spec: limit)
        sorter = xp.argsort(x1) if unsorted else None
        found = xp.searchsorted(x1, x2, side=side, sorter=sorter)
    assert (found.shape, found.dtype) == (wanted.shape, np.int64)
    np.testing.assert_array_equal(run(found), expected)


@pytest.mark.parametrize("x2", [3, 2.5, np.float32(9), True])
def test_a_number_has_a_place(x2):
    line = np.array([1.0, 3, 3, 5])
    assert run(xp.searchsorted(xp.asarray(line, chunks=2), x2)) == np.searchsorted(line, x2)


@settings(max_examples=examples(40))
@given(leaves(dtypes=REAL), st.booleans(), st.booleans())
def test_bins_are_those_of_numpy(case, right, descending):
    x, data = case
    bins = np.array([3.0, 1.0, 0.0, -0.5]) if descending else np.array([-0.5, 0.0, 1.0, 3.0])
    found = xp.digitize(x, bins, right=right)
    assert (found.shape, found.dtype) == (data.shape, np.int64)
    np.testing.assert_array_equal(run(found), np.digitize(data, bins, right=right))


def test_bins_of_a_lazy_array_are_computed():
    x, bins = xp.arange(6, chunks=4), xp.arange(0, 9, 3, chunks=2)
    assert run(xp.digitize(x, bins)).tolist() == [1, 1, 1, 2, 2, 2]


@settings(max_examples=examples(40))
@given(st.data(), st.booleans(), st.sampled_from([24, 10**6]))
def test_membership_is_numpys(data, invert, limit):
    x1, wanted = data.draw(of_few_values([*REAL, np.complex128]))
    x2, known = data.draw(of_few_values([*REAL, np.complex128]))
    if known.ndim:
        known, x2 = known[..., ::2], x2[..., ::2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("asyncexec.array.membership.chunk_limit", lambda spec: limit)
        found = xp.isin(x1, x2, invert=invert)
    assert (found.shape, found.dtype) == (wanted.shape, np.bool_)
    np.testing.assert_array_equal(run(found), np.isin(wanted, known, invert=invert))


def test_numbers_are_among_arrays_and_arrays_among_numbers():
    x = xp.asarray([[1, 2], [3, 4]], chunks=1)
    assert run(xp.isin(x, 3)).tolist() == [[False, False], [True, False]]
    assert run(xp.isin(3, x)) == np.True_
    assert run(xp.isin(x, np.array([4, 1]))).tolist() == [[True, False], [False, True]]


def test_two_large_arrays_are_searched_within_memory():
    x1, x2 = (xp.ones(10**7, chunks=10**5, spec=TINY) for _ in range(2))
    for found in (xp.isin(x1, x2), xp.searchsorted(x1, x2)):
        stages = found.to_plan().stages
        assert all(stage.memory.fits for stage in stages)
        assert len(stages) <= 8


def test_threads_search_the_same():
    line, wanted = np.sort(values((40,), "float64", 1)), values((5, 6), "float64", 2)
    x1, x2 = xp.asarray(line, chunks=7), xp.asarray(wanted, chunks=4)
    found = xp.searchsorted(x1, x2).compute(executor="threads")
    np.testing.assert_array_equal(found, np.searchsorted(line, wanted))


def test_what_cannot_be_searched_is_refused_at_once():
    x = xp.ones(3)
    with pytest.raises(ValueError, match=r"takes an x1 of one axis, and got the shape \(2, 2\)"):
        xp.searchsorted(xp.ones((2, 2)), x)
    with pytest.raises(ValueError, match="use side='left' or side='right'"):
        xp.searchsorted(x, x, side="middle")
    with pytest.raises(ValueError, match=r"the sorter has the shape \(2,\), and x1 \(3,\)"):
        xp.searchsorted(x, x, sorter=xp.asarray([0, 1]))
    with pytest.raises(TypeError, match="takes a sorter of integers, and got float64"):
        xp.searchsorted(x, x, sorter=x)
    with pytest.raises(TypeError, match=r"takes arrays of asyncexec\.array and numbers"):
        xp.searchsorted(x, [1.0])
    with pytest.raises(ValueError, match="bins must be monotonically"):
        xp.digitize(x, [1.0, 3.0, 2.0])
    with pytest.raises(TypeError, match="takes real numbers, and got elements of complex128"):
        xp.digitize(x + 1j, [1.0])
    with pytest.raises(TypeError, match="takes at least one array"):
        xp.isin(1, 2)
