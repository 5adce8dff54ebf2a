"""Indexing by arrays of integers, alone and beside other indices, is NumPy's."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st

import asyncexec.array as xp
from asyncexec.array.axis_groups import divided, joined
from asyncexec.array.line_indexing import picked_along
from tests.array.direct import run
from tests.array.index_strategies import any_keys, numbers, spelt_ours
from tests.array.strategies import chunks_of, shapes
from tests.profiles import examples


def counting(shape):
    return np.arange(math.prod(shape)).reshape(shape)


@settings(max_examples=examples(60))
@given(st.data())
def test_any_key_selects_what_it_selects_in_numpy(data):
    shape = data.draw(shapes(side=st.integers(0, 5)))
    array = counting(shape)
    key = data.draw(any_keys(shape))
    try:
        expected = array[key]
    except IndexError:
        # Drawn masks and arrays that do not broadcast; the same is an error here.
        with pytest.raises(IndexError):
            xp.asarray(array)[key]
        return
    assume(expected.ndim <= 6)
    x = xp.asarray(array, chunks=data.draw(chunks_of(shape)))
    found = x[data.draw(spelt_ours(key))]
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(run(found), expected)


@settings(max_examples=examples(40))
@given(st.data())
def test_points_of_several_axes_come_in_the_order_of_the_arrays(data):
    shape = data.draw(st.tuples(*[st.integers(1, 9)] * 3))
    array = counting(shape)
    count = data.draw(st.integers(0, 30))
    axes = data.draw(st.sampled_from([(0, 1), (0, 2), (1, 2), (0, 1, 2)]))
    key = tuple(
        data.draw(numbers(n, (count,))) if axis in axes else slice(None)
        for axis, n in enumerate(shape)
    )
    x = xp.asarray(array, chunks=data.draw(chunks_of(shape)))
    stored = xp.map_blocks(np.negative, x)
    np.testing.assert_array_equal(run(stored[key]), -array[key])
    np.testing.assert_array_equal(run(x[key] + 1), array[key] + 1)


@settings(max_examples=examples(25))
@given(st.data())
def test_take_has_indices_of_any_number_of_axes(data):
    shape = data.draw(shapes(side=st.integers(1, 6)).filter(bool))
    array = counting(shape)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    indices = data.draw(numbers(shape[axis], data.draw(shapes(2, st.integers(0, 4)))))
    x = xp.asarray(array, chunks=data.draw(chunks_of(shape)))
    expected = np.take(array, indices, axis=axis)
    found = xp.take(x, indices, axis=axis)
    assert found.shape == expected.shape
    np.testing.assert_array_equal(run(found), expected)


@settings(max_examples=examples(40))
@given(st.data())
def test_take_along_axis_is_numpys(data):
    shape = data.draw(shapes(side=st.integers(1, 6)).filter(bool))
    array = counting(shape)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    place = axis % len(shape)
    other = list(shape)
    other[place] = data.draw(st.integers(0, 8))
    if data.draw(st.booleans()):
        other = [n if a == place or data.draw(st.booleans()) else 1 for a, n in enumerate(other)]
    indices = data.draw(numbers(shape[axis], tuple(other)))
    x = xp.asarray(array, chunks=data.draw(chunks_of(shape)))
    i = xp.asarray(indices, chunks=data.draw(chunks_of(indices.shape)))
    expected = np.take_along_axis(array, indices, axis=axis)
    for given_indices in (i, indices):
        found = xp.take_along_axis(x, given_indices, axis=axis)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_array_equal(run(found), expected)


@settings(max_examples=examples(25))
@given(st.data())
def test_take_along_axis_reads_lines_in_parts_where_they_are_long(data):
    shape = data.draw(shapes(side=st.integers(1, 9)).filter(bool))
    array = counting(shape)
    axis = data.draw(st.integers(0, len(shape) - 1))
    other = (*shape[:axis], data.draw(st.integers(1, 5)), *shape[axis + 1 :])
    indices = data.draw(numbers(shape[axis], other))
    x = xp.asarray(array, chunks=data.draw(chunks_of(shape)))
    i = xp.asarray(indices, chunks=data.draw(chunks_of(other)))
    found = picked_along(x.node, i.node, axis, limit=data.draw(st.integers(8, 40)))
    expected = np.take_along_axis(array, indices, axis=axis)
    np.testing.assert_array_equal(run(xp.Array(found)), expected)


@settings(max_examples=examples(40))
@given(st.data())
def test_axes_are_joined_and_divided_also_if_chunks_must_be_small(data):
    shape = data.draw(shapes(most_dims=4, side=st.integers(0, 5)).filter(bool))
    array = counting(shape)
    first = data.draw(st.integers(0, len(shape) - 1))
    count = data.draw(st.integers(0, len(shape) - first))
    limit = data.draw(st.integers(8, 400))
    x = xp.asarray(array, chunks=data.draw(chunks_of(shape)))
    group = shape[first : first + count]
    flat = (*shape[:first], math.prod(group), *shape[first + count :])
    one = joined(x.node, first, count, limit=limit, operation="reshape")
    assert one.shape == flat
    assert not array.size or math.prod(one.chunks) * 8 <= max(
        limit, x.itemsize * math.prod(x.node.chunks)
    )
    np.testing.assert_array_equal(run(xp.Array(one)), array.reshape(flat))
    several = divided(one, first, group, limit=limit, operation="reshape")
    assert several.shape == shape
    np.testing.assert_array_equal(run(xp.Array(several)), array)


def test_an_index_out_of_range_that_is_known_is_an_error_at_once_and_else_one_of_a_task():
    x = xp.ones((2, 3))
    with pytest.raises(IndexError, match="index 3 is out of range for axis 1 with 3 elements"):
        xp.take_along_axis(x, np.array([[3], [0]]))
    lazily = xp.take_along_axis(x, xp.asarray([[2], [-4]]) + 0)
    with pytest.raises(IndexError, match="take_along_axis: index -4 is out of range for axis 1"):
        run(lazily)


@pytest.mark.parametrize(
    "indices, axis, error, match",
    [
        (np.zeros(3, int), -1, ValueError, "2 axes .* and indices 1"),
        (np.zeros((2, 3)), -1, TypeError, "integers, not float64"),
        (np.zeros((5, 3), int), -1, ValueError, "do not broadcast"),
        (np.zeros((2, 3), int), 2, IndexError, "axis 2"),
    ],
)
def test_what_take_along_axis_cannot_take_is_an_error(indices, axis, error, match):
    with pytest.raises(error, match=match):
        xp.take_along_axis(xp.ones((2, 3)), indices, axis=axis)


def test_far_points_are_read_of_their_own_chunks():
    x = xp.map_blocks(np.negative, xp.ones((10_000, 10_000), chunks=(10, 10)))
    found = x[[5, 9_999, 5], [7, 0, 8]]
    _, gather, _ = found.to_plan().stages
    assert gather.shape == (2,)
    (read,) = gather.reads
    boxes = [read.relation.reads((range(i, i + 1),)) for i in range(2)]
    assert [[list(along) for along in box] for box in boxes] == [[[0], [0]], [[999], [0]]]


def test_many_points_make_pieces_of_bounded_size_however_they_lie():
    x = xp.ones((10_000, 10_000), chunks=(1000, 1000))
    rows = np.zeros(200_000, int)
    rows[:100] = np.arange(100) * 100
    found = x[rows, rows]
    padded = found.node.inputs[0]
    assert padded.shape[0] <= 2 * len(rows) + padded.chunks[0] * 10
    assert found.shape == (200_000,)
    assert len(found.to_plan().stages) == 2


@pytest.mark.parametrize(
    "key, match",
    [
        (([0, 1], [0, 1, 2]), "index arrays do not fit together"),
        (([0, 4], [0, 0]), "index 4 is out of range for axis 0 with 4 elements"),
        ((slice(None), [[-6]]), "index -6 is out of range for axis 1 with 5 elements"),
        ([0.5], "list of float64 is no index"),
        (([0], [0], [0]), "too many indices: 3"),
        (np.ones(3, bool), r"mask of shape \(3,\) does not fit .* \(4, 5\)"),
        ((slice(None), np.ones((5, 2), bool)), "too many indices: 3"),
    ],
)
def test_what_does_not_fit_is_an_index_error_at_once(key, match):
    with pytest.raises(IndexError, match=match):
        xp.ones((4, 5))[key]


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_points_come_together_on_executors(executor):
    array = counting((12, 10, 3))
    x = xp.asarray(array, chunks=(5, 4, 2))
    i, j = np.array([[11, 0], [3, 3]]), np.array([9, 1])
    found = x[i, j, ::2].compute(executor=executor)
    np.testing.assert_array_equal(found, array[i, j, ::2])
