"""Indexing is NumPy's."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

import asyncexec.array as xp
from tests.array.direct import run
from tests.array.strategies import chunks_of, keys, shapes


@given(st.data())
def test_any_basic_index(data):
    shape = data.draw(shapes())
    key = data.draw(keys(shape))
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    x = xp.asarray(array, chunks=data.draw(chunks_of(shape)))
    expected = array[key]
    assert x[key].shape == expected.shape
    np.testing.assert_array_equal(run(x[key]), expected)


@given(st.data())
def test_an_index_of_an_index_is_one_view(data):
    shape = data.draw(shapes())
    first = data.draw(keys(shape))
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    second = data.draw(keys(array[first].shape))
    x = xp.asarray(array, chunks=data.draw(chunks_of(shape)))
    found = x[first][second]
    assert len(found.to_plan().stages) == 1
    np.testing.assert_array_equal(run(found), array[first][second])


@pytest.mark.parametrize(
    "key, match",
    [
        (4, r"index 4 is out of range for axis 0 with 4 elements"),
        ((0, -6), r"index -6 is out of range for axis 1 with 5 elements"),
        ((0, 0, 0), r"too many indices: 3 were given.*2 axes"),
        ((..., ...), r"only one ellipsis"),
        (1.5, r"float is no index"),
        (object(), r"object is no index"),
        ([0.5], r"list of float64 is no index"),
        ([True, False], r"a mask of shape \(2,\) does not fit"),
        ([0, 4], r"index 4 is out of range for axis 0 with 4 elements"),
        ((slice(None), [-6]), r"index -6 is out of range for axis 1 with 5 elements"),
    ],
)
def test_what_is_no_index_or_out_of_range_is_an_index_error(key, match):
    x = xp.ones((4, 5))
    with pytest.raises(IndexError, match=match):
        x[key]


def test_numpy_integers_index():
    x = xp.arange(5, chunks=2)
    assert run(x[np.int64(3)]) == 3


def test_a_whole_slice_is_the_same_expression():
    x = xp.ones((4, 5))
    assert x[...].node is x.node
    assert x[:, :].node is x.node


def test_iterating_and_the_length_are_of_the_first_axis():
    x = xp.asarray([[1, 2], [3, 4], [5, 6]], chunks=1)
    assert len(x) == 3
    assert [run(row).tolist() for row in x] == [[1, 2], [3, 4], [5, 6]]
    with pytest.raises(TypeError, match="no length"):
        len(xp.ones(()))
    with pytest.raises(TypeError, match="iterated"):
        iter(xp.ones(()))


def test_a_far_slice_reads_only_its_own_chunks():
    x = xp.map_blocks(np.negative, xp.ones((1000, 10), chunks=(10, 10)))
    plan = x[505:507].to_plan()
    (read,) = plan.stages[-1].reads
    assert read.relation.reads((range(1), range(1)))[0] == range(50, 51)


@given(st.data())
def test_a_list_of_integers_along_one_axis(data):
    shape = data.draw(shapes(side=st.integers(1, 7)).filter(bool))
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    x = xp.asarray(array, chunks=data.draw(chunks_of(shape)))
    axis = data.draw(st.integers(0, len(shape) - 1))
    n = shape[axis]
    indices = data.draw(st.lists(st.integers(-n, n - 1), max_size=9))
    key = [data.draw(st.slices(m)) for m in shape]
    key[axis] = data.draw(st.sampled_from([indices, np.array(indices, np.int16)]))
    if data.draw(st.booleans()):
        key.insert(data.draw(st.integers(0, len(key))), None)
    expected = array[tuple(k if k != [] else np.array([], int) for k in map(as_key, key))]
    assert x[tuple(key)].shape == expected.shape
    np.testing.assert_array_equal(run(x[tuple(key)]), expected)


def as_key(part):
    return part.tolist() if isinstance(part, np.ndarray) else part
