"""Axis maps against brute force over elements, in both directions."""

import pickle

import numpy as np
import pytest
from hypothesis import given, strategies as st

from asyncexec.errors import RelationError
from asyncexec.plan.axes import AxisMap, Every, Fixed, Gather, Group, Listed, Same, Window

lengths = st.integers(0, 12)
chunks = st.integers(1, 5)


reach = st.integers(0, 4)
any_step = st.integers(-4, 4).filter(bool)


@st.composite
def windows(draw, steps=any_step):
    return Window(
        in_extent=draw(lengths),
        in_chunk=draw(chunks),
        out_extent=draw(lengths),
        out_chunk=draw(chunks),
        step=draw(steps),
        offset=draw(st.integers(-15, 15)),
        before=draw(reach),
        after=draw(reach),
    )


@st.composite
def gathers(draw):
    extent = draw(lengths)
    indices = draw(st.lists(st.integers(0, extent - 1), max_size=12)) if extent else []
    return Gather(np.array(indices, dtype=np.int64), extent, draw(chunks), draw(chunks))


@st.composite
def simple_maps(draw):
    n = draw(st.integers(1, 8))
    same = st.tuples(st.sampled_from([1, n]), st.just(n)).map(lambda p: (Same(*p), *p))
    group = st.integers(1, 10).map(lambda w: (Group(w, n), n, -(-n // w)))
    every = st.integers(0, 4).map(lambda c: (Every(n, c), n, c))
    fixed = st.tuples(st.integers(0, n - 1), st.integers(1, 4)).map(lambda f: (Fixed(*f), n, f[1]))
    position = st.integers(0, n - 1)
    span = st.sets(position).map(sorted).map(tuple) | position.map(lambda i: range(i, n))
    listed = st.lists(span, max_size=6).map(lambda s: (Listed(n, tuple(s)), n, len(s)))
    return draw(same | group | every | fixed | listed)


def elements_of(block, chunk, extent):
    return range(block * chunk, min((block + 1) * chunk, extent))


def reach_of(window, block):
    """Producer elements from the first to the last that the block's elements reach."""
    reached = [
        e * window.step + window.offset + d
        for e in elements_of(block, window.out_chunk, window.out_extent)
        for d in range(-window.before, window.after + 1)
    ]
    return range(max(min(reached), 0), min(max(reached) + 1, window.in_extent))


def assert_inverse(axis_map, producer, consumer):
    """consumers() is exactly the inverse of reads(), and both are spans within their axis."""
    reads = [tuple(axis_map.reads(o)) for o in range(consumer)]
    for o, read in enumerate(reads):
        assert read == tuple(sorted(set(read))), f"consumer {o} reads {read}, which is no span"
        assert all(0 <= p < producer for p in read), f"consumer {o} reads {read} outside the axis"
    for p in range(producer):
        expected = tuple(o for o, read in enumerate(reads) if p in read)
        assert tuple(axis_map.consumers(p)) == expected, f"readers of position {p}"


@given(windows())
def test_a_window_reads_the_blocks_of_all_between_the_ends_of_its_reach(window):
    for block in range(window.blocks[1]):
        expected = sorted({e // window.in_chunk for e in reach_of(window, block)})
        assert list(window.reads(block)) == expected


@given(windows(steps=st.sampled_from([1, -1])))
def test_a_window_of_step_one_reads_no_block_that_it_does_not_need(window):
    for block in range(window.blocks[1]):
        needed = {
            e * window.step + window.offset + d
            for e in elements_of(block, window.out_chunk, window.out_extent)
            for d in range(-window.before, window.after + 1)
        }
        expected = sorted({e // window.in_chunk for e in needed if 0 <= e < window.in_extent})
        assert list(window.reads(block)) == expected


@given(windows())
def test_a_windows_consumers_are_the_inverse_of_its_reads(window):
    assert_inverse(window, *window.blocks)


@given(st.integers(0, 40), chunks, chunks)
def test_a_plain_window_rechunks(extent, before, after):
    window = Window(in_extent=extent, in_chunk=before, out_extent=extent, out_chunk=after)
    for block in range(window.blocks[1]):
        expected = sorted({e // before for e in elements_of(block, after, extent)})
        assert list(window.reads(block)) == expected


@given(st.integers(1, 30), chunks, chunks, st.slices(30))
def test_a_window_with_step_and_offset_slices_as_numpy_does(extent, in_chunk, out_chunk, key):
    taken = np.arange(extent)[key]
    start, _, step = key.indices(extent)
    window = Window(
        in_extent=extent,
        in_chunk=in_chunk,
        out_extent=len(taken),
        out_chunk=out_chunk,
        step=step,
        offset=start,
    )
    for block in range(window.blocks[1]):
        needed = taken[block * out_chunk : (block + 1) * out_chunk] // in_chunk
        assert set(needed.tolist()) <= set(window.reads(block))
        assert (needed.min(), needed.max()) == (window.reads(block)[0], window.reads(block)[-1])


@given(st.lists(st.integers(0, 9), min_size=1, max_size=4), chunks, chunks)
def test_windows_with_negative_offsets_concatenate(extents, in_chunk, out_chunk):
    total, start = sum(extents), 0
    for extent in extents:
        window = Window(
            in_extent=extent,
            in_chunk=in_chunk,
            out_extent=total,
            out_chunk=out_chunk,
            offset=-start,
        )
        for block in range(window.blocks[1]):
            inside = [e - start for e in elements_of(block, out_chunk, total)]
            expected = sorted({e // in_chunk for e in inside if 0 <= e < extent})
            assert list(window.reads(block)) == expected
        start += extent


@given(gathers())
def test_a_gather_reads_the_blocks_of_its_indices(gather):
    for block in range(gather.blocks[1]):
        taken = gather.indices[block * gather.out_chunk : (block + 1) * gather.out_chunk]
        assert list(gather.reads(block)) == sorted({int(i) // gather.in_chunk for i in taken})
    assert_inverse(gather, *gather.blocks)


@given(simple_maps())
def test_the_other_maps_invert_too(given):
    axis_map, producer, consumer = given
    axis_map.check(producer, consumer)
    assert_inverse(axis_map, producer, consumer)


@given(st.integers(1, 5), st.integers(1, 20))
def test_groups_take_neighbours_in_order(width, n):
    group = Group(width, n)
    assert [p for o in range(-(-n // width)) for p in group.reads(o)] == list(range(n))


@given(windows() | gathers())
def test_a_map_says_which_axes_it_stands_between(axis_map):
    producer, consumer = axis_map.blocks
    axis_map.check(producer, consumer)
    with pytest.raises(RelationError, match="blocks"):
        axis_map.check(producer + 1, consumer)
    with pytest.raises(RelationError, match="blocks"):
        axis_map.check(producer, consumer + 1)


@pytest.mark.parametrize(
    "axis_map, producer, consumer",
    [
        (Same(3, 3), 3, 4),
        (Same(2, 3), 2, 3),
        (Same(3, 1), 3, 1),
        (Group(2, 5), 5, 2),
        (Group(2, 5), 6, 3),
        (Fixed(3), 3, 1),
        (Fixed(-1), 3, 1),
        (Fixed(0, 2), 3, 1),
        (Every(3), 2, 1),
        (Every(3, 2), 3, 1),
        (Listed(3, (range(1),)), 4, 1),
        (Listed(3, (range(1),)), 3, 2),
        (Listed(3, ((0, 3),)), 3, 1),
        (Listed(3, ((-1,),)), 3, 1),
    ],
)
def test_a_map_between_other_axes_is_refused(axis_map, producer, consumer):
    with pytest.raises(RelationError):
        axis_map.check(producer, consumer)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Window(in_extent=4, in_chunk=0, out_extent=4, out_chunk=2),
        lambda: Window(in_extent=4, in_chunk=2, out_extent=4, out_chunk=0),
        lambda: Window(in_extent=4, in_chunk=2, out_extent=4, out_chunk=2, step=0),
        lambda: Window(in_extent=4, in_chunk=2, out_extent=4, out_chunk=2, before=-1),
        lambda: Window(in_extent=-4, in_chunk=2, out_extent=4, out_chunk=2),
        lambda: Group(0, 4),
        lambda: Gather(np.array([0, 4]), 4, 2, 2),
        lambda: Gather(np.array([-1]), 4, 2, 2),
        lambda: Gather(np.array([0]), 0, 2, 2),
        lambda: Gather(np.array([0]), 4, 0, 2),
        lambda: Gather(np.array([[0]]), 4, 2, 2),
        lambda: Gather(np.array([0.5]), 4, 2, 2),
        lambda: Gather(np.array([True]), 4, 2, 2),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_made(make):
    with pytest.raises(RelationError):
        make()


def test_a_gather_keeps_its_own_indices():
    given = np.array([2, 0, 1])
    gather = Gather(given, 3, 1, 1)
    given[:] = 0
    assert gather.reads(0) == (2,)
    with pytest.raises(ValueError, match="read-only"):
        gather.indices[0] = 1


def test_gathers_of_equal_content_are_equal():
    a, b = (Gather(np.array([2, 0], dtype=t), 3, 1, 1) for t in (np.int64, np.uint8))
    assert a == b
    assert hash(a) == hash(b)
    assert a != Gather(np.array([2, 0]), 3, 2, 1)
    assert a != Gather(np.array([2, 1]), 3, 1, 1)
    assert pickle.loads(pickle.dumps(a)) == a


@given(windows() | gathers() | simple_maps().map(lambda m: m[0]))
def test_every_map_is_an_axis_map(axis_map):
    assert isinstance(axis_map, AxisMap)
