"""Reductions, against NumPy and against exact sums."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, strategies as st

import asyncexec.array as xp
from asyncexec.errors import OptionError
from tests.array.direct import run
from tests.array.strategies import chunks_of, shapes, values

NUMERIC = ["int8", "int64", "uint8", "uint64", "float32", "float64", "complex64", "complex128"]
REAL = NUMERIC[:-2]


def axes_of(draw, ndim):
    kind = draw(st.sampled_from(["all", "one", "several"])) if ndim else "all"
    if kind == "all":
        return None
    if kind == "one":
        return draw(st.integers(-ndim, ndim - 1))
    return tuple(a for a in range(ndim) if draw(st.booleans()))


@given(st.data())
def test_reductions_in_any_tree(data):
    name = data.draw(st.sampled_from(["sum", "prod", "mean", "min", "max", "var", "std"]))
    dtype = data.draw(st.sampled_from(REAL if name in ("min", "max", "var", "std") else NUMERIC))
    shape = data.draw(shapes(side=st.integers(1, 9)))
    array = values(shape, dtype, data.draw(st.integers(0, 2**32 - 1)))
    if name == "prod" and array.dtype.kind in "iu":
        array = array % 2 + array.dtype.type(1)
    options = {
        "axis": axes_of(data.draw, len(shape)),
        "keepdims": data.draw(st.booleans()),
    }
    x = xp.asarray(array, chunks=data.draw(chunks_of(shape)))
    split = data.draw(st.sampled_from([None, 2, 3, 5]))
    wide = array.astype("complex128" if array.dtype.kind == "c" else "float64")
    expected = getattr(np, name)(
        array if name in ("sum", "prod", "min", "max") else wide, **options
    )
    found = getattr(xp, name)(x, **options, split_every=split)
    value = run(found)
    assert found.shape == value.shape == np.shape(expected)
    assert found.dtype == value.dtype
    np.testing.assert_allclose(value, expected, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize(
    "name, dtype, result",
    [
        ("sum", "int8", "int64"),
        ("sum", "uint8", "uint64"),
        ("sum", "bool", "int64"),
        ("sum", "float32", "float32"),
        ("sum", "complex64", "complex64"),
        ("prod", "int16", "int64"),
        ("mean", "float32", "float32"),
        ("mean", "int32", "float64"),
        ("mean", "complex64", "complex64"),
        ("var", "float32", "float32"),
        ("std", "int8", "float64"),
        ("max", "uint8", "uint8"),
    ],
)
def test_result_types_are_the_standards(name, dtype, result):
    x = xp.asarray(np.ones(5, dtype), chunks=2)
    found = getattr(xp, name)(x)
    assert found.dtype == result
    assert run(found).dtype == result


def test_a_type_may_be_asked_for():
    x = xp.asarray(np.full(300, 200, "uint8"), chunks=7)
    assert run(xp.sum(x, dtype=xp.float32)) == np.float32(60_000)
    assert run(xp.sum(x, dtype=xp.uint8)) == np.full(300, 200, "uint8").sum(dtype="uint8")


@pytest.mark.parametrize("chunk", [1, 17, 1000, 100_000])
def test_sums_of_single_precision_are_accumulated_in_double(rng, chunk):
    data = (rng.random(100_000) + 1e4).astype(np.float32)
    x = xp.asarray(data, chunks=max(chunk, 100))
    exact = math.fsum(data.tolist())
    assert run(xp.sum(x), checked=False) == np.float32(exact)
    assert run(xp.mean(x), checked=False) == np.float32(exact / len(data))


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e9])
def test_variance_bears_a_large_mean(rng, offset):
    spread = rng.normal(size=10_000)
    x = xp.asarray(spread + offset, chunks=123)
    exact = np.var((spread + offset).astype(np.longdouble) - offset)
    assert run(xp.var(x), checked=False) == pytest.approx(float(exact), rel=1e-7)


@pytest.mark.parametrize("correction", [0, 1, 1.5])
def test_the_correction_of_a_variance(rng, correction):
    data = rng.random((30, 4))
    x = xp.asarray(data, chunks=(7, 2))
    expected = np.sum((data - data.mean(0)) ** 2, axis=0) / (30 - correction)
    np.testing.assert_allclose(run(xp.var(x, axis=0, correction=correction)), expected)
    np.testing.assert_allclose(run(xp.std(x, axis=0, correction=correction)), np.sqrt(expected))


def test_a_correction_that_leaves_nothing_is_nan_or_infinite():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(run(xp.var(xp.ones(1), correction=1)))


def test_nan_spreads():
    x = xp.asarray([1.0, np.nan, 3.0, 4.0], chunks=1)
    for name in ("sum", "mean", "min", "max", "var"):
        assert np.isnan(run(getattr(xp, name)(x))), name


@pytest.mark.parametrize("name, empty", [("sum", 0.0), ("prod", 1.0), ("mean", np.nan)])
def test_reductions_of_nothing(name, empty):
    x = xp.zeros((3, 0), chunks=2)
    np.testing.assert_array_equal(run(getattr(xp, name)(x, axis=1)), np.full(3, empty))
    assert run(getattr(xp, name)(x, axis=0)).shape == (0,)


@pytest.mark.parametrize("name", ["min", "max", "argmin", "argmax"])
def test_there_is_no_extreme_of_nothing(name):
    with pytest.raises(ValueError, match=f"{name} of no elements"):
        getattr(xp, name)(xp.zeros((3, 0)), axis=1)


@given(st.data())
def test_any_and_all(data):
    shape = data.draw(shapes())
    array = values(shape, "bool", data.draw(st.integers(0, 2**32 - 1)))
    x = xp.asarray(array, chunks=data.draw(chunks_of(shape)))
    axis = axes_of(data.draw, len(shape))
    np.testing.assert_array_equal(run(xp.any(x, axis=axis)), np.any(array, axis=axis))
    np.testing.assert_array_equal(run(xp.all(x, axis=axis)), np.all(array, axis=axis))


@pytest.mark.parametrize("dtype", ["float64", "int16", "complex64"])
def test_any_and_all_of_numbers(dtype):
    data = np.asarray([[0, 1, 2], [0, 0, 0]], dtype)
    x = xp.asarray(data, chunks=1)
    np.testing.assert_array_equal(run(xp.any(x, axis=1)), [True, False])
    np.testing.assert_array_equal(run(xp.all(x, axis=1)), [False, False])


@given(st.data())
def test_where_the_first_extreme_is(data):
    shape = data.draw(shapes(side=st.integers(1, 6)))
    array = data.draw(st.sampled_from([np.float64, np.int8]))(
        np.random.default_rng(data.draw(st.integers(0, 2**32 - 1))).integers(0, 4, shape)
    )
    array = np.asarray(array)
    if array.dtype.kind == "f" and data.draw(st.booleans()):
        array = np.where(array == 2, np.nan, array)
    x = xp.asarray(array, chunks=data.draw(chunks_of(shape)))
    axis = data.draw(st.sampled_from([None, *range(len(shape))]))
    keepdims = data.draw(st.booleans())
    for ours, numpys in ((xp.argmax, np.argmax), (xp.argmin, np.argmin)):
        found = run(ours(x, axis=axis, keepdims=keepdims))
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, numpys(array, axis=axis, keepdims=keepdims))


def test_axes_are_checked():
    x = xp.ones((2, 3))
    with pytest.raises(IndexError):
        xp.sum(x, axis=2)
    with pytest.raises(ValueError, match="twice"):
        xp.sum(x, axis=(0, 0))
    with pytest.raises(OptionError, match="at least 2"):
        xp.sum(x, split_every=1)


def test_a_tree_has_as_many_levels_as_it_needs():
    x = xp.ones(1000, chunks=1)
    counts = [stage.tasks for stage in xp.sum(x, split_every=10).to_plan().stages]
    # The first pass takes fifteen chunks a task, one after another.
    assert counts == [67, 7, 1]


def test_a_single_chunk_is_reduced_by_one_stage():
    assert [
        s.tasks for s in xp.sum(xp.ones((10, 10), chunks=(5, 10)), axis=1).to_plan().stages
    ] == [2]


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", "complex64", "complex128"])
@pytest.mark.parametrize("name", ["min", "max", "argmin", "argmax", "any", "all"])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_every_type_that_numpy_orders_or_tests_is_taken(name, dtype, axis):
    data = values((5, 3), dtype, 11)
    data[1] = 0
    found = run(getattr(xp, name)(xp.asarray(data, chunks=2), axis=axis))
    expected = np.asarray(getattr(np, name)(data, axis=axis))
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(found, expected)
