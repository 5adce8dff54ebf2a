"""Reductions that leave out NaN, averages, counts and comparisons, against NumPy."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec.array as xp
from tests.array.direct import run
from tests.array.strategies import chunks_of, shapes, values
from tests.profiles import examples

FLOATS = ["float64", "float32", "complex128"]
EXACT = ["int16", "uint8", "bool"]


@st.composite
def holed(draw, dtypes=FLOATS + EXACT, side=st.integers(1, 7)):  # noqa: B008 - a strategy
    """A lazy array, the NumPy array, and an axis or several."""
    shape = draw(shapes(side=side))
    data = values(shape, draw(st.sampled_from(dtypes)), draw(st.integers(0, 2**32 - 1)))
    if data.dtype.kind in "fc":
        data = np.where(np.abs(data) > draw(st.sampled_from([0.2, 1.0, 3.0])), np.nan, data)
        data = data.astype(data.dtype)
    axis = draw(st.sampled_from([None, *range(-len(shape), len(shape))]))
    return xp.asarray(data, chunks=draw(chunks_of(shape))), data, axis


def quietly(function, *arguments, **options):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return function(*arguments, **options)


def assert_near(found, expected):
    assert np.shape(found) == np.shape(expected)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-5)


@settings(max_examples=examples(60))
@given(holed(), st.booleans(), st.sampled_from([None, 2]), st.data())
def test_nan_is_left_out_as_numpy_does(operand, keepdims, split_every, data):
    x, array, axis = operand
    names = ["nansum", "nanprod", "nanmean", "nanvar", "nanstd", "nanmax", "nanmin"]
    name = data.draw(st.sampled_from(names))
    options = {"axis": axis, "keepdims": keepdims}
    found = getattr(xp, name)(x, **options, split_every=split_every)
    value = run(found)
    wide = (
        array if array.dtype != np.float32 or name in ("nanmax", "nanmin") else array.astype(float)
    )
    expected = quietly(getattr(np, name), wide, **options)
    assert (found.shape, found.dtype) == (value.shape, value.dtype)
    assert_near(value, expected)
    if name not in ("nanmax", "nanmin") and array.dtype.kind not in "fc":
        assert found.dtype == np.asarray(getattr(np, name)(array)).dtype


@settings(max_examples=examples(20))
@given(holed(dtypes=["float64"]), st.sampled_from([0, 1, 1.5]))
def test_the_correction_counts_what_is_left(operand, correction):
    x, array, axis = operand
    expected = quietly(np.nanvar, array, axis=axis, correction=correction)
    assert_near(run(xp.nanvar(x, axis=axis, correction=correction)), expected)
    assert_near(run(xp.nanstd(x, axis=axis, correction=correction)), np.sqrt(expected))


@settings(max_examples=examples(30))
@given(holed(dtypes=["float64", "int16", "bool"]), st.booleans())
def test_positions_of_extremes_leave_out_nan(operand, keepdims):
    x, array, axis = operand
    array = np.where(np.isnan(array).all(axis=axis, keepdims=True), 1, array)
    x = xp.asarray(array, chunks=x.chunks)
    for name in ("nanargmax", "nanargmin"):
        found = run(getattr(xp, name)(x, axis=axis, keepdims=keepdims))
        assert found.dtype == np.int64
        expected = getattr(np, name)(array, axis=axis, keepdims=keepdims)
        np.testing.assert_array_equal(found, expected)


def test_a_position_among_nan_alone_is_an_error():
    x = xp.asarray([[np.nan, np.nan], [1.0, np.nan]], chunks=1)
    with pytest.raises(ValueError, match="nanargmax of elements that are all NaN"):
        run(xp.nanargmax(x, axis=1))


def test_infinities_are_no_nan():
    data = np.array([[np.inf, np.nan, 1.0], [-np.inf, 2.0, np.nan]])
    x = xp.asarray(data, chunks=(1, 2))
    for name in ("nansum", "nanmean", "nanvar", "nanmax", "nanmin"):
        assert_near(run(getattr(xp, name)(x, axis=1)), quietly(getattr(np, name), data, axis=1))


def test_a_type_may_be_asked_for():
    data = np.array([1.5, np.nan, 2.75])
    x = xp.asarray(data, chunks=2)
    assert run(xp.nansum(x, dtype=xp.float32)).dtype == np.float32
    assert run(xp.nansum(x, dtype=xp.int64)) == 3
    with pytest.warns(np.exceptions.ComplexWarning):
        found = xp.nansum(x + 1j, dtype=xp.float64)
    assert run(found) == 4.25


@pytest.mark.parametrize("name", ["nanmax", "nanmin", "nanargmax", "nanargmin", "ptp"])
def test_there_is_no_extreme_of_nothing(name):
    with pytest.raises(ValueError, match=f"{name} of no elements"):
        getattr(xp, name)(xp.zeros((3, 0)), axis=1)


@settings(max_examples=examples(30))
@given(holed(dtypes=["float64", "int16", "bool", "complex128"]), st.booleans())
def test_what_is_not_zero_is_counted(operand, keepdims):
    x, array, axis = operand
    array = np.where(np.abs(array) > 0.5, array, 0).astype(array.dtype)
    x = xp.asarray(array, chunks=x.chunks)
    found = run(xp.count_nonzero(x, axis=axis, keepdims=keepdims))
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, np.count_nonzero(array, axis=axis, keepdims=keepdims))


@settings(max_examples=examples(20))
@given(holed(dtypes=["float64", "int16", "uint8"]), st.booleans())
def test_ranges_are_numpys(operand, keepdims):
    x, array, axis = operand
    found = run(xp.ptp(x, axis=axis, keepdims=keepdims))
    expected = np.ptp(array, axis=axis, keepdims=keepdims)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_a_range_of_booleans_is_refused():
    with pytest.raises(TypeError, match="bool"):
        xp.ptp(xp.asarray([True, False]))


@settings(max_examples=examples(40))
@given(st.data())
def test_averages_are_numpys(data):
    shape = data.draw(shapes(side=st.integers(1, 6)))
    array = values(shape, data.draw(st.sampled_from(["float64", "float32", "int16"])), 5)
    axis = data.draw(st.sampled_from([None, *range(-len(shape), len(shape))]))
    lengths = shape if axis is None else (shape[axis],)
    of_axis = data.draw(st.booleans())
    weights = np.abs(values(lengths if of_axis else shape, "float64", 6)) + 0.1
    keepdims = data.draw(st.booleans())
    x = xp.asarray(array, chunks=data.draw(chunks_of(shape)))
    found, scale = xp.average(x, axis=axis, weights=weights, returned=True, keepdims=keepdims)
    wide = array.astype(float)
    expected = np.average(wide, axis=axis, weights=weights, returned=True, keepdims=keepdims)
    assert found.dtype == np.average(array, axis=axis, weights=weights).dtype
    assert_near(run(found), expected[0])
    assert_near(run(scale), expected[1])
    plain, count = xp.average(x, axis=axis, returned=True)
    assert_near(run(plain), np.average(wide, axis=axis))
    assert_near(run(count), np.average(wide, axis=axis, returned=True)[1])


def test_weights_along_several_axes_are_in_their_order():
    array, weights = values((2, 3, 4), "float64", 1), np.abs(values((4, 2), "float64", 2))
    found = xp.average(xp.asarray(array, chunks=2), axis=(2, 0), weights=weights)
    assert_near(run(found), np.average(array, axis=(2, 0), weights=weights))
    with pytest.raises(ValueError, match=r"\(2, 4\) do not fit"):
        xp.average(xp.asarray(array), axis=(2, 0), weights=weights.T)


@settings(max_examples=examples(30))
@given(holed(dtypes=["float64", "float32", "int16", "complex128"]), st.booleans())
def test_comparisons_of_arrays_are_numpys(operand, equal_nan):
    x, array, _ = operand
    other = array + np.asarray(1e-9, array.dtype)
    y = xp.asarray(other, chunks=1)
    options = {"equal_nan": equal_nan}
    close = run(xp.isclose(x, y, **options))
    np.testing.assert_array_equal(close, np.isclose(array, other, **options))
    assert run(xp.allclose(x, y, **options)) == np.allclose(array, other, **options)
    assert run(xp.array_equal(x, y, **options)) == np.array_equal(array, other, **options)
    assert run(xp.array_equal(x, x, **options)) == np.array_equal(array, array, **options)


@pytest.mark.parametrize("relative", [0.1, np.array([0.1, 1.0, 0.0]), np.float32(0.2)])
@pytest.mark.parametrize("absolute", [0.5, np.array([[0.0], [1.0]]), np.asarray(0.25)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_tolerances_of_each_element_are_numpys(relative, absolute, dtype):
    array = np.arange(6.0).reshape(2, 3)
    other = (array + 0.3).astype(dtype)
    expected = np.isclose(array, other, relative, absolute)
    given = [xp.asarray(t, chunks=1) if np.ndim(t) else t for t in (relative, absolute)]
    x, y = xp.asarray(array, chunks=2), xp.asarray(other, chunks=1)
    np.testing.assert_array_equal(run(np.isclose(x, y, *given)), expected)
    found = run(xp.isclose(x, other, rtol=relative, atol=absolute))
    np.testing.assert_array_equal(found, expected)


def test_tolerances_that_do_not_fit_are_refused_before_anything_runs():
    with pytest.raises(ValueError, match="broadcast"):
        xp.isclose(xp.ones((2, 3)), 1.0, rtol=xp.ones(4))
    with pytest.raises(TypeError, match="isclose"):
        xp.isclose(xp.ones(3), 1.0, atol="much")


def test_arrays_of_other_shapes_are_not_equal():
    found = run(xp.array_equal(xp.ones((2, 3)), xp.ones(3)))
    assert (found.shape, found.dtype, bool(found)) == ((), np.bool_, False)


def test_nan_and_infinities_become_numbers():
    data = np.array([np.nan, np.inf, -np.inf, 1.0], dtype=np.float32)
    x = xp.asarray(data, chunks=3)
    np.testing.assert_array_equal(run(xp.nan_to_num(x)), np.nan_to_num(data))
    found = run(xp.nan_to_num(x, nan=1.0, posinf=2.0, neginf=3.0))
    np.testing.assert_array_equal(found, np.nan_to_num(data, nan=1.0, posinf=2.0, neginf=3.0))
    assert xp.nan_to_num(xp.asarray([1, 2])).dtype == np.int64


def squares(block, axis, keepdims):
    return np.sum(block * block, axis=axis, keepdims=keepdims)


def root_of_sum(total, axis, keepdims):
    return np.sqrt(np.sum(total, axis=axis, keepdims=keepdims))


def moments(block, axis, keepdims):
    count = np.sum(np.ones_like(block, dtype=np.int64), axis=axis, keepdims=keepdims)
    return {"n": count, "total": np.sum(block, axis=axis, keepdims=keepdims, dtype=float)}


def added(part, axis, keepdims):
    return {name: np.sum(each, axis=axis, keepdims=keepdims) for name, each in part.items()}


def divided(part, axis, keepdims):
    summed = added(part, axis, keepdims)
    return summed["total"] / summed["n"]


@settings(max_examples=examples(30))
@given(holed(dtypes=["float64", "int16"]), st.booleans(), st.sampled_from([None, 2, 3]))
def test_a_reduction_by_functions_of_ones_own(operand, keepdims, split_every):
    x, array, axis = operand
    array = np.nan_to_num(array)
    x = xp.asarray(array, chunks=x.chunks)
    options = {"axis": axis, "keepdims": keepdims}
    found = run(
        xp.reduction(x, squares, root_of_sum, combine=np.sum, split_every=split_every, **options)
    )
    assert_near(found, np.sqrt(np.sum(array * array, **options)))
    several = xp.reduction(x, moments, divided, combine=added, split_every=split_every, **options)
    assert several.dtype == np.float64
    assert_near(run(several), np.mean(array, **options))


def as_pair(block, axis, keepdims):
    return np.min(block, axis=axis), np.max(block, axis=axis)


def merged(pair, axis, keepdims):
    return np.min(pair[0], axis=axis, keepdims=True), np.max(pair[1], axis=axis, keepdims=True)


def spread(pair, axis, keepdims):
    low, high = merged(pair, axis, keepdims)
    return high - low


def test_a_partial_result_may_be_a_tuple_and_lack_the_axes():
    data = values((9, 5), "float64", 7)
    x = xp.asarray(data, chunks=2)
    found = xp.reduction(x, as_pair, spread, combine=merged, axis=0, dtype="float32")
    assert found.dtype == run(found).dtype == np.float32
    np.testing.assert_allclose(found.compute(executor="threads"), np.ptp(data, axis=0), rtol=1e-6)


def test_functions_that_fail_are_refused_at_once():
    with pytest.raises(TypeError, match="one element of float64"):
        xp.reduction(xp.ones(4), lambda block: block, np.sum)


@pytest.mark.parametrize("dtype", ["i4", "?", "f8"])
@pytest.mark.parametrize("correction", [1, 2, 3])
def test_deviations_of_too_few_elements_are_those_of_numpy(dtype, correction):
    data = np.array([1, 5], dtype)
    found = run(xp.nanvar(xp.asarray(data, chunks=1), correction=correction))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(found, np.nanvar(data, ddof=correction))
