"""Chunks' shares of regions against NumPy."""

import numpy as np
from hypothesis import given

from asyncexec.storage.chunks.chunk_slices import (
    assign,
    chunk_slices,
    indexer,
    shape_of,
    within_one_chunk,
)
from tests.storage.regions import regions, taken


@given(regions())
def test_cutting_along_chunks_and_assembling_gives_the_region(case):
    shape, chunks, region = case
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    out = np.full(shape_of(region), -1)
    pieces = [chunk_slices(along, size) for along, size in zip(region, chunks, strict=True)]

    def fill(axis, chosen):
        if axis < len(pieces):
            for piece in pieces[axis]:
                fill(axis + 1, [*chosen, piece])
            return
        chunk = array[
            tuple(
                slice(c.chunk * n, (c.chunk + 1) * n) for c, n in zip(chosen, chunks, strict=True)
            )
        ]
        assign(out, tuple(c.in_result for c in chosen), chunk, tuple(c.in_chunk for c in chosen))

    fill(0, [])
    np.testing.assert_array_equal(out, taken(array, region))


@given(regions())
def test_its_shape_is_that_of_what_is_taken(case):
    shape, _, region = case
    assert shape_of(region) == taken(np.zeros(shape), region).shape


@given(regions())
def test_numpy_takes_the_region_through_the_indexer(case):
    shape, _, region = case
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    np.testing.assert_array_equal(array[indexer(region)], taken(array, region))


@given(regions())
def test_a_region_within_one_chunk_is_a_view_of_it(case):
    shape, chunks, region = case
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    pieces = [chunk_slices(along, size) for along, size in zip(region, chunks, strict=True)]
    one = within_one_chunk(pieces)
    if one is None:
        return
    number, inner = one
    chunk = array[(*(slice(i * n, (i + 1) * n) for i, n in zip(number, chunks, strict=True)), ...)]
    np.testing.assert_array_equal(chunk[inner], taken(array, region))
    assert not shape or np.shares_memory(chunk[inner], array) or not chunk[inner].size
