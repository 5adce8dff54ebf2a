"""Every elementwise function and operator, against NumPy's, for every element type."""

import operator
import warnings
from functools import partial

import numpy as np
import pytest

import asyncexec.array as xp
from tests.array.direct import run
from tests.array.names import BINARY, OPERATORS, UNARY
from tests.array.strategies import values

DTYPES = [
    "bool",
    "int8",
    "int64",
    "uint8",
    "uint32",
    "float32",
    "float64",
    "complex64",
    "complex128",
]
RENAMED = {
    "acos": "arccos",
    "acosh": "arccosh",
    "asin": "arcsin",
    "asinh": "arcsinh",
    "atan": "arctan",
    "atan2": "arctan2",
    "atanh": "arctanh",
    "bitwise_invert": "invert",
    "bitwise_left_shift": "left_shift",
    "bitwise_right_shift": "right_shift",
    "pow": "power",
}


def numpys(name):
    return getattr(np, RENAMED.get(name, name))


def outcome(function, *operands):
    """What the function makes of the operands, or the kind of error that it raises."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return np.asarray(function(*operands))
        except TypeError:  # NumPy's own kinds of it are none of the standard's.
            return TypeError
        except OverflowError:
            return OverflowError


def check(ours, expected, *operands):
    if isinstance(expected, type):
        with pytest.raises(expected):
            ours(*operands)
        return
    found = ours(*operands)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    value = run(found, checked=False)
    assert value.dtype == expected.dtype
    np.testing.assert_allclose(value, expected, rtol=1e-6)


def small(shape, dtype, seed):
    """Values that shifts and powers bear."""
    found = values(shape, dtype, seed)
    return found % 5 + np.dtype(dtype).type(1) if np.dtype(dtype).kind in "iu" else found


@pytest.mark.parametrize("name", UNARY)
def test_unary_functions_of_every_type(name):
    for dtype in DTYPES:
        data = small((3, 5), dtype, 1)
        check(getattr(xp, name), outcome(numpys(name), data), xp.asarray(data, chunks=2))


@pytest.mark.parametrize("name", BINARY)
def test_binary_functions_of_every_type_broadcast(name):
    for dtype in DTYPES:
        one, other = small((3, 5), dtype, 1), small((5,), dtype, 2)
        expected = outcome(numpys(name), one, other)
        check(getattr(xp, name), expected, xp.asarray(one, chunks=2), xp.asarray(other, chunks=3))


@pytest.mark.parametrize("second", ["int16", "uint64", "float32", "complex64", "bool"])
def test_types_are_promoted_as_numpy_promotes_them(second):
    for first in DTYPES:
        one, other = values((4,), first, 1), values((4,), second, 2)
        check(xp.add, outcome(np.add, one, other), xp.asarray(one, chunks=3), xp.asarray(other))


@pytest.mark.parametrize("scalar", [2, 2.5, True, 1j, np.float32(1.5), np.int8(3), 300, -1])
def test_python_scalars_are_weak_and_numpy_scalars_are_not(scalar):
    for dtype in DTYPES:
        data = values((4,), dtype, 1)
        x = xp.asarray(data, chunks=3)
        check(operator.mul, outcome(operator.mul, data, scalar), x, scalar)
        check(partial(operator.mul, scalar), outcome(operator.mul, scalar, data), x)


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_work_from_both_sides(name):
    function = getattr(operator, name)
    dtype = "int64"
    one, other = small((3, 4), dtype, 1), small((4,), dtype, 2)
    x, y = xp.asarray(one, chunks=2), xp.asarray(other, chunks=2)
    check(function, function(one, other), x, y)
    check(function, function(one, 3), x, 3)
    check(lambda a: function(3, a), function(3, one), x)
    check(lambda a: function(other, a), function(other, one), x)


@pytest.mark.parametrize("name", ["neg", "pos", "abs", "invert"])
def test_unary_operators(name):
    function = getattr(operator, name)
    data = values((5,), "int32", 1)
    check(function, function(data), xp.asarray(data, chunks=2))


def test_an_array_of_numpy_leaves_the_operator_to_ours():
    found = np.ones(3) + xp.ones(3)
    assert isinstance(found, xp.Array)


@pytest.mark.parametrize("bounds", [(2, 7), (None, 5), (4, None), (2.5, None), (None, None)])
def test_clip(bounds):
    data = np.arange(10)
    expected = data if bounds == (None, None) else np.clip(data, *bounds)
    check(lambda x: xp.clip(x, *bounds), expected, xp.asarray(data, chunks=3))


def test_clip_to_arrays():
    data, low = np.arange(10.0), np.full(10, 3.0)
    x = xp.clip(xp.asarray(data, chunks=3), xp.asarray(low, chunks=4), 6.0)
    np.testing.assert_array_equal(run(x), np.clip(data, low, 6.0))


def test_where_takes_arrays_and_scalars():
    data = np.arange(12).reshape(3, 4)
    x = xp.asarray(data, chunks=2)
    check(lambda a: xp.where(a > 5, a, -1), np.where(data > 5, data, -1), x)
    check(lambda a: xp.where(a > 5, 1.5, a), np.where(data > 5, 1.5, data), x)


@pytest.mark.parametrize("to", DTYPES)
@pytest.mark.parametrize("dtype", ["int16", "float64", "bool"])
def test_astype(dtype, to):
    data = np.abs(values((6,), dtype, 3).astype("float64")).astype(dtype)
    check(lambda x: xp.astype(x, to), data.astype(to), xp.asarray(data, chunks=4))


def test_astype_to_its_own_type_is_the_array_itself():
    x = xp.ones(3)
    assert xp.astype(x, xp.float64, copy=False) is x
    assert xp.astype(x, xp.float64).node is x.node


def test_computing_nan_and_infinity_does_not_warn():
    x = xp.asarray([0.0, -1.0], chunks=1)
    np.testing.assert_array_equal(run(1 / x), [np.inf, -1.0])
    np.testing.assert_array_equal(run(xp.sqrt(x)), [0.0, np.nan])


@pytest.mark.parametrize("dtype", ["object", "longdouble", [("x", "O")]])
def test_other_element_types_are_refused(dtype):
    with pytest.raises(TypeError, match="not supported"):
        xp.asarray(np.zeros(3, dtype))


def test_operands_that_are_no_arrays_are_refused():
    x = xp.ones(3)
    with pytest.raises(TypeError, match="unsupported operand"):
        x + "text"
    with pytest.raises(TypeError, match="make one with asarray"):
        xp.sin([1, 2])
    with pytest.raises(TypeError, match="list cannot stand beside an array"):
        xp.add(x, [1, 2])


def test_shapes_that_do_not_broadcast_are_named():
    with pytest.raises(ValueError, match=r"\(3,\) and \(4,\) do not broadcast"):
        xp.ones(3) + xp.ones(4)


@pytest.mark.parametrize(
    "convert, value", [(int, 3), (float, 2.5), (bool, True), (complex, 1 + 2j)]
)
def test_an_array_without_axes_converts_to_a_scalar(convert, value):
    assert convert(xp.asarray(value)) == value
    with pytest.raises(TypeError, match="without axes"):
        convert(xp.ones(2))


def test_an_integer_without_axes_is_an_index():
    assert [10, 20, 30][xp.asarray(1)] == 20
    with pytest.raises(TypeError, match="integer array"):
        operator.index(xp.asarray(1.0))


def test_numpy_asks_for_the_values():
    x = xp.arange(5, chunks=2)
    np.testing.assert_array_equal(np.asarray(x), np.arange(5))
    np.testing.assert_array_equal(np.asarray(x, dtype="float32"), np.arange(5, dtype="float32"))
    with pytest.raises(ValueError, match="copy"):
        np.asarray(x, copy=False)
