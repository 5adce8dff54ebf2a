"""Any shape to any other, in chunks that stay within a limit, and without a node for each index."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec.array as xp
from asyncexec.array.expansion import topological
from asyncexec.array.nodes import Concat
from asyncexec.array.reshaping import raveled, reshaped
from tests.array.direct import run
from tests.array.strategies import leaves
from tests.profiles import examples


@st.composite
def factored(draw, size):
    """A shape of `size` elements."""
    shape = []
    while size > 1 and len(shape) < 4:
        n = draw(st.sampled_from([d for d in range(1, size + 1) if size % d == 0]))
        shape.append(n)
        size //= n
    return (*shape, size) if size > 1 or draw(st.booleans()) else tuple(shape)


@settings(max_examples=examples(40))
@given(st.data())
def test_any_shape_becomes_any_other_in_chunks_within_the_limit(data):
    size = data.draw(st.sampled_from([1, 2, 12, 24, 36, 60, 72, 96, 120]))
    before, after = data.draw(factored(size)), data.draw(factored(size))
    x, a = data.draw(leaves(shape=before, dtypes=["f8"]))
    limit = data.draw(st.sampled_from([8, 24, 80, 160, 10**6]))
    found = reshaped(x.node, after, limit=limit)
    assert found.shape == after
    np.testing.assert_array_equal(run(xp.Array(found)), a.reshape(after))
    if before != after and len([n for n in after if n > 1]) > 0:
        own = math.prod(map(min, x.node.chunks, x.shape)) * 8
        made = math.prod(map(min, found.chunks, found.shape)) * 8
        assert made <= max(limit, own, 8)


@settings(max_examples=15)
@given(st.data())
def test_rows_longer_than_a_chunk(data):
    rows, row = data.draw(st.integers(2, 9)), data.draw(st.integers(11, 40))
    x, a = data.draw(leaves(shape=(rows, row), dtypes=["f8"]))
    flat = raveled(x.node, limit=80)
    np.testing.assert_array_equal(run(xp.Array(flat)), a.ravel())
    y, b = data.draw(leaves(shape=(rows * row, 2), dtypes=["f8"]))
    divided = reshaped(y.node, (rows, row, 2), limit=80)
    np.testing.assert_array_equal(run(xp.Array(divided)), b.reshape(rows, row, 2))


def test_axes_outside_of_what_changes_keep_their_chunks():
    x = xp.ones((6, 10, 4, 5), chunks=(2, 10, 4, 3))
    y = xp.reshape(x, (6, 40, 5))
    assert y.chunks == (2, 40, 3)
    (stage,) = xp.sum(y, axis=0).to_plan().stages[:1]
    assert stage.tasks == 6
    z = xp.reshape(xp.ones((100, 6, 7), chunks=(10, 6, 7)), (10, 10, 6, 7))
    assert z.chunks == (1, 10, 6, 7)


def parts(node):
    return sum(len(n.inputs) for n in topological([node]) if isinstance(n, Concat))


@pytest.mark.parametrize("rows, row", [(10**6, 2000), (40, 10**6), (1000, 10**6)])
def test_few_nodes_are_made_however_many_chunks_there_are(rows, row):
    chunks = rows * row // 1000
    x = xp.ones((rows, row), chunks=(1, 1000))
    merged = raveled(x.node, limit=8000)
    divided = reshaped(xp.ones(rows * row, chunks=1000).node, (rows, row), limit=8000)
    for node in (merged, divided):
        assert math.prod(node.chunks) <= 1000
        assert parts(node) <= math.isqrt(chunks) + 2
        assert len(list(topological([node]))) <= 8 * math.isqrt(chunks) + 20


def test_merging_and_dividing_again_are_one_stage_where_chunks_go_together():
    x = xp.ones((100, 100), chunks=(10, 100))
    y = xp.reshape(x * 2, (50, 200))
    assert [stage.tasks for stage in y.to_plan().stages] == [10]


def test_reshaping_on_executors():
    a = np.arange(60.0).reshape(3, 4, 5)
    y = xp.reshape(xp.asarray(a, chunks=(2, 3, 2)), (5, 12))
    np.testing.assert_array_equal(y.compute(executor="threads"), a.reshape(5, 12))
    np.testing.assert_array_equal(y.compute(executor="processes"), a.reshape(5, 12))
