"""Repeating, tiling, rolling, turning and stacking, against NumPy's."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.array.expansion import topological
from tests.array.direct import run
from tests.array.strategies import leaves, shapes
from tests.profiles import examples


def same(found, expected):
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(run(found), expected)


@settings(max_examples=examples(40))
@given(st.data())
def test_repeating_elements(data):
    x, a = data.draw(leaves())
    axis = data.draw(st.sampled_from([None, *range(a.ndim), *range(-a.ndim, 0)]))
    n = a.size if axis is None else a.shape[axis]
    same(xp.repeat(x, 3, axis=axis), np.repeat(a, 3, axis=axis))
    counts = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), np.int64)
    same(xp.repeat(x, xp.asarray(counts), axis=axis), np.repeat(a, counts, axis=axis))


@settings(max_examples=examples(40))
@given(st.data())
def test_tiling_arrays(data):
    x, a = data.draw(leaves(shape=data.draw(shapes(most_dims=2))))
    times = tuple(data.draw(st.lists(st.integers(0, 3), max_size=3)))
    same(xp.tile(x, times), np.tile(a, times))


@settings(max_examples=examples(40))
@given(st.data())
def test_rolling_axes(data):
    x, a = data.draw(leaves())
    axes = tuple(data.draw(st.lists(st.integers(0, a.ndim - 1), unique=True))) if a.ndim else ()
    shifts = tuple(data.draw(st.integers(-9, 9)) for _ in axes)
    if axes:
        same(xp.roll(x, shifts, axis=axes), np.roll(a, shifts, axes))
    same(xp.roll(x, 3), np.roll(a, 3))


@pytest.mark.parametrize(
    "shifts, axes",
    [
        ((2, 6), None),
        ((1, 2), 0),
        ((4, -4), 1),
        ((1,), (0, 1)),
    ],
)
def test_several_shifts_along_one_axis_add_up(shifts, axes):
    array = np.arange(12.0).reshape(3, 4)
    same(xp.roll(xp.asarray(array, chunks=2), shifts, axis=axes), np.roll(array, shifts, axes))


def test_rolling_several_axes_reads_each_element_once():
    x = xp.map_blocks(np.negative, xp.ones((40, 40, 40), chunks=10), dtype=float)
    plan = xp.roll(x, (3, 5, 7), axis=(0, 1, 2)).to_plan()
    assert len(plan.stages) == 2


@settings(max_examples=examples(30))
@given(st.data())
def test_axes_in_another_order_and_more_of_them(data):
    x, a = data.draw(leaves())
    same(xp.ravel(x), np.ravel(a))
    for name in ("atleast_1d", "atleast_2d", "atleast_3d"):
        same(getattr(xp, name)(x), getattr(np, name)(a))
    if a.ndim >= 2:
        axes = tuple(data.draw(st.permutations(range(a.ndim)))[:2])
        k = data.draw(st.integers(-5, 5))
        same(xp.rot90(x, k, axes=axes), np.rot90(a, k, axes))
        same(xp.swapaxes(x, *axes), np.swapaxes(a, *axes))


@settings(max_examples=examples(30))
@given(st.data())
def test_stacking(data):
    shape = data.draw(shapes(side=st.integers(1, 4)))
    x, a = data.draw(leaves(shape=shape))
    y, b = data.draw(leaves(shape=shape))
    for name in ("hstack", "vstack", "dstack", "column_stack"):
        if name == "column_stack" and not shape:
            continue
        same(getattr(xp, name)([x, y]), getattr(np, name)([a, b]))
    same(xp.append(x, y), np.append(a, b))
    same(xp.block([[x, y], [y, x]]), np.block([[a, b], [b, a]]))
    same(xp.concat([x, y], axis=None), np.concatenate([a, b], axis=None))


@settings(max_examples=examples(40))
@given(st.data())
def test_elements_put_in_and_taken_out(data):
    x, a = data.draw(
        leaves(shape=data.draw(shapes(side=st.integers(1, 5)).filter(len)), dtypes=["f8"])
    )
    axis = data.draw(st.sampled_from([None, *range(a.ndim)]))
    n = a.size if axis is None else a.shape[axis]
    gone = data.draw(st.lists(st.integers(-n, n - 1)))
    same(xp.delete(x, gone, axis=axis), np.delete(a, np.array(gone, int), axis=axis))
    cut = data.draw(st.slices(n))
    same(xp.delete(x, cut, axis=axis), np.delete(a, cut, axis=axis))
    places = data.draw(st.lists(st.integers(-n, n), min_size=1))
    same(xp.insert(x, places, 7, axis=axis), np.insert(a, places, 7, axis=axis))
    place = data.draw(st.integers(-n, n))
    same(xp.insert(x, place, 7.5, axis=axis), np.insert(a, place, 7.5, axis=axis))
    if axis == 0:
        same(xp.insert(x, place, x, axis=0), np.insert(a, place, a, axis=0))


def test_shapes_that_broadcast_together():
    assert xp.broadcast_shapes((8, 1, 6), (7, 1), (), (1,)) == (8, 7, 6)
    assert xp.broadcast_shapes() == ()
    with pytest.raises(ValueError, match="do not broadcast"):
        xp.broadcast_shapes((2,), (3,))


@pytest.mark.parametrize(
    "call, error, match",
    [
        (lambda x: xp.repeat(x, -1), ValueError, "negative"),
        (lambda x: xp.repeat(x, [1, 2], axis=0), ValueError, "4 elements"),
        (lambda x: xp.repeat(x, [1.5] * 4, axis=0), TypeError, "integers"),
        (lambda x: xp.tile(x, (-1,)), ValueError, "negative"),
        (lambda x: xp.rot90(x, axes=(0,)), ValueError, "two"),
        (lambda x: xp.block([[x], x]), ValueError, "equally deep"),
        (lambda x: xp.block([]), ValueError, "not empty"),
        (lambda x: xp.delete(x, 9, axis=0), IndexError, "place 9"),
        (lambda x: xp.insert(x, 9, 0, axis=0), IndexError, "place 9"),
    ],
)
def test_what_cannot_be_is_refused(call, error, match):
    with pytest.raises(error, match=match):
        call(xp.ones((4, 3), chunks=2))


def test_repeating_and_tiling_make_few_nodes():
    x = xp.ones(10**6, chunks=1)
    for y in (xp.repeat(x, 7), xp.tile(x, 7), xp.roll(x, 5), xp.tile(xp.ones(3), 10**6)):
        assert len(list(topological([y.node]))) < 10
    assert xp.repeat(xp.ones(3), 10**9).chunks[0] <= 2**23


@pytest.mark.parametrize("shape, chunks", [((5,), (2,)), ((3, 4), (2, 2)), ((4, 3, 2), (3, 2, 1))])
def test_elements_that_come_more_often_than_a_chunk_holds_are_in_chunks_of_its_size(shape, chunks):
    data = np.arange(math.prod(shape)).reshape(shape)
    x = xp.asarray(data, chunks=chunks, spec=ax.Spec(allowed_mem=40_000, reserved_mem=0))
    for axis in range(len(shape)):
        repeated = xp.repeat(x, 3001, axis=axis)
        assert repeated.chunks[axis] >= 64
        same(repeated, np.repeat(data, 3001, axis=axis))
    assert xp.repeat(xp.arange(10), 10**8).chunks[0] > 10**6


def test_an_axis_that_would_be_longer_than_there_are_numbers_is_refused():
    with pytest.raises(ValueError, match="an axis has 9223372036854775807 elements at most"):
        xp.repeat(xp.arange(10), 2**62)
