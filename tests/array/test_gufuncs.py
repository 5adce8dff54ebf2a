"""Functions along core dimensions, looped over all others, against numpy.vectorize and NumPy's own gufuncs."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec.array as xp
from asyncexec.errors import OptionError
from tests.array.direct import run
from tests.array.strategies import leaves, shapes
from tests.profiles import examples

pytestmark = pytest.mark.usefixtures("functions_by_value")


def mean_and_max(block):
    return block.mean(axis=-1), block.max(axis=-1)


def product(one, other):
    return np.einsum("...ij,...jk->...ik", one, other)


@settings(max_examples=examples(30))
@given(st.data())
def test_core_dimensions_are_whole_and_the_others_loop(data):
    outer = data.draw(shapes(most_dims=2, side=st.integers(1, 4)))
    x, a = data.draw(leaves(shape=(*outer, 3, 5), dtypes=["f8"]))
    y, b = data.draw(leaves(shape=(*outer[1:], 5, 2), dtypes=["f8"]))
    found = xp.apply_gufunc(product, "(i,j),(j,k)->(i,k)", x, y, allow_rechunk=True)
    np.testing.assert_allclose(run(found), a @ b)
    assert found.shape == (a @ b).shape


@settings(max_examples=examples(30))
@given(st.data())
def test_several_results_are_made_by_one_stage(data):
    shape = (*data.draw(shapes(most_dims=2, side=st.integers(0, 4))), 3)
    x, a = data.draw(leaves(shape=shape, dtypes=["f8"]))
    both = xp.apply_gufunc(mean_and_max, "(i)->(),()", x, allow_rechunk=True)
    plan = xp.plan_of(*both)
    assert len(plan.stages) <= 2
    mean, most = run(xp.plan_of(*both))
    np.testing.assert_allclose(mean, a.mean(axis=-1))
    np.testing.assert_array_equal(most, a.max(axis=-1))


def test_results_have_core_dimensions_of_their_own_and_several_types():
    data = np.arange(12.0).reshape(4, 3)
    x = xp.asarray(data, chunks=(3, 3))

    def spread(block):
        return np.repeat(block[..., None], 2, axis=-1), block.sum(axis=-1).astype("i4")

    twice, total = xp.apply_gufunc(
        spread, "(i)->(i,n),()", x, output_sizes={"n": 2}, output_dtypes=[float, "i4"]
    )
    assert (twice.shape, twice.dtype, total.dtype) == ((4, 3, 2), np.float64, np.int32)
    one, other = run(xp.plan_of(twice, total))
    np.testing.assert_array_equal(one, np.repeat(data[..., None], 2, axis=-1))
    np.testing.assert_array_equal(other, data.sum(axis=-1))


def test_a_result_without_elements_beside_others():
    def parts(block):
        return block[..., :0], block[..., 0]

    empty, first = xp.apply_gufunc(
        parts, "(i)->(n),()", xp.ones((4, 3), chunks=(2, 3)), output_sizes={"n": 0}
    )
    assert run(empty).shape == (4, 0)
    np.testing.assert_array_equal(run(first), np.ones(4))


def test_a_function_of_core_dimensions_alone_is_called_for_each_element_of_the_others():
    data = np.arange(24.0).reshape(4, 2, 3)
    x = xp.asarray(data, chunks=(3, 1, 3))
    y = xp.apply_gufunc(
        lambda row, k: float(row.sum()) + k,
        "(i),()->()",
        x,
        10,
        vectorize=True,
        output_dtypes=float,
    )
    np.testing.assert_array_equal(run(y), data.sum(axis=-1) + 10)


def test_axes_axis_and_keepdims_are_those_of_numpy():
    data = np.arange(24.0).reshape(2, 3, 4)
    x = xp.asarray(data, chunks=(1, 2, 3))

    def total(block):
        return block.sum(axis=-1)

    y = xp.apply_gufunc(total, "(i)->()", x, axis=1, allow_rechunk=True)
    np.testing.assert_array_equal(run(y), data.sum(axis=1))
    y = xp.apply_gufunc(total, "(i)->()", x, axis=1, keepdims=True, allow_rechunk=True)
    np.testing.assert_array_equal(run(y), data.sum(axis=1, keepdims=True))
    y = xp.apply_gufunc(
        lambda b: np.swapaxes(b, -1, -2),
        "(i,j)->(j,i)",
        x,
        axes=[(0, 1), (0, -1)],
        allow_rechunk=True,
    )
    np.testing.assert_array_equal(run(y), np.transpose(data, (1, 2, 0)))


def test_a_result_goes_on_in_the_same_stage():
    x = xp.ones((6, 3), chunks=(2, 3))
    y = xp.apply_gufunc(lambda b: b.sum(axis=-1), "(i)->()", x * 2, output_dtypes=float) + 1
    assert len(y.to_plan().stages) == 1
    np.testing.assert_array_equal(y.compute(executor="threads"), np.full(6, 7.0))


def test_it_runs_in_processes():
    x = xp.asarray(np.arange(12.0).reshape(4, 3), chunks=(2, 3))
    mean, most = xp.apply_gufunc(mean_and_max, "(i)->(),()", x)
    found = xp.compute(mean, most, executor="processes")
    np.testing.assert_array_equal(found[1], [2, 5, 8, 11])


def test_blocks_beyond_the_size_of_auto_are_cut_along_the_loop():
    x = xp.ones((1000, 10**6), dtype=xp.float64, chunks=(1000, 1000))
    y = xp.apply_gufunc(
        lambda b: b.sum(axis=-1), "(i)->()", x, allow_rechunk=True, output_dtypes=float
    )
    assert y.chunks[0] * 8 * 10**6 <= 64 * 2**20


@pytest.mark.parametrize(
    "call, error, match",
    [
        (lambda x: xp.apply_gufunc(np.sum, "(i->()", x), OptionError, "no signature"),
        (lambda x: xp.apply_gufunc(np.sum, "(i)->()", x, x), OptionError, "1 arguments, and 2"),
        (lambda x: xp.apply_gufunc(np.sum, "(i)->()", x), ValueError, "chunks of 2.*allow_rechunk"),
        (lambda x: xp.apply_gufunc(np.sum, "(i)->(j)", x[:, :2]), OptionError, "output_sizes"),
        (lambda x: xp.apply_gufunc(lambda b: 1 / 0, "()->()", x), OptionError, "output_dtypes"),
        (lambda x: xp.apply_gufunc(np.sum, "(i)->()", x, axis=0, axes=[(0,)]), OptionError, "both"),
        (lambda x: xp.apply_gufunc(np.sum, "(i,j)->()", x, axis=0), OptionError, "one core"),
        (
            lambda x: xp.apply_gufunc(np.sum, "(i,j)->()", x, axes=[(0,)]),
            OptionError,
            "as many axes",
        ),
        (lambda x: xp.apply_gufunc(np.sum, "(i)->(i)", x, keepdims=True), OptionError, "keepdims"),
        (
            lambda x: xp.apply_gufunc(np.sum, "()->(),()", x, output_dtypes=[1, 2, 3]),
            OptionError,
            "3 types",
        ),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_built(call, error, match):
    with pytest.raises(error, match=match):
        call(xp.ones((4, 6), chunks=(2, 2)))


def test_a_block_of_another_shape_than_the_signature_says_names_the_function():
    def wrong(block):
        return block, block

    y, _ = xp.apply_gufunc(
        wrong, "(i)->(),()", xp.ones((4, 3), chunks=(2, 3)), output_dtypes=[float, float]
    )
    with pytest.raises(ValueError, match=r"wrong\) returned a block of shape \(2, 3\).*\(2,\)"):
        run(y)
