"""NumPy's functions on elements and arguments at the edges: text of no axes, missing times, `where=`, q of 0 and 1."""

import numpy as np
import pytest

import asyncexec.array as xp
from asyncexec.array import Spec
from tests.array.direct import run

TIMES = np.array([3, "NaT", 5, 1, "NaT", 5], "M8[D]")
NUMBERS = np.array([[1.5, -0.0, np.inf], [4.0, 2.5, -np.inf], [7.0, 2.5, 1.0]], np.float32)
FINITE = np.array([[1.5, -0.0, 3.0], [4.0, 2.5, -6.0], [7.0, 2.5, 1.0]], np.float32)
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


@pytest.mark.parametrize("name", ["nanmax", "nanmin", "nansum", "nanprod"])
@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("values", [FINITE, FINITE.astype(np.complex64), np.zeros((0, 3))])
def test_a_reduction_without_nan_begins_with_the_value_that_is_given(name, axis, values):
    values = np.where(np.eye(*values.shape, dtype=bool), np.nan, values)
    function, options = getattr(np, name), {"axis": axis, "initial": 3}
    np.testing.assert_allclose(
        run(function(lazy(values), **options)), function(values, **options), rtol=1e-6
    )
    taken = TAKEN[: len(values)]
    wanted = function(values, where=taken, **options)
    np.testing.assert_allclose(
        run(function(lazy(values), where=lazy(taken), **options)), wanted, rtol=1e-6
    )


@pytest.mark.parametrize("ufunc", [np.logical_and, np.logical_or, np.fmax, np.fmin])
@pytest.mark.parametrize("initial", [0, 1])
def test_reductions_by_universal_functions_begin_with_the_value_that_is_given(ufunc, initial):
    values = np.array([[True, False], [True, True]])
    wanted = ufunc.reduce(values, axis=0, initial=bool(initial))
    found = ufunc.reduce(lazy(values), axis=0, initial=bool(initial))
    np.testing.assert_array_equal(run(found), wanted)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.max(x, initial=300),
        lambda x: np.min(x, initial=-1),
        lambda x: np.prod(x, initial=-1),
        lambda x: np.sum(x, dtype=np.uint8, initial=300),
        lambda x: np.nanmax(x, initial=300),
        lambda x: np.max(x, where=x > 5, initial=-7),
        lambda x: np.maximum.reduce(x, initial=256),
        lambda x: np.max(x[:0], initial=300),
    ],
)
def test_a_value_to_begin_with_that_the_type_cannot_hold_is_refused(call):
    values = np.array([1, 2, 3], np.uint8)
    for given in (values, lazy(values)):
        with pytest.raises(OverflowError, match=r"out of (range|bounds) for uint"):
            call(given)
    with pytest.raises(OverflowError, match="out of range for uint8"):
        np.max(lazy(values), initial=np.int64(300))


def test_a_value_to_begin_with_has_the_type_of_the_elements():
    values = np.array([1, 2, 3], np.uint8)
    for some in (values, values[:0]):
        found, wanted = run(np.max(lazy(some), initial=2.5)), np.max(some, initial=2.5)
        assert (found.dtype, found) == (wanted.dtype, wanted)


@pytest.mark.parametrize("name", ["nanmean", "nanvar", "nanstd"])
@pytest.mark.parametrize("values", [FINITE, np.arange(9).reshape(3, 3)])
def test_moments_without_nan_are_those_of_some_elements(name, values):
    function, taken = getattr(np, name), TAKEN
    wanted = function(values, axis=1, where=taken)
    found = function(lazy(values), axis=1, where=lazy(taken))
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(run(found), wanted, rtol=1e-6)


@pytest.mark.parametrize("name", ["mean", "nanmean"])
@pytest.mark.parametrize("dtype", ["int64", "complex128", "float32"])
def test_a_mean_has_the_type_that_is_given(name, dtype):
    function, values = getattr(np, name), np.array([[1, 2], [4, 5]])
    found, wanted = function(lazy(values), dtype=dtype), function(values, dtype=dtype)
    assert found.dtype == wanted.dtype
    assert run(found) == wanted


@pytest.mark.parametrize("name", ["var", "std", "nanvar", "nanstd"])
def test_deviations_have_the_type_that_is_given_or_it_is_refused(name):
    function, values = getattr(np, name), np.array([[1, 2], [4, 6]])
    found, wanted = function(lazy(values), dtype=np.complex64), function(values, dtype=np.complex64)
    assert found.dtype == wanted.dtype == np.complex64
    np.testing.assert_allclose(run(found), wanted, rtol=1e-6)
    with pytest.raises(TypeError, match="cut off the fractions"):
        function(lazy(values), dtype=np.int64)


@pytest.mark.parametrize("name", ["sort", "argsort"])
def test_without_an_axis_all_elements_are_sorted(name):
    values = np.array([[5, 1, 4], [0, 3, 2]])
    found = getattr(np, name)(lazy(values), axis=None)
    np.testing.assert_array_equal(run(found), getattr(np, name)(values, axis=None))


