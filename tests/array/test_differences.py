"""Differences, gradients, interpolation and integrals, against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec.array as xp
from tests.array.direct import run
from tests.array.strategies import DTYPES, chunks_of, values
from tests.profiles import examples


@st.composite
def operands(draw, dtypes=DTYPES, least=0, most_dims=3):
    """A lazy array with an axis, the NumPy array, and the axis."""
    sides = st.lists(st.integers(least, 8), min_size=1, max_size=most_dims)
    shape = tuple(draw(sides))
    data = values(shape, draw(st.sampled_from(dtypes)), draw(st.integers(0, 2**32 - 1)))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    return xp.asarray(data, chunks=draw(chunks_of(shape))), data, axis


def assert_near(found, expected):
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@settings(max_examples=examples(50))
@given(operands(), st.integers(0, 4), st.booleans(), st.booleans())
def test_differences_are_numpys(operand, n, prepend, append):
    x, data, axis = operand
    ends = {}
    if prepend:
        ends["prepend"] = np.take(np.ones_like(data, shape=(*data.shape,)), [], axis=axis)
    if append:
        ends["append"] = np.ones_like(
            data, shape=tuple(2 if a == axis % data.ndim else k for a, k in enumerate(data.shape))
        )
    found = xp.diff(x, axis=axis, n=n, **{k: xp.asarray(v, chunks=1) for k, v in ends.items()})
    value = run(found)
    assert (found.shape, found.dtype) == (value.shape, value.dtype)
    expected = np.diff(data, axis=axis, n=n, **ends)
    if data.dtype.kind in "fc":
        assert_near(value, expected)
    else:
        np.testing.assert_array_equal(value, expected)
        assert value.dtype == expected.dtype


@settings(max_examples=examples(25))
@given(operands(dtypes=["int16"], least=3, most_dims=2), st.data())
def test_a_part_of_the_differences_is_computed_of_what_is_around_it(operand, data):
    x, array, axis = operand
    expected = np.diff(array, axis=axis)
    key = tuple(data.draw(st.slices(n)) for n in expected.shape)
    np.testing.assert_array_equal(run(xp.diff(x, axis=axis)[key]), expected[key])
    block = tuple(slice(0, c) for c in x.node.chunks)
    np.testing.assert_array_equal(run(xp.diff(x, axis=axis)[block]), expected[block])


def test_a_scalar_may_stand_before_and_after():
    data = np.arange(6).reshape(2, 3) ** 2
    found = xp.diff(xp.asarray(data, chunks=2), axis=0, prepend=3, append=np.int64(7))
    np.testing.assert_array_equal(run(found), np.diff(data, axis=0, prepend=3, append=7))


def test_what_has_no_differences_is_refused():
    with pytest.raises(ValueError, match="at least one axis"):
        xp.diff(xp.ones(()))
    with pytest.raises(ValueError, match="n=-1"):
        xp.diff(xp.ones(3), n=-1)
    with pytest.raises(IndexError):
        xp.diff(xp.ones(3), axis=1)


def test_differences_over_a_million_chunks_are_one_stage():
    assert len(xp.diff(xp.ones((10**7,), chunks=10)).to_plan().stages) == 1


@settings(max_examples=15)
@given(operands(dtypes=["int16", "float64"]), st.booleans())
def test_differences_of_all_elements_are_numpys(operand, ends):
    x, data, _ = operand
    more = {"to_begin": [1, 2], "to_end": 5} if ends else {}
    np.testing.assert_array_equal(run(xp.ediff1d(x, **more)), np.ediff1d(data, **more))


@settings(max_examples=examples(40))
@given(
    operands(dtypes=["float64", "float32", "int16", "complex128"], least=3),
    st.sampled_from(["one", "number", "coordinates", "lazy"]),
    st.sampled_from([1, 2]),
)
def test_gradients_are_numpys(operand, spacing, edge_order):
    x, data, axis = operand
    length = data.shape[axis]
    places = np.cumsum(np.arange(1, length + 1) ** 0.5)
    numpys = {"one": (), "number": (0.5,)}.get(spacing, (places,))
    ours = (xp.asarray(places, chunks=2),) if spacing == "lazy" else numpys
    found = run(xp.gradient(x, *ours, axis=axis, edge_order=edge_order))
    wide = data.astype(float) if data.dtype.kind == "i" else data
    assert_near(found, np.gradient(wide, *numpys, axis=axis, edge_order=edge_order))


def test_a_gradient_of_several_axes_is_a_tuple():
    data = values((5, 6, 3), "float64", 2)
    x = xp.asarray(data, chunks=(2, 3, 1))
    for options, spacings in (({}, ()), ({"axis": (2, 0)}, (2.0, np.arange(5.0) ** 2))):
        ours = xp.gradient(x, *spacings, **options)
        numpys = np.gradient(data, *spacings, **options)
        assert isinstance(ours, tuple)
        for found, expected in zip(ours, numpys, strict=True):
            assert_near(run(found), expected)


def test_what_has_no_gradient_is_refused():
    with pytest.raises(ValueError, match="at least 3 elements"):
        xp.gradient(xp.ones(2), edge_order=2)
    with pytest.raises(TypeError, match="bool"):
        xp.gradient(xp.asarray([True, False]))
    with pytest.raises(ValueError, match=r"\(4,\) do not fit"):
        xp.gradient(xp.ones(3), np.arange(4.0))
    with pytest.raises(TypeError, match="3 spacings for 2 axes"):
        xp.gradient(xp.ones((3, 3)), 1, 2, 3)
    with pytest.raises(ValueError, match="edge_order=3"):
        xp.gradient(xp.ones(3), edge_order=3)


@settings(max_examples=examples(30))
@given(operands(dtypes=["float64", "int16", "float32"]), st.data())
def test_interpolation_is_numpys(operand, data):
    x, array, _ = operand
    places = np.sort(values((6,), "float64", 3))
    heights = values((6,), data.draw(st.sampled_from(["float64", "complex128", "int16"])), 4)
    options = data.draw(
        st.sampled_from([{}, {"left": -1.0}, {"right": 2.0, "left": 0.0}, {"period": 1.5}])
    )
    lazy = data.draw(st.booleans())
    points = [xp.asarray(p, chunks=2) for p in (places, heights)] if lazy else [places, heights]
    assert_near(run(xp.interp(x, *points, **options)), np.interp(array, places, heights, **options))


def test_points_that_cannot_be_interpolated_are_refused():
    x = xp.ones(3)
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        xp.interp(x, [0, 1], [0, 1, 2])
    with pytest.raises(ValueError, match="period of 0"):
        xp.interp(x, [0, 1], [0, 1], period=0)
    with pytest.raises(TypeError, match="complex"):
        xp.interp(x + 1j, [0, 1], [0, 1])


@settings(max_examples=examples(40))
@given(
    operands(dtypes=["float64", "float32", "int16", "complex128"]),
    st.sampled_from(["apart", "along", "each"]),
)
def test_integrals_are_numpys(operand, kind):
    x, data, axis = operand
    wide = data.astype(float) if data.dtype.kind == "i" else data
    if kind == "apart":
        found, expected = xp.trapezoid(x, dx=0.5, axis=axis), np.trapezoid(wide, dx=0.5, axis=axis)
    else:
        shape = (data.shape[axis],) if kind == "along" else data.shape
        places = values(shape, "float64", 9).astype(wide.real.dtype)
        found, expected = xp.trapezoid(x, places, axis=axis), np.trapezoid(wide, places, axis=axis)
    assert found.dtype == wide.dtype
    np.testing.assert_allclose(run(found), expected, rtol=1e-4, atol=1e-5)


def test_coordinates_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"\(4,\) do not fit axis 0"):
        xp.trapezoid(xp.ones(3), np.arange(4.0))


def test_differences_are_computed_on_an_executor():
    data = values((30, 4), "float64", 8)
    x = xp.asarray(data, chunks=(4, 3))
    found = xp.diff(x, axis=0) * 2
    assert_near(found.compute(executor="threads"), np.diff(data, axis=0) * 2)


def test_times_and_text_are_refused_at_once():
    times = np.arange(4).astype("datetime64[D]")
    for refused in (
        lambda: xp.gradient(xp.asarray(times)),
        lambda: xp.trapezoid(xp.asarray(times)),
        lambda: xp.trapezoid(xp.ones(4), times),
        lambda: xp.interp(xp.ones(4), times, np.arange(4)),
        lambda: xp.isclose(xp.asarray(times), xp.asarray(times)),
    ):
        with pytest.raises(TypeError, match="does not take elements of type datetime64"):
            refused()
    assert run(xp.ptp(xp.asarray(times, chunks=2))) == np.timedelta64(3, "D")
