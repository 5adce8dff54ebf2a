"""NumPy's functions on elements and arguments at the edges: text of no axes, missing times, `where=`, q of 0 and 1."""

import numpy as np
import pytest

import asyncexec.array as xp
from asyncexec.array import Spec
from tests.array.direct import run

TIMES = np.array([3, "NaT", 5, 1, "NaT", 5], "M8[D]")
NUMBERS = np.array([[1.5, -0.0, np.inf], [4.0, 2.5, -np.inf], [7.0, 2.5, 1.0]], np.float32)
TAKEN = np.array([[True, False, True], [True, False, False], [False, False, True]])


def lazy(values, chunks=2, **options):
    return xp.asarray(values, chunks=chunks if values.ndim else (), **options)


@pytest.mark.parametrize("text", [np.array("bc", "U5"), np.array(b"a", "S3")])
def test_text_without_axes_keeps_the_length_of_its_type(text):
    x = lazy(text)
    assert run(x).dtype == run(xp.flip(x)).dtype == run(xp.stack([x, x])).dtype == text.dtype
    assert run(xp.unique(x)).dtype == text.dtype


@pytest.mark.parametrize("values", [TIMES, TIMES - TIMES[0], NUMBERS * np.nan, NUMBERS])
def test_unique_takes_what_is_missing_for_one_value(values):
    wanted = np.unique(values, return_index=True, return_inverse=True, return_counts=True)
    found = np.unique(lazy(values), return_index=True, return_inverse=True, return_counts=True)
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(run(ours), theirs)


@pytest.mark.parametrize("name", ["mean", "var", "std", "sum", "prod", "any", "all"])
@pytest.mark.parametrize("axis", [None, 0, (0, 1)])
def test_a_reduction_of_some_elements_is_numpys(name, axis):
    function, values = getattr(np, name), NUMBERS[:, :2]
    taken = TAKEN[:, [0, 2]]
    wanted = function(values, axis=axis, where=taken)
    found = function(lazy(values), axis=axis, where=lazy(taken))
    assert found.dtype == np.asarray(wanted).dtype
    np.testing.assert_allclose(run(found), wanted, rtol=1e-6)


@pytest.mark.parametrize("name", ["mean", "var", "std"])
def test_elements_become_the_given_type_before_they_are_added(name):
    function, values = getattr(np, name), np.arange(6, dtype=np.int16)
    found = function(lazy(values), dtype=np.float32)
    assert found.dtype == np.float32
    np.testing.assert_allclose(run(found), function(values, dtype=np.float32), rtol=1e-6)


@pytest.mark.parametrize("name", ["any", "all"])
def test_of_text_and_times_some_are_reduced_to_a_truth(name):
    function = getattr(np, name)
    for values in (np.array(["", "a", ""]), TIMES[:3]):
        for taken in ([True, False, True], [False, True, False]):
            found = function(lazy(values), where=lazy(np.array(taken)))
            assert bool(run(found)) == bool(function(values, where=taken))


def test_a_value_to_begin_with_becomes_an_element():
    truths = np.array([True, False])
    assert run(np.max(lazy(truths), initial=0)).dtype == np.bool_
    assert run(np.prod(lazy(np.array([1, 2], np.int8)), initial=3)) == 6


@pytest.mark.parametrize("q", [0, 1, [0, 1]])
@pytest.mark.parametrize("values", [NUMBERS, np.array([3, 1, 2], np.int8)])
def test_whole_quantiles_are_elements(q, values):
    wanted = np.quantile(values, q, axis=0)
    found = np.quantile(lazy(values), q, axis=0)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(run(found), wanted)


@pytest.mark.parametrize("memory", ["2GB", "100.6MB"])
@pytest.mark.parametrize("name", ["nanquantile", "quantile"])
def test_missing_times_are_left_out_of_quantiles(name, memory):
    values = np.tile(TIMES, 4000) if memory != "2GB" else TIMES
    x = lazy(values, chunks=2000, spec=Spec(allowed_mem=memory, executor="serial"))
    wanted = getattr(np, name)(values, [0.25, 0.5])
    np.testing.assert_array_equal(run(getattr(np, name)(x, [0.25, 0.5]), checked=False), wanted)


@pytest.mark.parametrize("order", ["C", "F", "A"])
def test_the_order_of_elements_is_that_which_is_asked_for(order):
    values = np.arange(24).reshape(2, 3, 4)
    for shape in (-1, (4, 6), (3, -1)):
        wanted = np.reshape(values, shape, order=order)
        np.testing.assert_array_equal(run(np.reshape(lazy(values), shape, order=order)), wanted)
    np.testing.assert_array_equal(run(np.ravel(lazy(values), order)), np.ravel(values, order))


def test_covariances_are_computed_in_double_precision():
    values = np.arange(6, dtype=np.float32).reshape(2, 3) ** 2
    for function in (np.cov, np.corrcoef):
        wanted = function(values)
        assert function(lazy(values)).dtype == wanted.dtype
        np.testing.assert_allclose(run(function(lazy(values))), wanted)


@pytest.mark.parametrize("values", [TIMES, np.array(["a", "bc"]), np.array([1 + 2j, 3])])
def test_a_diagonal_stands_among_elements_that_are_empty(values):
    for k in (0, 1):
        wanted = np.zeros((len(values) + k,) * 2, values.dtype)
        wanted[np.arange(len(values)), np.arange(len(values)) + k] = values
        np.testing.assert_array_equal(run(xp.diag(lazy(values), k=k)), wanted)


def test_complex_numbers_become_text_with_both_parts():
    values = np.array([1 + 2j, -3.5j])
    np.testing.assert_array_equal(run(lazy(values).astype("U8")), values.astype("U8"))


@pytest.mark.parametrize("order", ["C", "F"])
def test_numbers_of_elements_become_places(order):
    numbers = np.array([[0, 7, 23], [5, 11, 12]])
    found = np.unravel_index(lazy(numbers), (2, 3, 4), order)
    for ours, theirs in zip(found, np.unravel_index(numbers, (2, 3, 4), order), strict=True):
        np.testing.assert_array_equal(run(ours), theirs)


@pytest.mark.parametrize(
    "values",
    [
        np.array(["b", "", "abc", "b"]),
        np.array([b"b", b""]),
        np.array(["2000-01-03", "NaT", "1970-01-01"], "datetime64[D]"),
        np.array([5, 0, -3], "m8[s]"),
        np.array([(1, 2.0), (0, 0.0)], [("a", "i4"), ("b", "f8")]),
    ],
)
def test_elements_of_every_kind_are_counted_where_they_are_not_zero(values):
    lazy = xp.asarray(values, chunks=2)
    assert run(xp.count_nonzero(lazy)) == np.count_nonzero(values)
    assert run(np.count_nonzero(lazy)) == np.count_nonzero(values)
