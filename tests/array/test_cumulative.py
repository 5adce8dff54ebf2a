"""Cumulative functions, against NumPy."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec.array as xp
from asyncexec.array import scans
from asyncexec.errors import OptionError
from tests.array.direct import run
from tests.array.strategies import DTYPES, chunks_of, values
from tests.profiles import examples


@st.composite
def operands(draw, most_dims=3, dtypes=DTYPES):
    shape = tuple(draw(st.lists(st.integers(0, 9), min_size=1, max_size=most_dims)))
    data = values(shape, draw(st.sampled_from(dtypes)), draw(st.integers(0, 2**32 - 1)))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    return xp.asarray(data, chunks=draw(chunks_of(shape))), data, axis


def assert_same(found, expected):
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    if found.dtype.kind in "fc":
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    else:
        np.testing.assert_array_equal(found, expected)


@settings(max_examples=examples(40))
@given(operands(), st.booleans(), st.sampled_from(["sum", "prod"]))
def test_sums_and_products_up_to_each_element_are_numpys(operand, include_initial, kind):
    x, data, axis = operand
    ours, numpys = getattr(xp, f"cumulative_{kind}"), getattr(np, f"cumulative_{kind}")
    found = ours(x, axis=axis, include_initial=include_initial)
    value = run(found)
    assert (found.shape, found.dtype) == (value.shape, value.dtype)
    assert_same(value, numpys(data, axis=axis, include_initial=include_initial))


@settings(max_examples=examples(30))
@given(operands(dtypes=["float64", "float32", "complex128"]), st.booleans())
def test_nan_may_count_as_the_neutral_element(operand, flat):
    x, data, axis = operand
    data = np.where(np.abs(data) > 1, np.nan, data).astype(data.dtype)
    x = xp.asarray(data, chunks=x.chunks)
    for name in ("nancumsum", "nancumprod", "cumsum", "cumprod"):
        given_axis = None if flat else axis
        expected = getattr(np, name)(data, axis=given_axis)
        assert_same(run(getattr(xp, name)(x, axis=given_axis)), expected)


@settings(max_examples=examples(25))
@given(operands(dtypes=["float64", "int16", "bool"]))
def test_extremes_up_to_each_element_are_those_of_accumulate(operand):
    x, data, axis = operand
    assert_same(run(xp.cummax(x, axis=axis)), np.maximum.accumulate(data, axis=axis))
    assert_same(run(xp.cummin(x, axis=axis)), np.minimum.accumulate(data, axis=axis))


@pytest.mark.parametrize("widest", [2, 3, 128])
@pytest.mark.parametrize("shared", [0, 64 * 1024])
def test_totals_of_many_chunks_are_scanned_in_groups(monkeypatch, widest, shared):
    monkeypatch.setattr(scans, "MOST_TOTALS", widest)
    monkeypatch.setattr(scans, "_SHARED_BYTES", shared)
    data = np.arange(2 * 29).reshape(29, 2) % 7
    x = xp.asarray(data, chunks=(1, 1))
    np.testing.assert_array_equal(run(xp.cumulative_sum(x, axis=0)), np.cumsum(data, axis=0))


@pytest.mark.parametrize("dtype", ["int8", "float32", "complex64", "bool"])
def test_a_type_may_be_asked_for(dtype):
    data = values((40,), "float64", 3) * 9
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = np.cumsum(data.astype(dtype), dtype=dtype)
    assert_same(run(xp.cumulative_sum(xp.asarray(data, chunks=7), dtype=dtype)), expected)


def test_a_complex_sum_that_becomes_real_warns_as_numpys():
    x = xp.asarray(values((5,), "complex128", 1), chunks=2)
    with pytest.warns(np.exceptions.ComplexWarning):
        found = xp.cumulative_sum(x, dtype=xp.float64)
    assert_same(run(found), np.cumsum(values((5,), "complex128", 1).real))


def test_single_precision_is_added_in_double():
    data = (values((5000,), "float64", 5) + 1e4).astype(np.float32)
    last = run(xp.cumulative_sum(xp.asarray(data, chunks=300)), checked=False)[-1]
    assert last == np.float32(math.fsum(data.tolist()))


def test_an_axis_is_asked_for_where_there_are_several_or_none():
    with pytest.raises(ValueError, match="2 axes"):
        xp.cumulative_sum(xp.ones((2, 3)))
    with pytest.raises(ValueError, match="at least one axis"):
        xp.cumulative_prod(xp.ones(()))
    with pytest.raises(IndexError):
        xp.cumulative_sum(xp.ones((2, 3)), axis=2)


def test_a_million_chunks_take_a_few_stages():
    plan = xp.cumulative_sum(xp.ones((10**6,), chunks=1)).to_plan()
    # Totals, those of 128, those of 128 of these, what lies before on each level, and the result.
    assert len(plan.stages) == 7
    assert len(xp.cumulative_sum(xp.ones((128, 8000), chunks=1), axis=0).to_plan().stages) == 3


def test_one_chunk_along_the_axis_is_scanned_by_one_stage():
    assert len(xp.cumulative_sum(xp.ones((4, 4), chunks=(2, 4)), axis=1).to_plan().stages) == 1


def forward_filled(block, axis, dtype=None):
    moved = np.moveaxis(block, axis, 0).copy()
    for k in range(1, len(moved)):
        moved[k] = np.where(np.isnan(moved[k]), moved[k - 1], moved[k])
    return np.moveaxis(moved, 0, axis)


def fill(before, block):
    return np.where(np.isnan(block), before, block)


def last_of(block, axis, keepdims):
    assert keepdims
    return np.take(forward_filled(block, axis), [-1], axis=axis)


@settings(max_examples=examples(25))
@given(operands(dtypes=["float64"], most_dims=2), st.booleans())
def test_gaps_are_filled_by_a_scan_of_ones_own(operand, shortcut):
    x, data, axis = operand
    data = np.where(data > 0, np.nan, data)
    x = xp.asarray(data, chunks=x.chunks)
    found = xp.cumreduction(
        forward_filled,
        fill,
        np.nan,
        x,
        axis=axis,
        dtype=x.dtype,
        method="blelloch",
        preop=last_of if shortcut else None,
    )
    np.testing.assert_array_equal(run(found), forward_filled(data, axis))


def test_a_scan_takes_numpys_functions():
    data = np.arange(12).reshape(3, 4)
    x = xp.asarray(data, chunks=2)
    assert_same(run(xp.cumreduction(np.cumsum, np.add, 0, x, axis=1)), np.cumsum(data, axis=1))
    assert_same(run(xp.cumreduction(np.cumsum, np.add, 0, x)), np.cumsum(data))
    greatest = xp.cumreduction(np.maximum.accumulate, np.maximum, 0, x, 0, x.dtype)
    assert_same(run(greatest), np.maximum.accumulate(data, axis=0))


def test_what_a_scan_cannot_take_is_refused_at_once():
    x = xp.ones(4, chunks=2)
    with pytest.raises(OptionError, match="blelloch"):
        xp.cumreduction(np.cumsum, np.add, 0, x, axis=0, method="other")
    with pytest.raises(TypeError, match="say dtype="):
        xp.cumreduction(lambda block: block, np.add, 0, x, axis=0)


def test_sums_are_computed_on_an_executor():
    data = values((30, 4), "float64", 8)
    x = xp.asarray(data, chunks=(4, 3))
    found = xp.cumulative_sum(x * 2, axis=0).compute(executor="threads")
    np.testing.assert_allclose(found, np.cumsum(data * 2, axis=0))
