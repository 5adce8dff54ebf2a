import copy
import operator
import pickle

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec.array as xp

xr = pytest.importorskip("xarray")

from asyncexec.integrations.xarray import DuckArray
from tests.integrations.xarray.datasets import chunked, counted_runs, in_memory
from tests.profiles import examples

VALUES = np.arange(24.0).reshape(4, 6) - 7


def duck(values=VALUES, chunks=(3, 4)):
    return DuckArray(xp.asarray(values, chunks=chunks))


def same(found, expected):
    assert isinstance(found, DuckArray)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found.compute(), expected, atol=1e-12)


def test_it_says_what_an_array_says():
    x = duck()
    assert (x.shape, x.ndim, x.size, x.itemsize, x.nbytes) == ((4, 6), 2, 24, 8, 192)
    assert x.chunks == ((3, 1), (4, 2))
    assert (x.chunksize, x.numblocks) == ((3, 4), (2, 2))
    assert repr(x) == "<asyncexec DuckArray shape=(4, 6) dtype=float64 chunks=(3, 4)>"
    assert "chunksize=(3, 4)" in x._repr_inline_(80)
    assert x._repr_inline_(12).endswith("...")
    assert "<" in x._repr_html_()
    assert len(x) == 4
    assert len(x.to_plan().stages) > 0


BINARY = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    operator.eq,
    operator.ne,
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
]


@pytest.mark.parametrize("op", BINARY, ids=lambda op: op.__name__)
def test_operators_on_either_side(op):
    x = duck()
    same(op(x, x + 100), op(VALUES, VALUES + 100))
    same(op(x, 3), op(VALUES, 3))
    same(op(3, x + 100), op(3, VALUES + 100))
    same(op(x, VALUES[0] + 9), op(VALUES, VALUES[0] + 9))
    same(op(VALUES[0], x + 100), op(VALUES[0], VALUES + 100))
    same(op(x, xp.asarray(VALUES + 9)), op(VALUES, VALUES + 9))


@pytest.mark.parametrize("op", [operator.and_, operator.or_, operator.xor, operator.lshift])
def test_operators_of_integers(op):
    values = np.arange(6).reshape(2, 3)
    x = duck(values, (1, 3))
    same(op(x, 2), op(values, 2))
    same(op(2, x), op(2, values))
    same(~x, ~values)


def test_operators_with_one_operand_powers_and_products():
    x = duck()
    same(-x, -VALUES)
    same(+x, +VALUES)
    same(abs(x), abs(VALUES))
    same(x**2, VALUES**2)
    same(2.0**x, 2.0**VALUES)
    same(x @ VALUES.T, VALUES @ VALUES.T)


def test_operators_leave_objects_of_xarray_to_them():
    da = xr.DataArray(VALUES, dims=("y", "x"))
    found = duck() + da
    assert isinstance(found, xr.DataArray)
    np.testing.assert_allclose(found.compute(), VALUES * 2)
    with pytest.raises(TypeError):
        duck() + object()


@pytest.mark.parametrize(
    "call",
    [
        np.sin,
        lambda x: np.where(x > 0, x, 0.0),
        lambda x: np.concatenate([x, x], axis=1),
        lambda x: np.stack([x, x]),
        lambda x: np.sum(x, axis=0),
        lambda x: np.std(x, axis=1, ddof=1),
        np.transpose,
        lambda x: np.reshape(x, (6, 4)),
        lambda x: np.full_like(x, 3.0),
        lambda x: np.median(x, axis=1),
        lambda x: np.nanmedian(x, axis=(0, 1)),
        lambda x: np.quantile(x, [0.1, 0.5], axis=0),
        lambda x: np.nanquantile(x, 0.5, axis=1, keepdims=True),
        lambda x: np.percentile(x, 30, axis=0, method="nearest"),
        lambda x: np.gradient(x, axis=1),
        lambda x: np.gradient(x, np.array([0.0, 1, 3, 4, 8, 9]), axis=1),
        lambda x: np.gradient(x, 2.0, axis=0),
        lambda x: np.einsum("ij,ij->i", x, VALUES),
        lambda x: np.einsum("...a,ba->...b", x, x),
        lambda x: np.einsum("ij,jk", x, VALUES.T),
        lambda x: np.isin(x, [1, 2]),
        lambda x: np.add.outer(x, np.arange(2.0)),
        lambda x: x.clip(0, 3),
        lambda x: x.sum(axis=0),
        lambda x: x.transpose(1, 0),
        lambda x: x.transpose(),
        lambda x: x.T,
        lambda x: x.reshape(8, 3),
        lambda x: x.reshape((-1,)),
        lambda x: x.astype("f4"),
        lambda x: x.copy(),
        lambda x: x.real,
    ],
)
def test_numpys_functions_and_methods_stay_lazy(call, monkeypatch):
    with counted_runs(monkeypatch) as runs:
        found = call(duck())
    assert not runs
    same(found, np.asarray(call(VALUES)))


