"""Chunk arithmetic."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from asyncexec.array.chunks import (
    broadcast_shapes,
    chunk_bytes,
    grid,
    normalize_chunks,
    unify_chunks,
)
from asyncexec.errors import OptionError
from asyncexec.plan.lengths import Lengths

LENGTHS = st.lists(st.integers(0, 50), max_size=4).map(tuple)


@pytest.mark.parametrize(
    "given_chunks, expected",
    [
        (3, (3, 3)),
        (-1, (10, 20)),
        (None, (10, 20)),
        ((3, -1), (3, 20)),
        ((3, None), (3, 20)),
        (100, (10, 20)),
        (((4, 4, 2), 5), (4, 5)),
        (((10,), (20,)), (10, 20)),
        ("auto", (10, 20)),
        ("800 B", (10, 10)),
        ((5, "auto"), (5, 20)),
        ({1: 4}, (2, 4)),
        ({-1: -1}, (2, 20)),
        # As Dask and xarray have them.
        (((3, 4, 3), 5), (Lengths((3, 7, 10)), 5)),
        (((2, 8), (20,)), (Lengths((2, 10)), 20)),
        (((4, 6, 0), (20,)), (Lengths((4, 10)), 20)),
        (((4, 4, 2), (0, 20)), (4, 20)),
    ],
)
def test_every_way_to_say_chunks(given_chunks, expected):
    assert normalize_chunks(given_chunks, (10, 20), 8, previous=(2, 7)) == expected


@pytest.mark.parametrize(
    "chunks, match",
    [
        ((3,), "one entry per axis"),
        ((0, 3), "positive int"),
        ((2.5, 3), "positive int"),
        (("many", 3), "positive int"),
        (((3, -1, 8), 5), "add up to 10"),
        (((4, 4), 5), "add up to 8"),
        ({2: 1}, "axis 2"),
        ("lots", "not a size"),
    ],
)
def test_chunks_that_do_not_fit_are_refused_with_advice(chunks, match):
    with pytest.raises(OptionError, match=match):
        normalize_chunks(chunks, (10, 20), 8)


@given(LENGTHS, st.integers(1, 16), st.integers(1, 5_000))
def test_auto_chunks_fit_the_limit_and_are_not_needlessly_small(shape, itemsize, limit):
    chunks = normalize_chunks("auto", shape, itemsize, limit=limit)
    assert all(1 <= c <= max(n, 1) for c, n in zip(chunks, shape, strict=True))
    size = math.prod(chunks) * itemsize
    assert size <= max(limit, itemsize)
    if math.prod(chunks) < math.prod(max(n, 1) for n in shape):
        # Doubling the shortest axis that is cut would go beyond the limit.
        grown = math.prod(c + 1 for c in chunks) * itemsize
        assert grown > limit


@given(LENGTHS, st.data())
def test_the_grid_covers_the_array(shape, data):
    chunks = tuple(data.draw(st.integers(1, max(n, 1))) for n in shape)
    for n, c, blocks in zip(shape, chunks, grid(shape, chunks), strict=True):
        assert (blocks - 1) * c < n <= blocks * c or n == blocks == 0


@given(st.lists(st.lists(st.integers(0, 3), max_size=4).map(tuple), min_size=1, max_size=3))
def test_broadcasting_is_numpys(shapes):
    try:
        expected = np.broadcast_shapes(*shapes)
    except ValueError:
        with pytest.raises(ValueError, match="do not broadcast"):
            broadcast_shapes(*shapes)
    else:
        assert broadcast_shapes(*shapes) == expected


def test_shapes_that_do_not_broadcast_are_both_named():
    with pytest.raises(ValueError, match=r"\(3, 4\) and \(5,\).*4 and 5"):
        broadcast_shapes((3, 4), (5,))


def test_the_largest_operand_says_how_chunks_lie():
    operands = [((100, 100), (10, 100), 8), ((100, 100), (100, 10), 4), ((100,), (7,), 8)]
    assert unify_chunks((100, 100), operands, 8) == (10, 100)


def test_an_outer_product_gets_chunks_that_fit():
    column, row = ((10**6, 1), (10**6, 1), 8), ((1, 10**6), (1, 10**6), 8)
    chunks = unify_chunks((10**6, 10**6), [column, row], 8, limit=10**7)
    assert 10**6 <= chunk_bytes((10**6, 10**6), chunks, 8) <= 10**7


@given(LENGTHS, st.data())
def test_unified_chunks_lie_within_the_shape(shape, data):
    operands = [
        (shape, tuple(data.draw(st.integers(1, max(n, 1))) for n in shape), 8) for _ in range(2)
    ]
    chunks = unify_chunks(shape, operands, 8)
    assert chunks in [operand[1] for operand in operands]
