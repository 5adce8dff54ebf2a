"""Functions of square matrices, norms and diagonals, against NumPy and against what defines them."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.array.cholesky_factors import blocked_cholesky
from asyncexec.errors import MemoryBudgetError
from tests.array.direct import run
from tests.array.names import names
from tests.array.strategies import chunks_of, values
from tests.profiles import examples

TYPES = ["float32", "float64", "complex64", "complex128"]
TOLERANCE = {"float32": 2e-3, "complex64": 2e-3, "float64": 1e-9, "complex128": 1e-9}


def adjoint(a):
    return np.conj(np.swapaxes(a, -1, -2))


def close(found, expected, dtype=None):
    expected = np.asarray(expected)
    assert found.shape == expected.shape
    assert found.dtype == (dtype or expected.dtype)
    tolerance = TOLERANCE.get(found.dtype.name, 0)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@st.composite
def stacks(draw, make, fewest=0):
    """A lazy stack of square matrices that `make` makes of random ones, and the NumPy array it is made of."""
    lead = draw(st.lists(st.integers(0, 3), max_size=2))
    n = draw(st.integers(fewest, 6))
    a = values((*lead, n, n), draw(st.sampled_from(TYPES)), draw(st.integers(0, 999)))
    a = np.asarray(make(a), a.dtype)
    return xp.asarray(a, chunks=draw(chunks_of(a.shape))), a


def as_they_are(a):
    return a


def regular(a):
    return a + 5 * np.eye(a.shape[-1])


def hermitian(a):
    return a + adjoint(a)


def positive(a):
    return a @ adjoint(a) + np.eye(a.shape[-1])


@given(stacks(as_they_are))
def test_determinants_are_numpys(case):
    x, a = case
    close(run(xp.linalg.det(x)), np.linalg.det(a))
    sign, logarithm = run(xp.plan_of(*xp.linalg.slogdet(x)))
    expected = np.linalg.slogdet(a)
    close(sign, expected.sign)
    close(logarithm, expected.logabsdet)


@given(stacks(regular))
def test_inverses_are_numpys(case):
    x, a = case
    close(run(xp.linalg.inv(x)), np.linalg.inv(a))


@given(stacks(regular), st.integers(-3, 7))
def test_powers_are_numpys(case, n):
    x, a = case
    scale = a.dtype.type(5.0)
    close(run(xp.linalg.matrix_power(x / scale, n)), np.linalg.matrix_power(a / scale, n))


def test_powers_of_large_matrices_are_products_of_blocks():
    spec = ax.Spec(allowed_mem="105MB")
    a = values((300, 300), "float64", 1) / 20
    x = xp.asarray(a, chunks=100, spec=spec)
    power = xp.linalg.matrix_power(x, 5)
    assert sum("matmul" in stage.operation for stage in power.to_plan().stages) >= 3
    close(run(power), np.linalg.matrix_power(a, 5))


@given(stacks(hermitian))
def test_hermitian_matrices_are_made_of_their_eigenvectors(case):
    x, a = case
    result = xp.linalg.eigh(x)
    numbers, vectors = run(xp.plan_of(*result))
    assert vectors.dtype == a.dtype
    close(numbers, np.linalg.eigvalsh(a))
    close((vectors * numbers[..., None, :]) @ adjoint(vectors), a)
    close(run(xp.linalg.eigvalsh(x)), np.linalg.eigvalsh(a))


@given(stacks(as_they_are))
def test_eigenvectors_are_multiplied_by_their_eigenvalues(case):
    x, a = case
    numbers, vectors = run(xp.plan_of(*xp.linalg.eig(x)))
    dtype = np.result_type(a, np.complex64)
    assert numbers.dtype == vectors.dtype == dtype
    close(a @ vectors, vectors * numbers[..., None, :], dtype)
    alone = run(xp.linalg.eigvals(x))
    assert alone.dtype == dtype
    close(np.sort_complex(alone.round(3)), np.sort_complex(numbers.round(3)))


@given(stacks(regular), st.data())
def test_solutions_are_numpys(case, data):
    x, a = case
    n = a.shape[-1]
    lead = data.draw(st.sampled_from([(), (1,) * (a.ndim - 2), a.shape[:-2]]))
    shape = data.draw(st.sampled_from([(n,), (*lead, n, 0), (*lead, n, 5)]))
    b = values(shape, data.draw(st.sampled_from(TYPES)), 3)
    y = xp.asarray(b, chunks=data.draw(chunks_of(shape)))
    close(run(xp.linalg.solve(x, y)), np.linalg.solve(a, b))


@given(stacks(positive), st.booleans())
def test_cholesky_factors_are_numpys(case, upper):
    x, a = case
    close(run(xp.linalg.cholesky(x, upper=upper)), np.linalg.cholesky(a, upper=upper))


@settings(max_examples=examples(30))
@given(stacks(positive, fewest=1), st.integers(1, 6))
def test_cholesky_factors_are_the_same_in_blocks(case, block):
    x, a = case
    close(run(blocked_cholesky(x, block)), np.linalg.cholesky(a))


def test_cholesky_factors_of_large_matrices_are_made_in_blocks():
    x = xp.ones((100_000, 100_000), chunks=2000, spec=ax.Spec(allowed_mem="2GB"))
    plan = xp.linalg.cholesky(x).to_plan()
    assert all(stage.memory.fits for stage in plan.stages)
    assert len(plan.stages) < 150


def test_a_cholesky_factor_in_blocks_is_computed_by_threads():
    spec = ax.Spec(allowed_mem="101MB", executor="threads")
    a = positive(values((450, 450), "float64", 1))
    x = xp.asarray(a, chunks=100, spec=spec)
    factor = xp.linalg.cholesky(x, upper=True)
    assert factor.to_plan().tasks > 20
    close(factor.compute(), np.linalg.cholesky(a, upper=True))


# Functions of rectangular matrices.


@st.composite
def rectangles(draw, types=TYPES):
    lead = draw(st.lists(st.integers(0, 3), max_size=2))
    shape = (*lead, draw(st.integers(0, 6)), draw(st.integers(0, 6)))
    a = values(shape, draw(st.sampled_from(types)), draw(st.integers(0, 999)))
    return xp.asarray(a, chunks=draw(chunks_of(shape))), a


@given(rectangles(), st.integers(-7, 7))
def test_diagonals_and_traces_are_numpys(case, offset):
    x, a = case
    options = {"offset": offset, "axis1": -2, "axis2": -1}
    expected = np.diagonal(a, **options) if -a.shape[-2] <= offset <= a.shape[-1] else None
    found = run(xp.linalg.diagonal(x, offset=offset))
    if expected is None:
        assert found.shape == (*a.shape[:-2], 0)
    else:
        np.testing.assert_array_equal(found, expected)
        close(run(xp.linalg.trace(x, offset=offset)), np.trace(a, **options))


@given(rectangles(["int16", "bool"]), st.sampled_from([None, "int64", "float32"]))
def test_traces_of_integers_have_the_type_of_sums(case, dtype):
    x, a = case
    expected = np.sum(np.diagonal(a, axis1=-2, axis2=-1), axis=-1, dtype=dtype)
    close(run(xp.linalg.trace(x, dtype=dtype)), expected)


@given(rectangles(), st.data())
def test_what_is_taken_of_diagonals_is_numpys(case, data):
    x, a = case
    expected = np.diagonal(a, axis1=-2, axis2=-1)
    n = expected.shape[-1]
    part = data.draw(st.slices(n))
    np.testing.assert_array_equal(
        run(xp.linalg.diagonal(x)[..., part] * 2), expected[..., part] * 2
    )
    if n:
        order = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=5))
        found = xp.take(xp.linalg.diagonal(x), order, axis=-1)
        np.testing.assert_array_equal(run(found), expected[..., order])


def test_diagonals_read_squares_alone():
    x = xp.ones((1_000_000, 1_000_000), chunks=1000)
    plan = (xp.linalg.diagonal(x + 1)).to_plan()
    assert [(s.operation, s.tasks) for s in plan.stages] == [("ones+add+diagonal", 1000)]


@given(rectangles(), st.sampled_from([None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf]))
def test_norms_of_matrices_are_numpys(case, order):
    x, a = case
    if 0 in a.shape[-2:] and order in (-1, -2, -np.inf):
        return
    for keepdims in (False, True):
        options = {"ord": order, "keepdims": keepdims}
        expected = np.zeros((*a.shape[:-2], *((1, 1) if keepdims else ())), a.real.dtype)
        if 0 not in a.shape:
            expected = np.linalg.norm(a, axis=(-2, -1), **options)
        close(run(xp.linalg.matrix_norm(x, **options)), expected)


@given(rectangles(), st.sampled_from([0, 1, 2, 3, 0.5, -1, np.inf, -np.inf]), st.data())
def test_norms_of_vectors_are_numpys(case, order, data):
    x, a = case
    axis = data.draw(st.sampled_from([None, -1, 0, (-2, -1)]))
    if order == -np.inf and 0 in a.shape:
        return
    with np.errstate(all="ignore"):
        expected = np.linalg.vector_norm(a, axis=axis, ord=order, keepdims=True)
    found = run(xp.linalg.vector_norm(x, axis=axis, ord=order, keepdims=True))
    close(found, expected, a.real.dtype)
    dropped = run(xp.linalg.vector_norm(x, axis=axis, ord=order))
    np.testing.assert_array_equal(dropped, found.reshape(dropped.shape))


@given(rectangles())
def test_ranks_are_numpys(case):
    x, a = case
    if 0 in a.shape[-2:]:
        expected = np.zeros(a.shape[:-2], np.int64)
    else:
        a[..., -1:] = 0
        x = xp.asarray(a, chunks=x.chunks)
        expected = np.linalg.matrix_rank(a)
    close(run(xp.linalg.matrix_rank(x)), expected)
    each = xp.zeros(a.shape[:-2]) + 2.0
    np.testing.assert_array_equal(run(xp.linalg.matrix_rank(x, rtol=each)), 0 * expected)


@given(rectangles())
def test_pseudo_inverses_are_numpys(case):
    x, a = case
    expected = np.linalg.pinv(a) if a.size else np.zeros(np.swapaxes(a, -1, -2).shape, a.dtype)
    scale = max(1.0, np.abs(expected).max(initial=0))
    close(run(xp.linalg.pinv(x)) / scale, expected / scale, a.dtype)


@given(st.data())
def test_cross_products_are_numpys(data):
    shape = tuple(data.draw(st.lists(st.integers(0, 3), max_size=2)))
    place = data.draw(st.integers(0, len(shape)))
    full = [*shape]
    full.insert(place, 3)
    axis = place - len(full)
    other = tuple(n if data.draw(st.booleans()) or n == 3 else 1 for n in full)[place:]
    a = values(tuple(full), data.draw(st.sampled_from(["int8", "int64", *TYPES])), 1)
    b = values(other, data.draw(st.sampled_from(["int64", *TYPES])), 2)
    x = xp.asarray(a, chunks=data.draw(chunks_of(a.shape)))
    y = xp.asarray(b, chunks=data.draw(chunks_of(b.shape)))
    expected = np.cross(a, b, axis=axis)
    close(run(xp.linalg.cross(x, y, axis=axis)), expected, np.result_type(a, b))


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_every_executor_computes_the_same(executor):
    a = regular(values((4, 5, 5), "float64", 1))
    spec = ax.Spec(executor=executor, executor_options={"max_workers": 1})
    x = xp.asarray(a, chunks=(2, 3, 3), spec=spec)
    found = xp.compute(
        xp.linalg.solve(x, x[..., :1]),
        *xp.linalg.slogdet(x),
        xp.linalg.diagonal(x),
    )
    close(found[0], np.linalg.solve(a, a[..., :1]))
    close(found[2], np.linalg.slogdet(a).logabsdet)
    close(found[3], np.diagonal(a, axis1=-2, axis2=-1))


def test_a_stack_is_divided_among_tasks():
    x = xp.ones((1000, 50, 50), chunks=(10, 50, 50))
    assert xp.linalg.inv(x).to_plan().tasks == 100
    assert xp.linalg.det(xp.linalg.inv(x)).to_plan().tasks == 100


def test_the_extension_offers_what_the_standard_has():
    standard = names(
        "cholesky cross det diagonal eig eigh eigvals eigvalsh inv matmul matrix_norm matrix_power",
        "matrix_rank matrix_transpose outer pinv qr slogdet solve svd svdvals tensordot trace",
        "vecdot vector_norm",
    )
    assert set(standard) <= set(xp.linalg.__all__)


# What is refused.


@pytest.mark.parametrize("name", ["det", "inv", "eigh", "eig", "eigvals", "cholesky", "slogdet"])
def test_matrices_must_be_square(name):
    with pytest.raises(ValueError, match=rf"{name}\(\) takes square matrices, .*\(2, 3\)"):
        getattr(xp.linalg, name)(xp.ones((2, 3)))
    with pytest.raises(TypeError, match="convert them"):
        getattr(xp.linalg, name)(xp.ones((2, 2), dtype="int64"))


@pytest.mark.parametrize(
    "call",
    [
        xp.linalg.det,
        xp.linalg.eig,
        xp.linalg.slogdet,
    ],
)
def test_matrices_that_do_not_fit_are_refused_with_advice(call):
    x = xp.ones((50_000, 50_000), chunks=1000)
    with pytest.raises(MemoryBudgetError, match=r"allow at least .* or take matrices of at most"):
        call(x)


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda x: xp.linalg.diagonal(x[0]), "takes a matrix or a stack"),
        (lambda x: xp.linalg.cross(x, x), "three elements along it"),
        (lambda x: xp.linalg.cross(x[:, :3], xp.ones(3), axis=0), "three elements along it"),
        (lambda x: xp.linalg.solve(x, xp.ones(3)), "there must be 4 elements"),
        (lambda x: xp.linalg.matrix_norm(x, ord="trace"), "has no ord='trace'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call(xp.ones((4, 4)))