def test_solving_least_squares():
    matrix = np.vander(np.arange(4.0), 2)
    coefficients, residuals, rank, _ = np.linalg.lstsq(matrix, duck() ** 2, rcond=None)
    expected = np.linalg.lstsq(matrix, VALUES**2, rcond=None)
    same(coefficients, expected[0])
    same(residuals, expected[1])
    assert rank == expected[2]
    one, *_ = np.linalg.lstsq(matrix, duck()[:, 0], rcond=None)
    same(one, np.linalg.lstsq(matrix, VALUES[:, 0], rcond=None)[0])
    whole = matrix.astype(int)
    same(np.linalg.lstsq(whole, duck(), rcond=None)[0], np.linalg.lstsq(whole, VALUES)[0])


def test_what_is_not_offered_computes_nothing(monkeypatch):
    with counted_runs(monkeypatch) as runs:
        with pytest.raises(TypeError):
            np.asarray(VALUES, like=duck())
        with pytest.raises(AttributeError, match="no attribute 'vindex'"):
            _ = duck().vindex
    assert not runs


def test_groups_by_flox_are_an_error_that_says_what_to_write(monkeypatch):
    pytest.importorskip("flox")
    with counted_runs(monkeypatch) as runs, xr.set_options(use_flox=True):
        with pytest.raises(TypeError, match=r"flox.*use_flox=False"):
            chunked().t.groupby("time.month").mean()
        with pytest.raises(TypeError, match="flox"):
            chunked().resample(time="QS").sum()
    assert not runs


@st.composite
def selections(draw):
    shape = (4, 6, 3)
    ndim = draw(st.integers(1, 2))
    key = []
    for n in shape:
        kind = draw(st.sampled_from(["slice", "number", "list", "mask"]))
        if kind == "slice":
            key.append(slice(draw(st.integers(0, n)), None, draw(st.sampled_from([1, 2, -1]))))
        elif kind == "number":
            key.append(draw(st.integers(-n, n - 1)))
        elif kind == "mask":
            key.append(np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n))))
        else:
            key.append(np.array(draw(st.lists(st.integers(-n, n - 1), min_size=1, max_size=4))))
    lists = [i for i, k in enumerate(key) if isinstance(k, np.ndarray)]
    if len(lists) > ndim:
        for i in lists[ndim:]:
            key[i] = slice(None)
    arrays = [i for i, k in enumerate(key) if isinstance(k, np.ndarray)]
    for place, i in enumerate(arrays):
        k = np.flatnonzero(key[i]) if key[i].dtype.kind == "b" else key[i]
        if len(arrays) > 1:
            key[i] = k.reshape([-1 if p == place else 1 for p in range(len(arrays))])
    return tuple(key)


@given(selections())
@settings(max_examples=examples(60), deadline=None)
def test_selections_are_numpys(key):
    values = np.arange(72).reshape(4, 6, 3)
    expected = values[key]
    found = duck(values, (3, 2, 2))[key]
    assert found.shape == expected.shape
    from tests.array.direct import run

    np.testing.assert_array_equal(run(found.array), expected)


def test_selections_of_points_are_numpys():
    rows, columns = np.array([[0, 3], [2, 2]]), np.array([5, 1])
    same(duck()[rows, columns], VALUES[rows, columns])
    same(duck()[VALUES > 3], VALUES[VALUES > 3])


def test_assignments_leave_other_arrays_as_they_are():
    x = duck()
    before, copied = x + 0, x.copy()
    x[1, 2:4] = -1
    expected = VALUES.copy()
    expected[1, 2:4] = -1
    same(x, expected)
    same(before, VALUES)
    same(copied, VALUES)


def test_copies_and_pickles():
    x = duck()
    for found in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert found is not x
        same(found, VALUES)
    ds = chunked()
    xr.testing.assert_identical(pickle.loads(pickle.dumps(ds)).compute(), in_memory())
    xr.testing.assert_identical(ds.copy(deep=True).compute(), in_memory())


def test_comparing_datasets_computes_and_is_right():
    ds = chunked()
    assert ds.equals(in_memory())
    assert ds.identical(ds.copy())
    assert not ds.equals(ds + 1)


def test_one_element_becomes_a_scalar():
    x = duck()[1, 2]
    assert (float(x), int(x), complex(x), bool(x), x.item()) == (1.0, 1, 1 + 0j, True, 1.0)
    assert list(range(5))[duck(np.arange(4), (2,))[3]] == 3


SAME = {
    "selections": lambda ds: ds.t[::2],
    "results": lambda ds: ds * 2 + ds.n,
    "integers": lambda ds: ds.n.isel(x=[0, 2]),
    "copies": lambda ds: ds.copy(deep=True),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_expression_is_equal_without_being_computed(name, monkeypatch):
    ds = chunked()
    with counted_runs(monkeypatch) as runs:
        assert SAME[name](ds).equals(SAME[name](ds))
        assert SAME[name](ds).identical(SAME[name](ds))
    assert not runs
    with counted_runs(monkeypatch) as runs:
        assert not SAME[name](ds).equals(SAME[name](ds + 1))
        assert SAME[name](ds).equals(SAME[name](chunked(time=5)))
    assert runs
