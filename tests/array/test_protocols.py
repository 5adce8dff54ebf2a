"""NumPy's own functions and universal functions of lazy arrays stay lazy, and do what they do of NumPy's arrays."""

import inspect
import warnings

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import special

import asyncexec.array as xp
from tests.array.direct import run
from tests.array.strategies import chunks_of, shapes, values
from tests.profiles import examples

A = values((6, 5), np.float64, 1)
B = values((6, 5), np.float64, 2)
N = values((6, 5), np.int64, 3)
C = values((6, 5), np.complex128, 4)
V = values((6,), np.float64, 5)
M = values((6, 5), np.bool_, 6)


def lazy(value):
    if isinstance(value, np.ndarray):
        return xp.asarray(value, chunks=tuple(max(1, -(-n // 2)) for n in value.shape))
    if isinstance(value, list | tuple) and any(isinstance(each, np.ndarray) for each in value):
        return type(value)(map(lazy, value))
    return value


def same(found, expected):
    if isinstance(expected, list | tuple) and not isinstance(found, xp.Array):
        assert len(found) == len(expected)
        for ours, theirs in zip(found, expected, strict=True):
            same(ours, theirs)
        return
    assert isinstance(found, xp.Array)
    value = run(found)
    assert value.dtype == np.asarray(expected).dtype
    assert value.shape == np.shape(expected)
    np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-12)


def numpys(function, *arguments, **keywords):
    with np.errstate(all="ignore"):
        return function(*arguments, **keywords)


UNARY = [
    f for name, f in sorted(vars(np).items())
    if isinstance(f, np.ufunc) and f.nin == 1 and f.signature is None and name == f.__name__
]  # fmt: skip
BINARY = [
    f for name, f in sorted(vars(np).items())
    if isinstance(f, np.ufunc) and f.nin == 2 and f.signature is None and name == f.__name__
]  # fmt: skip
OF_TIMES = {"isnat"}


@pytest.mark.parametrize("ufunc", UNARY, ids=lambda f: f.__name__)
def test_each_universal_function_of_one_operand_is_numpys(ufunc):
    done = 0
    for data in (A, N, C, M):
        try:
            expected = numpys(ufunc, data)
        except TypeError:
            with pytest.raises(TypeError):
                ufunc(lazy(data))
            continue
        same(ufunc(lazy(data)), expected)
        done += 1
    assert done or ufunc.__name__ in OF_TIMES


@pytest.mark.parametrize("ufunc", BINARY, ids=lambda f: f.__name__)
def test_each_universal_function_of_two_operands_is_numpys(ufunc):
    done = 0
    for first, second in ((A, B), (N, N[:1]), (A, 2), (3, N)):
        try:
            expected = numpys(ufunc, first, second)
        except TypeError:
            continue
        for x, y in ((lazy(first), lazy(second)), (lazy(first), second), (first, lazy(second))):
            if isinstance(x, xp.Array) or isinstance(y, xp.Array):
                same(ufunc(x, y), expected)
                done += 1
    assert done


def test_universal_functions_of_scipy_and_others_are_applied_to_elements():
    same(special.erf(lazy(A)), special.erf(A))
    same(special.gammaln(lazy(N + 1)), special.gammaln(N + 1))
    with pytest.raises(TypeError, match="object"):
        np.frompyfunc(str, 1, 1)(lazy(A))


def test_several_results_of_a_function_of_several_operands_are_theirs():
    for first, second in ((A, 0.5), (0.25, np.abs(B) % 1), (A, np.abs(B) % 1)):
        same(special.ellipj(lazy(first), lazy(second)), special.ellipj(first, second))


def test_types_of_universal_functions_are_as_said():
    assert np.add(lazy(A), 1, dtype=np.float32, casting="same_kind").dtype == np.float32
    same(np.add(lazy(N), [1, 2, 3, 4, 5]), np.add(N, [1, 2, 3, 4, 5]))


@pytest.mark.parametrize(
    "ufunc", [np.add, np.multiply, np.maximum, np.minimum, np.logical_and, np.logical_or]
)
def test_reductions_by_universal_functions_are_numpys(ufunc):
    for options in ({}, {"axis": 1}, {"axis": None}, {"axis": -1, "keepdims": True}):
        same(ufunc.reduce(lazy(A), **options), ufunc.reduce(A, **options))


def test_accumulations_and_outer_products_are_numpys():
    same(np.add.accumulate(lazy(A)), np.add.accumulate(A))
    same(np.multiply.accumulate(lazy(N), axis=1), np.multiply.accumulate(N, axis=1))
    same(np.subtract.outer(lazy(V), B), np.subtract.outer(V, B))
    same(np.multiply.outer(V, lazy(V)), np.multiply.outer(V, V))
    same(np.add.outer(2, lazy(V)), np.add.outer(2, V))


CALLS = {
    "sum": lambda a, n, m, v: np.sum(a, axis=0),
    "sum of some": lambda a, n, m, v: np.sum(a, axis=1, where=m, initial=3.0),
    "sum in a type": lambda a, n, m, v: np.sum(n, dtype=np.float32, keepdims=True),
    "prod": lambda a, n, m, v: np.prod(a, axis=-1),
    "mean": lambda a, n, m, v: np.mean(a, axis=(0, 1)),
    "std": lambda a, n, m, v: np.std(a, ddof=1),
    "var": lambda a, n, m, v: np.var(a, axis=0, correction=1),
    "max": lambda a, n, m, v: np.max(a, axis=0, initial=0.5, where=m),
    "amin": lambda a, n, m, v: np.amin(a, axis=1),
    "ptp": lambda a, n, m, v: np.ptp(a, axis=0),
    "all": lambda a, n, m, v: np.all(m, axis=0),
    "any": lambda a, n, m, v: np.any(m, where=a > 0),
    "argmax": lambda a, n, m, v: np.argmax(a, axis=1),
    "average": lambda a, n, m, v: np.average(a, axis=0, weights=v),
    "average returned": lambda a, n, m, v: np.average(a, axis=1, returned=True),
    "concatenate": lambda a, n, m, v: np.concatenate([a, n], axis=1),
    "concatenate flat": lambda a, n, m, v: np.concatenate((a, v), axis=None),
    "concatenate in a type": lambda a, n, m, v: np.concatenate((a, a), dtype=np.float32),
    "stack": lambda a, n, m, v: np.stack([a, a], axis=-1),
    "vstack": lambda a, n, m, v: np.vstack([v, v]),
    "hstack": lambda a, n, m, v: np.hstack([v, v]),
    "hstack of matrices": lambda a, n, m, v: np.hstack([a, n]),
    "dstack": lambda a, n, m, v: np.dstack([a, a]),
    "column_stack": lambda a, n, m, v: np.column_stack([v, a]),
    "append": lambda a, n, m, v: np.append(a, v),
    "split": lambda a, n, m, v: np.split(a, 3),
    "array_split": lambda a, n, m, v: np.array_split(a, 3, axis=1),
    "split at": lambda a, n, m, v: np.split(a, [1, 4]),
    "where": lambda a, n, m, v: np.where(m, a, 0),
    "take": lambda a, n, m, v: np.take(a, [3, 1], axis=0),
    "take flat": lambda a, n, m, v: np.take(a, [3, -1]),
    "clip": lambda a, n, m, v: np.clip(a, -0.5, 0.5),
    "clip above": lambda a, n, m, v: np.clip(a, None, 0.5),
    "round": lambda a, n, m, v: np.round(a, 2),
    "around": lambda a, n, m, v: np.around(a),
    "isclose": lambda a, n, m, v: np.isclose(a, a + 1e-9, atol=0),
    "allclose": lambda a, n, m, v: np.allclose(a, a + 1e-9),
    "array_equal": lambda a, n, m, v: np.array_equal(a, a),
    "array_equal of shapes": lambda a, n, m, v: np.array_equal(a, v),
    "nan_to_num": lambda a, n, m, v: np.nan_to_num(np.log(a), nan=7.0),
    "angle": lambda a, n, m, v: np.angle(a + 1j, deg=True),
    "real": lambda a, n, m, v: np.real(a + 1j),
    "fix": lambda a, n, m, v: np.fix(3 * a),
    "i0": lambda a, n, m, v: np.i0(a),
    "isreal": lambda a, n, m, v: np.isreal(a + 0j),
    "isposinf": lambda a, n, m, v: np.isposinf(1 / (a - a[0])),
    "sinc": lambda a, n, m, v: np.sinc(a),
    "reshape": lambda a, n, m, v: np.reshape(a, (5, -1)),
    "ravel": lambda a, n, m, v: np.ravel(a),
    "transpose": lambda a, n, m, v: np.transpose(a),
    "transpose axes": lambda a, n, m, v: np.transpose(a, (1, 0)),
    "moveaxis": lambda a, n, m, v: np.moveaxis(a, 0, 1),
    "swapaxes": lambda a, n, m, v: np.swapaxes(a, 0, 1),
    "squeeze": lambda a, n, m, v: np.squeeze(a[:1]),
    "expand_dims": lambda a, n, m, v: np.expand_dims(a, 1),
    "broadcast_to": lambda a, n, m, v: np.broadcast_to(a, (2, 6, 5)),
    "broadcast_arrays": lambda a, n, m, v: np.broadcast_arrays(a, a[:1]),
    "flip": lambda a, n, m, v: np.flip(a, axis=0),
    "fliplr": lambda a, n, m, v: np.fliplr(a),
    "roll": lambda a, n, m, v: np.roll(a, 2, axis=0),
    "tril": lambda a, n, m, v: np.tril(a, 1),
    "zeros_like": lambda a, n, m, v: np.zeros_like(a, dtype=int),
    "ones_like": lambda a, n, m, v: np.ones_like(a, shape=(2, 3)),
    "full_like": lambda a, n, m, v: np.full_like(a, 7.5),
    "dot": lambda a, n, m, v: np.dot(v, a),
    "inner": lambda a, n, m, v: np.inner(a, n),
    "matmul": lambda a, n, m, v: np.matmul(a, n.T),
    "tensordot": lambda a, n, m, v: np.tensordot(a, n, axes=2),
    "outer": lambda a, n, m, v: np.outer(v, a),
    "vdot": lambda a, n, m, v: np.vdot(a, n),
    "cumsum": lambda a, n, m, v: np.cumsum(a, axis=1),
    "cumsum flat": lambda a, n, m, v: np.cumsum(a),
    "cumprod": lambda a, n, m, v: np.cumprod(v, 0),
    "atleast_3d": lambda a, n, m, v: np.atleast_3d(a),
    "atleast_2d": lambda a, n, m, v: np.atleast_2d(v, a),
    "copy": lambda a, n, m, v: np.copy(a),
    "diff": lambda a, n, m, v: np.diff(a, axis=0),
    "norm": lambda a, n, m, v: np.linalg.norm(a),
    "norm of rows": lambda a, n, m, v: np.linalg.norm(n, axis=1),
    "norm of columns": lambda a, n, m, v: np.linalg.norm(a, ord=1, axis=0, keepdims=True),
    "norm of matrices": lambda a, n, m, v: np.linalg.norm(a, ord=1),
    "norm of turned matrices": lambda a, n, m, v: np.linalg.norm(a, ord=1, axis=(1, 0)),
    "multi_dot": lambda a, n, m, v: np.linalg.multi_dot([v, a, n.T]),
    "svd": lambda a, n, m, v: np.linalg.svd(a, compute_uv=False),
    "inv": lambda a, n, m, v: np.linalg.inv(a[:5] + 5 * np.linalg.matrix_transpose(a[1:])),
    "fft": lambda a, n, m, v: np.fft.fft(a, axis=0),
    "rfft2": lambda a, n, m, v: np.fft.rfft2(a),
    "fftshift": lambda a, n, m, v: np.fft.fftshift(a),
    "cross": lambda a, n, m, v: np.cross(a[:, :3], a[:, 2:]),
    "cross of columns": lambda a, n, m, v: np.cross(a[:3], a[3:], axis=0),
    "kron": lambda a, n, m, v: np.kron(v, n),
    "polyval": lambda a, n, m, v: np.polyval([1.0, -2.0, 3.0], a),
    "isin": lambda a, n, m, v: np.isin(n, [1, 2, 3], invert=True),
    "select": lambda a, n, m, v: np.select([a > 0.5, a < 0], [n, -n], 0.25),
    "unique": lambda a, n, m, v: np.unique(n),
    "unique and counts": lambda a, n, m, v: np.unique(n, return_counts=True),
    "sort": lambda a, n, m, v: np.sort(a, axis=0),
    "sort stably": lambda a, n, m, v: np.argsort(n, axis=1, kind="stable"),
    "sort of columns": lambda a, n, m, v: np.sort(np.partition(a, 2, axis=0), axis=0),
    "array_equiv": lambda a, n, m, v: np.array_equiv(a, a[None]),
    "array_equiv of shapes": lambda a, n, m, v: np.array_equiv(a, v),
    "hsplit": lambda a, n, m, v: np.hsplit(a, [2]),
    "vsplit": lambda a, n, m, v: np.vsplit(a, 2),
    "rollaxis": lambda a, n, m, v: np.rollaxis(a, 1),
    "matvec": lambda a, n, m, v: np.matvec(a, n[0]) if hasattr(np, "matvec") else a,
    "vecmat": lambda a, n, m, v: np.vecmat(v, a) if hasattr(np, "vecmat") else a,
    "nanmean": lambda a, n, m, v: np.nanmean(np.log(a), axis=0),
    "median": lambda a, n, m, v: np.median(a, axis=0),
    "quantile": lambda a, n, m, v: np.quantile(a, [0.25, 0.5], axis=1),
    "searchsorted": lambda a, n, m, v: np.searchsorted(np.sort(v), a),
    "tile": lambda a, n, m, v: np.tile(a, (2, 1)),
    "repeat": lambda a, n, m, v: np.repeat(a, 2, axis=1),
    "pad": lambda a, n, m, v: np.pad(a, ((1, 2), (0, 1)), mode="reflect"),
    "einsum": lambda a, n, m, v: np.einsum("ij,kj->ik", a, n),
    "count_nonzero": lambda a, n, m, v: np.count_nonzero(n, axis=0),
    "nonzero": lambda a, n, m, v: np.nonzero(n),
    "argwhere": lambda a, n, m, v: np.argwhere(n > 20),
    "flatnonzero": lambda a, n, m, v: np.flatnonzero(m),
    "trace": lambda a, n, m, v: np.trace(a, 1),
    "diagonal": lambda a, n, m, v: np.diagonal(a, -1),
    "histogram": lambda a, n, m, v: np.histogram(a, bins=[-2.0, 0.0, 1.0, 3.0]),
    "interp": lambda a, n, m, v: np.interp(a, [-1.0, 0.0, 1.0], [0.0, 5.0, 7.0]),
    "digitize": lambda a, n, m, v: np.digitize(a, [-1.0, 0.0, 1.0]),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_numpys_functions_are_lazy_and_theirs(name):
    arguments = (A, N, M, V)
    same(CALLS[name](*map(lazy, arguments)), numpys(CALLS[name], *arguments))


@pytest.mark.parametrize("turns", range(-1, 5))
def test_turned_matrices_are_numpys(turns):
    same(np.rot90(lazy(A), turns), np.rot90(A, turns))
    same(np.rot90(lazy(A), turns, axes=(1, 0)), np.rot90(A, turns, axes=(1, 0)))


@settings(max_examples=examples(25), deadline=None)
@given(st.data())
def test_reductions_are_numpys_over_any_shape(data):
    shape = data.draw(shapes())
    numpy_array = values(shape, np.float64, 9)
    mask = values(shape, np.bool_, 10)
    x = xp.asarray(numpy_array, chunks=data.draw(chunks_of(shape)))
    axis = data.draw(st.sampled_from([None, *range(-len(shape), len(shape))]))
    for function in (np.sum, np.prod):
        same(
            function(x, axis=axis, where=xp.asarray(mask)),
            function(numpy_array, axis=axis, where=mask),
        )
    same(np.max(x, axis=axis, initial=0.0), np.max(numpy_array, axis=axis, initial=0.0))


def test_descriptions_are_pythons():
    x = lazy(C)
    assert (np.shape(x), np.ndim(x), np.size(x), np.size(x, 1)) == ((6, 5), 2, 30, 5)
    assert np.result_type(x, np.float32) == np.complex128
    assert np.iscomplexobj(x)
    assert not np.isrealobj(x)
    assert np.can_cast(x, np.complex128)
    assert np.array_repr(x) == repr(x)
    assert not np.shares_memory(x, x)


def test_out_is_refused_with_the_way():
    x = lazy(A)
    target = np.zeros_like(A)
    for call in (
        lambda: np.add(x, 1, out=target),
        lambda: np.sum(x, axis=0, out=target[0]),
        lambda: np.concatenate([x, x], out=target),
        lambda: np.take(x, [1], axis=0, out=target),
        lambda: target.__iadd__(x),
    ):
        with pytest.raises(TypeError, match="in place: write y ="):
            call()
    with pytest.raises(TypeError, match="in place"):
        np.copyto(target, x)


def test_what_leaves_elements_undefined_is_refused():
    with pytest.raises(TypeError, match=r"xp\.where"):
        np.add(lazy(A), 1, where=lazy(M))
    with pytest.raises(TypeError, match="initial="):
        np.max(lazy(A), where=lazy(M))


def test_functions_without_counterpart_name_the_way():
    for call in (
        lambda: np.unwrap(lazy(A)),
        lambda: np.add.reduceat(lazy(V), [0, 2]),
        lambda: np.bitwise_or.reduce(lazy(N)),
    ):
        with pytest.raises(TypeError, match=r"map_blocks.*compute"):
            call()
    with pytest.raises(TypeError, match=r"numpy\.std\(mean=...\) is not known"):
        np.std(lazy(A), mean=0.0)
    with pytest.raises(TypeError, match=r"numpy\.sort\(order=...\) is not known"):
        np.sort(lazy(A), order="x")


@pytest.mark.parametrize("function", [np.nanmean, np.nanstd, np.nanvar])
def test_moments_without_nan_are_computed_in_a_given_type(function):
    values = np.where(A > 0.5, np.nan, A)
    for dtype in (np.float32, np.float64):
        found = run(function(lazy(values), axis=0, dtype=dtype))
        expected = function(values, axis=0, dtype=dtype)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    with pytest.raises(TypeError, match="give a floating or complex type"):
        function(lazy(values), dtype=np.int64)
    assert run(np.nanmean(lazy(N), dtype=np.float32)).dtype == np.float32


class Foreign:
    """An array of another library, which knows ours."""

    def __array_ufunc__(self, ufunc, method, *inputs, **keywords):
        return "theirs"

    def __array_function__(self, func, types, args, keywords):
        return "theirs"

    def __radd__(self, other):
        return "theirs"


class Opaque:
    """An object that no operation takes."""

    __array_ufunc__ = None


def test_arrays_of_other_libraries_are_asked():
    x = lazy(A)
    assert x + Foreign() == "theirs"
    assert np.add(x, Foreign()) == "theirs"
    assert np.concatenate([x, Foreign()]) == "theirs"
    with pytest.raises(TypeError):
        x + Opaque()
    with pytest.raises(TypeError):
        np.add(x, Opaque())


def test_xarrays_objects_win():
    xarray = pytest.importorskip("xarray")
    labelled = xarray.DataArray(A, dims=("y", "x"))
    for found in (lazy(A) + labelled, labelled + lazy(A), np.add(lazy(A), labelled)):
        assert isinstance(found, xarray.DataArray)
        assert isinstance(found.data, xp.Array)
        np.testing.assert_array_equal(run(found.data), A + A)


def test_numpys_arrays_on_the_left_make_lazy_arrays():
    x = lazy(A)
    same(B + x, B + A)
    same(np.float64(2) * x, 2 * A)
    same(x > B, B < A)
    same(B @ x.T, B @ A.T)


# The first three write files; the other has a function as its first argument.
UNTRIED = {"save", "savez", "savetxt", "apply_over_axes"}


def test_every_function_of_numpy_is_taken_or_refused_in_words():
    """Whatever NumPy dispatches is no error of ours: it is done, or a TypeError or ValueError says what is wrong."""
    wrong = {}
    for name, function in sorted(vars(np).items()):
        if not hasattr(function, "_implementation") or name in UNTRIED:
            continue
        try:
            needed = [
                p for p in inspect.signature(function).parameters.values()
                if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
            ]  # fmt: skip
        except ValueError:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                function(lazy(A), *(1 for _ in needed[1:]))
            except (TypeError, ValueError, IndexError, np.linalg.LinAlgError):
                pass
            except Exception as error:  # noqa: BLE001 - listed
                wrong[name] = repr(error)
    assert wrong == {}
