"""Methods of arrays do what NumPy's of the same name do."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec.array as xp
from tests.array.direct import run
from tests.array.strategies import chunks_of, leaves, shapes, values
from tests.profiles import examples

FLOATS = [np.float64, np.float32]


@settings(max_examples=examples(30), deadline=None)
@given(
    st.data(),
    st.sampled_from(["sum", "prod", "mean", "var", "std", "min", "max", "any", "all"]),
    st.booleans(),
)
def test_reductions_are_numpys(data, name, keepdims):
    x, expected = data.draw(leaves(dtypes=[np.float64, np.int64, np.bool_]))
    axes = tuple(a for a in range(expected.ndim) if data.draw(st.booleans()))
    if expected.dtype == np.bool_ or not all(expected.shape):
        name = "any"
    found = run(getattr(x, name)(axis=axes, keepdims=keepdims))
    wanted = getattr(expected, name)(axis=axes, keepdims=keepdims)
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted)


@pytest.mark.parametrize("name", ["mean", "var", "std"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
def test_moments_of_elements_that_become_another_type_are_numpys(name, dtype):
    numpys = np.array([[1, 2, 250], [7, 0, 3]], np.uint8)
    x = xp.asarray(numpys, chunks=(1, 2))
    for call in (
        lambda a: getattr(a, name)(dtype=dtype),
        lambda a: getattr(a, name)(1, dtype, keepdims=True),
    ):
        found, wanted = run(call(x)), call(numpys)
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert run(x.mean(dtype=np.int32)) == numpys.mean(dtype=np.int32)


@settings(max_examples=examples(25), deadline=None)
@given(st.data())
def test_arrangements_are_numpys(data):
    shape = data.draw(shapes())
    numpys = values(shape, np.int64, 5)
    x = xp.asarray(numpys, chunks=data.draw(chunks_of(shape)))
    axes = data.draw(st.permutations(range(len(shape))))
    for found, wanted in [
        (x.ravel(), numpys.ravel()),
        (x.flatten(), numpys.flatten()),
        (x.transpose(), numpys.transpose()),
        (x.transpose(axes), numpys.transpose(axes)),
        (x.transpose(*axes), numpys.transpose(*axes)),
        (x.reshape(shape[::-1]), numpys.reshape(shape[::-1])),
        (x.reshape(*shape[::-1], 1), numpys.reshape(*shape[::-1], 1)),
        (x.reshape(*shape[::-1], 1).squeeze(), numpys.squeeze().reshape(shape[::-1]).squeeze()),
        (x.real, numpys.real),
        (x.imag, numpys.imag),
        (x.clip(3, 20), numpys.clip(3, 20)),
        (x.clip(max=20), numpys.clip(max=20)),
        (x.conj(), numpys.conj()),
        (x.round(), numpys.round()),
        (x.copy(), numpys),
    ]:
        value = run(found)
        assert value.dtype == wanted.dtype
        np.testing.assert_array_equal(value, wanted)
    if len(shape) > 1:
        np.testing.assert_array_equal(run(x.swapaxes(0, -1)), numpys.swapaxes(0, -1))


def test_the_rest_is_numpys():
    numpys = values((5, 6), np.float64, 3)
    x = xp.asarray(numpys, chunks=(2, 4))
    for found, wanted in [
        (x.argmin(), numpys.argmin()),
        (x.argmax(1), numpys.argmax(1)),
        (x.round(2), numpys.round(2)),
        (x.take([3, 0, -1]), numpys.take([3, 0, -1])),
        (x.take([3, 0, -1], 0), numpys.take([3, 0, -1], 0)),
        (x.var(ddof=1), numpys.var(ddof=1)),
        (x.std(1, correction=1), numpys.std(1, ddof=1)),
        (x.conjugate(), numpys.conjugate()),
        (x.map_blocks(np.negative), -numpys),
        (x.map_overlap(np.negative, depth=1), -numpys),
        (x.cumsum(), numpys.cumsum()),
        (x.cumprod(1), numpys.cumprod(1)),
        (x.repeat(2, 0), numpys.repeat(2, 0)),
        (x.repeat(2), numpys.repeat(2)),
        (x.argsort(0), numpys.argsort(0)),
        (x.dot(x.T), numpys.dot(numpys.T)),
        (x.diagonal(1), numpys.diagonal(1)),
        (x.trace(), numpys.trace()),
        (x.nonzero()[1], numpys.nonzero()[1]),
        (xp.sort(x[0]).searchsorted(x[1]), np.sort(numpys[0]).searchsorted(numpys[1])),
    ]:
        np.testing.assert_allclose(run(found), wanted)
    assert x.nbytes == numpys.nbytes


def test_scalars_and_lists_are_computed():
    numpys = np.arange(6, dtype=np.int16).reshape(2, 3)
    x = xp.asarray(numpys, chunks=2)
    assert x.tolist() == numpys.tolist()
    assert x.item(1, 2) == 5
    assert x.item(4) == 4
    assert type(x[0, 1].item()) is int
    assert complex(xp.asarray(2 + 1j)) == 2 + 1j
    with pytest.raises(ValueError, match="one element"):
        x.item()


def test_in_place_operators_keep_type_and_shape_and_leave_other_names_alone():
    before = x = xp.asarray([1.0, 2.0], dtype=xp.float32)
    x += np.asarray([0.5, 0.25])
    assert x.dtype == xp.float32
    x *= 2
    assert run(x).tolist() == [3.0, 4.5]
    assert run(before).tolist() == [1.0, 2.0]
    n = xp.asarray([7, 8], dtype=xp.int8)
    n //= 2
    n <<= 1
    n |= 1
    n -= xp.asarray([1, 1])
    assert n.dtype == xp.int8
    assert run(n).tolist() == [6, 8]


def test_in_place_operators_refuse_another_kind_or_shape():
    n = xp.asarray([1, 2])
    with pytest.raises(TypeError, match="another kind"):
        n /= 2
    with pytest.raises(TypeError, match="another kind"):
        n += 0.5
    with pytest.raises(ValueError, match="shape"):
        n += xp.ones((3, 2), dtype=xp.int64)


def test_sorting_in_place_is_refused_with_the_way():
    with pytest.raises(TypeError, match=r"xp\.sort"):
        xp.asarray([2, 1]).sort()


def test_a_copy_is_another_array():
    x = xp.asarray([1, 2, 3], chunks=2)
    for made in (x.copy(), x.astype(x.dtype), copy.copy(x), copy.deepcopy(x)):
        assert made is not x
        assert run(made).tolist() == [1, 2, 3]
    assert x.astype(x.dtype, copy=False) is x
    with pytest.raises(ValueError, match="device"):
        x.astype(xp.int8, device="gpu")


def test_what_is_persisted_is_read_from_where_it_is(tmp_path):
    x = xp.arange(10, chunks=4) * 3
    for kept in (x.persist(), x.persist(tmp_path / "kept.zarr")):
        assert kept.node.operation == "from_zarr"
        assert kept.chunks == x.chunks
        np.testing.assert_array_equal(kept.compute(), np.arange(10) * 3)
    x.to_zarr(tmp_path / "stored.zarr")
    x.store(tmp_path / "again.zarr").compute()
    for name in ("stored", "again"):
        np.testing.assert_array_equal(
            run(xp.from_zarr(tmp_path / f"{name}.zarr")), np.arange(10) * 3
        )
