"""Selections against NumPy: what a task reads is what the same index expression takes of the array in memory."""

import pickle

import numpy as np
import pytest
from hypothesis import given, strategies as st

from asyncexec.storage import selections as sel
from asyncexec.storage.cuts import assign, cuts, indexer


def taken(array, region):
    """What NumPy takes, axis by axis."""
    for axis, along in enumerate(region):
        array = array[(slice(None),) * axis + (along,)]
    return array


@st.composite
def regions(draw, max_extent=12):
    """An array's shape, its chunks, and a region of it."""
    shape, chunks, region = [], [], []
    for _ in range(draw(st.integers(0, 3))):
        extent = draw(st.integers(1, max_extent))
        shape.append(extent)
        chunks.append(draw(st.integers(1, extent + 2)))
        kind = draw(st.sampled_from(["slice", "stride", "back", "positions", "empty"]))
        start = draw(st.integers(0, extent - 1))
        if kind == "slice":
            region.append(slice(start, draw(st.integers(start, extent))))
        elif kind == "stride":
            region.append(slice(start, draw(st.integers(start, extent)), draw(st.integers(1, 5))))
        elif kind == "back":
            stop = draw(st.integers(-1, start - 1)) if start else -1
            region.append(slice(start, None if stop < 0 else stop, -draw(st.integers(1, 5))))
        elif kind == "positions":
            region.append(
                np.array(draw(st.lists(st.integers(0, extent - 1), max_size=6)), np.int64)
            )
        else:
            region.append(slice(start, start))
    return tuple(shape), tuple(chunks), tuple(region)


@given(regions())
def test_cutting_along_chunks_and_assembling_gives_the_region(case):
    shape, chunks, region = case
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    out = np.full(sel.extents(region), -1)
    pieces = [cuts(along, size) for along, size in zip(region, chunks, strict=True)]

    def fill(axis, chosen):
        if axis < len(pieces):
            for cut in pieces[axis]:
                fill(axis + 1, [*chosen, cut])
            return
        chunk = array[
            tuple(
                slice(c.chunk * n, (c.chunk + 1) * n) for c, n in zip(chosen, chunks, strict=True)
            )
        ]
        assign(out, tuple(c.outer for c in chosen), chunk, tuple(c.inner for c in chosen))

    fill(0, [])
    np.testing.assert_array_equal(out, taken(array, region))


@given(regions())
def test_extents_are_the_shape_of_what_is_taken(case):
    shape, _, region = case
    assert sel.extents(region) == taken(np.zeros(shape), region).shape


@given(regions())
def test_numpy_takes_the_region_through_the_indexer(case):
    shape, _, region = case
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    np.testing.assert_array_equal(array[indexer(region)], taken(array, region))