@pytest.mark.parametrize("name", ["union1d", "intersect1d", "setdiff1d", "setxor1d"])
@pytest.mark.parametrize("other", [3, [1, 2], np.float32(7), (5,)])
def test_set_operations_take_numbers_and_lists(name, other):
    values, function = np.array([3, 1, 2, 3]), getattr(np, name)
    for pair in ((0, 1), (1, 0)):
        both = [(values, other)[k] for k in pair]
        ours = [lazy(v) if v is values else v for v in both]
        found, wanted = function(*ours), function(*both)
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(run(found), wanted)
    assert bool(run(np.array_equal(lazy(values), [3, 1, 2, 3])))
    assert not bool(run(np.array_equal(3, lazy(values))))


@pytest.mark.parametrize("number", [2, 1.5, np.int8(3)])
def test_the_inner_product_with_a_number_is_a_multiple(number):
    values = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(run(np.inner(lazy(values), number)), np.inner(values, number))
    np.testing.assert_array_equal(run(np.inner(number, lazy(values))), np.inner(number, values))


@pytest.mark.parametrize("dtype", ["int64", "bool", "uint8"])
@pytest.mark.parametrize(
    "name",
    ["inv", "det", "pinv", "matrix_rank", "svdvals", "vector_norm", "matrix_norm", "eigvalsh"],
)
def test_linear_algebra_takes_integers_as_floats(name, dtype):
    values = np.array([[1, 1], [0, 1]]).astype(dtype)
    values = values | values.T if name == "eigvalsh" else values
    function = getattr(np.linalg, name)
    np.testing.assert_allclose(run(function(lazy(values))), function(values), rtol=1e-6, atol=1e-12)


def test_factors_of_integers_are_those_of_floats():
    values = np.array([[2, 1], [1, 3], [0, 4]])
    for mode in ("reduced", "complete", "r"):
        found, wanted = np.linalg.qr(lazy(values), mode=mode), np.linalg.qr(values, mode=mode)
        for ours, theirs in zip(*([x] if mode == "r" else x for x in (found, wanted)), strict=True):
            np.testing.assert_allclose(np.abs(run(ours)), np.abs(theirs), rtol=1e-6, atol=1e-12)
    found = np.linalg.svd(lazy(values), compute_uv=False)
    np.testing.assert_allclose(run(found), np.linalg.svd(values, compute_uv=False), rtol=1e-6)


@pytest.mark.parametrize("name", ["inv", "det", "eigvals", "matrix_power", "slogdet"])
@pytest.mark.parametrize("shape", [(2, 3), (3,), (0, 2)])
def test_what_is_no_square_matrix_is_refused_as_by_numpy(name, shape):
    more = (2,) if name == "matrix_power" else ()
    for values in (np.ones(shape), lazy(np.ones(shape))):
        with pytest.raises(np.linalg.LinAlgError):
            getattr(np.linalg, name)(values, *more)


@pytest.mark.parametrize("mode", ["clip", "wrap"])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_places_out_of_range_are_clipped_or_wrapped(mode, axis):
    values, places = np.arange(6).reshape(2, 3), np.array([[-7, 0], [2, 9]])
    wanted = np.take(values, places, axis=axis, mode=mode)
    for given in (places, lazy(places)):
        found = np.take(lazy(values), given, axis=axis, mode=mode)
        np.testing.assert_array_equal(run(found), wanted)
    with pytest.raises(ValueError, match="none of"):
        np.take(lazy(values), 0, mode="bounce")


@pytest.mark.parametrize("name", ["tril", "triu"])
@pytest.mark.parametrize("k", [-1, 0, 2])
def test_a_triangle_of_one_axis_is_one_of_its_rows(name, k):
    values, function = np.arange(1, 4), getattr(np, name)
    np.testing.assert_array_equal(run(function(lazy(values), k)), function(values, k))


@pytest.mark.parametrize("name", ["quantile", "nanquantile", "percentile", "nanpercentile"])
def test_quantiles_of_a_table_have_its_axes_first(name):
    values, function = np.arange(12.0).reshape(3, 4), getattr(np, name)
    q = [[0.1, 0.5, 0.9], [0.0, 1.0, 0.3]]
    for axis in (None, 0, (0, 1)):
        found, wanted = function(lazy(values), q, axis=axis), function(values, q, axis=axis)
        assert found.shape == wanted.shape
        np.testing.assert_allclose(run(found), wanted)


def test_what_numpy_has_a_default_for_need_not_be_given():
    start, stop = xp.asarray(0.0), xp.asarray(1.0)
    np.testing.assert_array_equal(run(np.linspace(start, stop)), np.linspace(0.0, 1.0))
    np.testing.assert_array_equal(run(np.linspace(start, 1.0, 5)), np.linspace(0.0, 1.0, 5))
