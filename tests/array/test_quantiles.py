"""Quantiles are NumPy's, whether lines fit into a task or are sorted through a network of merges."""

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.array.quantile_kernels import METHODS
from tests.array.direct import run
from tests.array.strategies import chunks_of, shapes, values
from tests.array.test_sorting import blocks_of, with_ties
from tests.profiles import examples

REAL = [np.float64, np.float32, np.int64, np.int16, np.uint8]
SIZES = st.sampled_from([40, 10**6])


@st.composite
def reduced_arrays(draw, dtypes=REAL):
    """A lazy array, the NumPy array it is made of, and axes of one element or more."""
    shape = draw(shapes(side=st.integers(1, 6)))
    make = draw(st.sampled_from([values, with_ties]))
    data = make(shape, draw(st.sampled_from(dtypes)), draw(st.integers(0, 999)))
    some = st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True) if shape else st.none()
    axis = draw(st.one_of(st.none(), some))
    axis = axis if axis is None else tuple(axis)
    return xp.asarray(data, chunks=draw(chunks_of(shape))), np.asarray(data), axis


def quietly(function, *arguments, **options):
    """NumPy's result without its warnings of lines of nothing but NaN, and of infinity."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return function(*arguments, **options)


def check(found, expected):
    assert found.shape == np.shape(expected)
    assert found.dtype == np.asarray(expected).dtype
    np.testing.assert_allclose(run(found), expected, rtol=1e-5, atol=1e-6)


@settings(max_examples=examples(60))
@given(
    reduced_arrays(),
    st.sampled_from(METHODS),
    st.one_of(
        st.floats(0, 1, width=16), st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]), max_size=3)
    ),
    st.booleans(),
    SIZES,
)
def test_quantiles_are_those_of_numpy(case, method, q, keepdims, size):
    x, data, axis = case
    options = {"axis": axis, "method": method, "keepdims": keepdims}
    with blocks_of(size):
        found = xp.quantile(x, q, **options)
    check(found, quietly(np.quantile, data, q, **options))


@settings(max_examples=examples(40))
@given(reduced_arrays(), st.sampled_from(METHODS), st.booleans(), SIZES)
def test_nan_is_left_out_as_by_numpy(case, method, keepdims, size):
    x, data, axis = case
    # Of nothing but NaN, NumPy's element type is another than of numbers.
    assume(not data.size or not np.isnan(data.astype(float)).all())
    options = {"axis": axis, "method": method, "keepdims": keepdims}
    with blocks_of(size):
        found = xp.nanquantile(x, [0.0, 0.3, 0.75, 1.0], **options)
    check(found, quietly(np.nanquantile, data, [0.0, 0.3, 0.75, 1.0], **options))


@settings(max_examples=examples(40))
@given(reduced_arrays([*REAL, np.bool_, np.float16]), st.booleans(), SIZES)
def test_medians_are_those_of_numpy(case, keepdims, size):
    x, data, axis = case
    with blocks_of(size):
        found = xp.median(x, axis=axis, keepdims=keepdims)
        of_numbers = xp.nanmedian(x, axis=axis, keepdims=keepdims)
    check(found, quietly(np.median, data, axis=axis, keepdims=keepdims))
    check(of_numbers, quietly(np.nanmedian, data, axis=axis, keepdims=keepdims))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [1, 2, 9, 10])
def test_each_method_picks_the_same_of_sorted_blocks(method, n):
    data, q = values((n,), "float64", n), np.linspace(0, 1, 21)
    with blocks_of(24):
        found = xp.quantile(xp.asarray(data, chunks=4), q, method=method)
    np.testing.assert_allclose(
        run(found, checked=False), np.quantile(data, q, method=method), atol=1e-12
    )


@pytest.mark.parametrize("size", [4, 10**6])
def test_differences_of_short_integers_do_not_overflow(size):
    with blocks_of(size):
        found = xp.quantile(xp.asarray(np.array([-128] * 4 + [127] * 4, np.int8), chunks=3), 0.5)
    assert run(found) == -0.5


@pytest.mark.parametrize("method", ["linear", "inverted_cdf", "hazen", "lower"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
@pytest.mark.parametrize("q", [np.float32(0.3), np.array([0.3, 0.7], np.float32), [[0.1, 0.9]]])
def test_quantiles_have_the_precision_and_the_axes_of_q(q, dtype, method):
    data = (np.random.default_rng(0).normal(size=(5, 4)) * 9).astype(dtype)
    x = xp.asarray(data, chunks=2)
    for name in ("quantile", "nanquantile", "percentile"):
        wanted = getattr(np, name)(data, q, axis=0, method=method)
        found = run(getattr(xp, name)(x, q, axis=0, method=method))
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_percentiles_are_a_hundred_times_quantiles():
    data = with_ties((30,), "float64", 1)
    x = xp.asarray(data, chunks=7)
    np.testing.assert_allclose(run(xp.nanpercentile(x, [10, 50])), np.nanpercentile(data, [10, 50]))
    numbers = xp.arange(30, chunks=7)
    np.testing.assert_allclose(run(xp.percentile(numbers, 30)), np.percentile(np.arange(30), 30))


def test_a_median_of_no_elements_is_nan():
    assert np.isnan(run(xp.median(xp.zeros((0,)))))
    assert run(xp.nanmedian(xp.zeros((0, 2)), axis=0)).shape == (2,)
    assert run(xp.median(xp.zeros((0, 2)), axis=1)).shape == (0,)


def test_complex_numbers_have_a_median():
    data = with_ties((4, 9), "complex128", 2)
    np.testing.assert_array_equal(
        run(xp.nanmedian(xp.asarray(data, chunks=3), axis=1)),
        quietly(np.nanmedian, data, axis=1),
    )


def test_lines_beyond_memory_are_sorted_within_it():
    spec = ax.Spec(allowed_mem="110MB", reserved_mem="100MB")
    x = xp.ones((1000, 1000, 10), chunks=(100, 100, 10), spec=spec)
    for found in (xp.quantile(x, [0.1, 0.5], axis=(0, 1)), xp.nanmedian(x)):
        assert all(stage.memory.fits for stage in found.to_plan().stages)


def test_lines_in_a_million_chunks_are_one_stage():
    x = xp.ones((10**6, 4), chunks=(1, 4))
    assert len(xp.quantile(x, 0.5, axis=1).to_plan().stages) == 1


def test_threads_find_the_same():
    data = with_ties((3, 40), "float64", 5)
    found = xp.nanquantile(xp.asarray(data, chunks=(2, 9)), [0.2, 0.7], axis=1)
    np.testing.assert_allclose(
        found.compute(executor="threads"), np.nanquantile(data, [0.2, 0.7], axis=1)
    )


def test_what_has_no_quantiles_is_refused_at_once():
    x = xp.ones(3)
    with pytest.raises(ValueError, match=r"takes a q from 0 to 1, and got 1\.5"):
        xp.quantile(x, 1.5)
    with pytest.raises(ValueError, match="takes a q from 0 to 100"):
        xp.percentile(x, [-1, 50])
    with pytest.raises(ValueError, match=r"method='mean'\): use one of 'inverted_cdf'"):
        xp.quantile(x, 0.5, method="mean")
    with pytest.raises(ValueError, match=r"quantile of no elements: shape \(0, 2\) along axis 0"):
        xp.quantile(xp.ones((0, 2)), 0.5, axis=0)
    with pytest.raises(TypeError, match="takes a q in memory: compute it before"):
        xp.quantile(x, x)
    with pytest.raises(TypeError, match="takes real numbers, and got complex128"):
        xp.quantile(x + 1j, 0.5)
    with pytest.raises(TypeError, match="which bool has no subtraction for"):
        xp.quantile(x > 0, 0.5)
    with pytest.raises(np.exceptions.AxisError):
        xp.median(x, axis=1)