@given(st.integers(0, 20), st.integers(1, 7))
def test_blocks_cover_an_axis_once(extent, block):
    rule = sel.Block(0, block, extent)
    numbers = range(-(-extent // block))
    assert [i for n in numbers for i in range(*rule.at((n,)).indices(extent))] == list(
        range(extent)
    )


@given(st.integers(1, 30), st.integers(1, 5), st.integers(1, 4))
def test_groups_cover_an_axis_once(extent, block, width):
    rule = sel.BlockGroup(0, width, block, extent)
    groups = range(-(-extent // (block * width)))
    assert [i for n in groups for i in range(*rule.at((n,)).indices(extent))] == list(range(extent))


@given(st.data(), st.integers(1, 30), st.integers(1, 6))
def test_an_element_window_without_margins_takes_a_basic_slice_block_by_block(data, extent, block):
    step = data.draw(st.integers(-4, 4).filter(bool))
    offset = data.draw(st.integers(0, extent - 1))
    positions = range(offset, extent if step > 0 else -1, step)
    count = data.draw(st.integers(1, len(positions)))
    rule = sel.ElementWindow(
        axis=0, in_extent=extent, out_extent=count, out_block=block, step=step, offset=offset
    )
    array = np.arange(extent)
    found = [array[rule.at((n,))] for n in range(-(-count // block))]
    assert np.concatenate(found).tolist() == list(positions[:count])


@given(st.data(), st.integers(1, 20), st.integers(1, 6))
def test_an_element_window_leaves_out_what_is_outside_of_the_array(data, extent, block):
    step = data.draw(st.integers(-3, 3).filter(bool))
    offset = data.draw(st.integers(-10, extent + 10))
    count = data.draw(st.integers(1, 20))
    rule = sel.ElementWindow(
        axis=0, in_extent=extent, out_extent=count, out_block=block, step=step, offset=offset
    )
    for n in range(-(-count // block)):
        wanted = [e * step + offset for e in range(n * block, min((n + 1) * block, count))]
        assert np.arange(extent)[rule.at((n,))].tolist() == [p for p in wanted if 0 <= p < extent]


@given(st.data(), st.integers(1, 20), st.integers(1, 6))
def test_an_element_window_with_margins_takes_everything_between(data, extent, block):
    before, after = data.draw(st.integers(0, 3)), data.draw(st.integers(1, 3))
    rule = sel.ElementWindow(
        axis=0, in_extent=extent, out_extent=extent, out_block=block, before=before, after=after
    )
    for n in range(-(-extent // block)):
        low, high = n * block - before, min((n + 1) * block, extent) + after
        assert rule.at((n,)) == slice(max(low, 0), min(high, extent))


def test_element_windows_join_arrays_end_to_end():
    """Concatenation: each part is read where it lies in the output."""
    parts = [np.arange(5), np.arange(5, 12)]
    starts = [0, 5]
    rules = [
        sel.ElementWindow(axis=0, in_extent=len(p), out_extent=12, out_block=4, offset=-s)
        for p, s in zip(parts, starts, strict=True)
    ]
    found = [p[r.at((n,))] for n in range(3) for p, r in zip(parts, rules, strict=True)]
    assert np.concatenate(found).tolist() == list(range(12))


def test_blocks_permute_broadcast_and_contract():
    select = sel.blocks((1, 6, 9, 4), (1, 2, 3, 4), (0, 2, None, 1))
    assert select((5, 0, 2)) == (slice(0, 1), slice(4, 6), slice(0, 9), slice(0, 4))


def test_groups_of_blocks_and_whole_axes():
    select = sel.grouped((10, 7), (2, 3), (3, 1), (0, None))
    assert select((1,)) == (slice(6, 10), slice(0, 7))


def test_whole_and_fixed_selections_ignore_the_index():
    assert sel.whole((3, 4))((9, 9)) == (slice(0, 3), slice(0, 4))
    assert sel.Fixed((slice(2, 3),))((7,)) == (slice(2, 3),)


def test_taken_positions_follow_the_block():
    rule = sel.Taken(0, np.array([5, 3, 3, 0, 9]), 2)
    assert [rule.at((n,)).tolist() for n in range(3)] == [[5, 3], [3, 0], [9]]


@given(regions())
def test_tiles_cover_the_region_in_order(case):
    shape, chunks, region = case
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    found = [taken(array, tile) for tile in sel.tiles(region, chunks)]
    assert sum(tile.size for tile in found) == taken(array, region).size
    assert sorted(np.concatenate([t.ravel() for t in found]).tolist() if found else []) == sorted(
        taken(array, region).ravel().tolist()
    )
    if all(isinstance(along, slice) and along.step in (None, 1) for along in region):
        assert all(n <= c for tile in found for n, c in zip(tile.shape, chunks, strict=True))


@pytest.mark.parametrize(
    "select", [sel.same_block((10**9, 4), (10, 4)), sel.whole((3,)), sel.Fixed((slice(0, 1),))]
)
def test_selections_are_small_and_can_be_pickled(select):
    blob = pickle.dumps(select)
    assert len(blob) < 500
    assert pickle.loads(blob)((3, 0)) == select((3, 0))
    assert isinstance(select, sel.Selection)
