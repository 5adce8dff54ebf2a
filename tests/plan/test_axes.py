"""Axis maps against brute force over elements, in both directions."""

import pickle
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, strategies as st

from asyncexec.errors import RelationError
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.axes import (
    AxisMap,
    Listed,
    Window,
    block_groups,
    every_block,
    gathered,
    one_block,
    same_blocks,
    windowed,
)
from asyncexec.plan.block_access import BlockAccess
from asyncexec.plan.lengths import Lengths, block_at, count_blocks
from asyncexec.plan.overlap import Overlap

lengths = st.integers(0, 12)
chunks = st.integers(1, 5)
reach = st.integers(0, 4)
any_step = st.integers(-4, 4).filter(bool)


@st.composite
def numbers_of_a_window(draw, steps=any_step):
    return {
        "in_extent": draw(lengths),
        "in_chunk": draw(chunks),
        "out_extent": draw(lengths),
        "out_chunk": draw(chunks),
        "step": draw(steps),
        "offset": draw(st.integers(-15, 15)),
        "before": draw(reach),
        "after": draw(reach),
    }


@st.composite
def gathers(draw):
    extent = draw(lengths)
    indices = draw(st.lists(st.integers(0, extent - 1), max_size=12)) if extent else []
    chunk, out_chunk = draw(chunks), draw(chunks)
    return gathered(indices, extent, chunk, out_chunk), indices, chunk, out_chunk


@st.composite
def simple_maps(draw):
    n = draw(st.integers(1, 8))
    consumer = draw(st.integers(1, 4))
    position = st.integers(0, n - 1)
    span = st.sets(position).map(sorted).map(tuple) | position.map(lambda i: range(i, n))
    made = draw(
        st.one_of(
            st.sampled_from([1, n]).map(lambda p: same_blocks(p, n)),
            st.integers(1, 10).map(lambda w: block_groups(w, n)),
            st.just(every_block(n, consumer)),
            position.map(lambda at: one_block(at, n, consumer)),
            st.lists(span, max_size=6).map(lambda s: Listed(n, tuple(s))),
        )
    )
    return made, *((n, len(made.spans)) if isinstance(made, Listed) else made.blocks)


def elements_of(block, chunk, extent):
    return range(block * chunk, min((block + 1) * chunk, extent))


def reached(numbers, block):
    """The producer's elements around each element of a block, also beyond the producer's ends."""
    return [
        e * numbers["step"] + numbers["offset"] + d
        for e in elements_of(block, numbers["out_chunk"], numbers["out_extent"])
        for d in range(-numbers["before"], numbers["after"] + 1)
    ]


def assert_inverse(axis_map, producer, consumer):
    """consumers() is exactly the inverse of reads(), both are spans, and the flags say what is so."""
    reads = [tuple(axis_map.reads(o)) for o in range(consumer)]
    for o, read in enumerate(reads):
        assert read == tuple(sorted(set(read))), f"consumer {o} reads {read}, which is no span"
        assert all(0 <= p < producer for p in read), f"consumer {o} reads {read} outside the axis"
    for p in range(producer):
        expected = tuple(o for o, read in enumerate(reads) if p in read)
        assert tuple(axis_map.consumers(p)) == expected, f"readers of position {p}"
    if axis_map.identical:
        assert producer == consumer
        assert reads == [(o,) for o in range(consumer)]
    if axis_map.reads_one:
        assert all(len(read) == 1 for read in reads)


@given(numbers_of_a_window())
def test_a_window_reads_the_blocks_of_all_between_the_ends_of_its_reach(numbers):
    window = windowed(**numbers)
    for block in range(window.consumer):
        around = reached(numbers, block)
        inside = range(max(min(around), 0), min(max(around) + 1, numbers["in_extent"]))
        expected = sorted({e // numbers["in_chunk"] for e in inside})
        assert list(window.reads(block)) == expected


@given(numbers_of_a_window(steps=st.sampled_from([1, -1])))
def test_a_window_of_step_one_reads_no_block_that_it_does_not_need(numbers):
    window = windowed(**numbers)
    for block in range(window.consumer):
        inside = {e for e in reached(numbers, block) if 0 <= e < numbers["in_extent"]}
        assert list(window.reads(block)) == sorted({e // numbers["in_chunk"] for e in inside})


@given(numbers_of_a_window())
def test_a_windows_consumers_are_the_inverse_of_its_reads(numbers):
    window = windowed(**numbers)
    assert_inverse(window, *window.blocks)


@st.composite
def accesses_of_an_axis(draw):
    """Elements of a slice, in blocks, read in chunks; some of the last blocks may need nothing."""
    extent = draw(st.integers(0, 20))
    shown = range(*draw(st.slices(extent)).indices(extent))
    lo = draw(st.integers(0, len(shown)))
    hi = draw(st.integers(lo, len(shown)))
    access = AxisAccess(0, draw(either(len(shown))), lo, hi, shown.step, shown.start)
    consumer = count_blocks(len(shown), access.block) + draw(st.integers(0, 2))
    return BlockAccess(access, extent, draw(either(extent)), consumer)


@st.composite
def either(draw, extent):
    """Blocks of an axis, of one length or of lengths that differ."""
    if not extent or draw(st.booleans()):
        return draw(chunks)
    each = draw(st.lists(chunks, max_size=6))
    return Lengths((*(e for e in accumulate(each) if e < extent), extent))


@given(st.data())
def test_blocks_whose_lengths_differ_reach_all_between_the_ends(data):
    blocks = data.draw(accesses_of_an_axis())
    reaching = [data.draw(reach), data.draw(reach)]
    access = blocks.access.around(Overlap(*reaching, 0, blocks.extent))
    if access is None:
        return
    found = BlockAccess(access, blocks.extent, blocks.chunk, blocks.consumer)
    for position in range(found.consumer):
        elements = access.numbers((position,))
        assert list(found.reads(position)) == sorted({block_at(found.chunk, e) for e in elements})
    assert_inverse(found, *found.blocks)


@given(accesses_of_an_axis())
def test_the_blocks_of_an_access_are_those_of_its_elements(blocks):
    for position in range(blocks.consumer):
        elements = blocks.access.numbers((position,))
        assert list(blocks.reads(position)) == sorted({block_at(blocks.chunk, e) for e in elements})
    assert_inverse(blocks, *blocks.blocks)


@given(st.integers(0, 30), chunks)
def test_blocks_read_one_to_one_are_known_to_be_identical(extent, chunk):
    count = -(-extent // chunk)
    own = BlockAccess(AxisAccess(0, chunk, 0, extent), extent, chunk, count)
    assert own.identical
    assert own.reads_one
    assert same_blocks(count, count).identical


@given(st.integers(0, 40), chunks, chunks)
def test_a_plain_window_rechunks(extent, before, after):
    window = windowed(in_extent=extent, in_chunk=before, out_extent=extent, out_chunk=after)
    for block in range(window.consumer):
        expected = sorted({e // before for e in elements_of(block, after, extent)})
        assert list(window.reads(block)) == expected


@given(st.integers(1, 30), chunks, chunks, st.slices(30))
def test_a_window_with_step_and_offset_slices_as_numpy_does(extent, in_chunk, out_chunk, key):
    taken = np.arange(extent)[key]
    start, _, step = key.indices(extent)
    window = windowed(
        in_extent=extent,
        in_chunk=in_chunk,
        out_extent=len(taken),
        out_chunk=out_chunk,
        step=step,
        offset=start,
    )
    for block in range(window.consumer):
        needed = taken[block * out_chunk : (block + 1) * out_chunk] // in_chunk
        assert set(needed.tolist()) <= set(window.reads(block))
        assert (needed.min(), needed.max()) == (window.reads(block)[0], window.reads(block)[-1])


@given(st.lists(st.integers(0, 9), min_size=1, max_size=4), chunks, chunks)
def test_windows_with_negative_offsets_concatenate(extents, in_chunk, out_chunk):
    total, start = sum(extents), 0
    for extent in extents:
        window = windowed(
            in_extent=extent,
            in_chunk=in_chunk,
            out_extent=total,
            out_chunk=out_chunk,
            offset=-start,
        )
        for block in range(window.consumer):
            inside = [e - start for e in elements_of(block, out_chunk, total)]
            expected = sorted({e // in_chunk for e in inside if 0 <= e < extent})
            assert list(window.reads(block)) == expected
        start += extent


@given(gathers())
def test_a_gather_reads_the_blocks_of_its_indices(made):
    gather, indices, chunk, out_chunk = made
    for block in range(gather.consumer):
        taken = indices[block * out_chunk : (block + 1) * out_chunk]
        assert list(gather.reads(block)) == sorted({i // chunk for i in taken})
    assert_inverse(gather, *gather.blocks)


@given(simple_maps())
def test_the_other_maps_invert_too(given):
    axis_map, producer, consumer = given
    axis_map.check(producer, consumer)
    assert_inverse(axis_map, producer, consumer)


@given(st.integers(1, 5), st.integers(1, 20))
def test_groups_take_neighbours_in_order(width, n):
    group = block_groups(width, n)
    assert [p for o in range(-(-n // width)) for p in group.reads(o)] == list(range(n))


@given(numbers_of_a_window().map(lambda n: windowed(**n)) | gathers().map(lambda g: g[0]))
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
        (same_blocks(3, 3), 3, 4),
        (block_groups(2, 5), 5, 2),
        (block_groups(2, 5), 6, 3),
        (one_block(2, 3), 4, 1),
        (one_block(0, 3, 2), 3, 1),
        (every_block(3), 2, 1),
        (every_block(3, 2), 3, 1),
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
        lambda: same_blocks(2, 3),
        lambda: same_blocks(3, 1),
        lambda: one_block(3, 3),
        lambda: one_block(-1, 3),
        lambda: windowed(in_extent=4, in_chunk=0, out_extent=4, out_chunk=2),
        lambda: windowed(in_extent=4, in_chunk=2, out_extent=4, out_chunk=0),
        lambda: windowed(in_extent=4, in_chunk=2, out_extent=4, out_chunk=2, step=0),
        lambda: windowed(in_extent=4, in_chunk=2, out_extent=4, out_chunk=2, before=-1),
        lambda: windowed(in_extent=-4, in_chunk=2, out_extent=4, out_chunk=2),
        lambda: block_groups(0, 4),
        lambda: gathered(np.array([0, 4]), 4, 2, 2),
        lambda: gathered(np.array([-1]), 4, 2, 2),
        lambda: gathered(np.array([0]), 0, 2, 2),
        lambda: gathered(np.array([0]), 4, 0, 2),
        lambda: gathered(np.array([[0]]), 4, 2, 2),
        lambda: gathered(np.array([0.5]), 4, 2, 2),
        lambda: gathered(np.array([True]), 4, 2, 2),
        lambda: BlockAccess(AxisAccess(0, 1, 0, 4), 4, 0, 4),
        lambda: BlockAccess(AxisAccess(0, 1, 0, 4), 4, 1, -1),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_made(make):
    with pytest.raises(RelationError):
        make()


def test_a_gather_keeps_its_own_indices():
    given = np.array([2, 0, 1])
    gather = gathered(given, 3, 1, 1)
    given[:] = 0
    assert list(gather.reads(0)) == [2]
    with pytest.raises(ValueError, match="read-only"):
        gather.access.via.array[0] = 1


def test_gathers_of_equal_content_are_equal():
    a, b = (gathered(np.array([2, 0], dtype=t), 3, 1, 1) for t in (np.int64, np.uint8))
    assert a == b
    assert hash(a) == hash(b)
    assert a != gathered(np.array([2, 0]), 3, 2, 1)
    assert a != gathered(np.array([2, 1]), 3, 1, 1)
    assert pickle.loads(pickle.dumps(a)) == a


def test_an_axis_of_any_length_takes_the_same_few_bytes():
    sizes = {
        len(pickle.dumps(axis_map))
        for n in (2**40, 2**41)
        for axis_map in (
            same_blocks(n, n),
            block_groups(8, n),
            windowed(in_extent=n, in_chunk=7, out_extent=n, out_chunk=5, before=1),
        )
    }
    assert max(sizes) < 1000


def test_a_window_answers_to_the_name_it_had():
    assert Window(in_extent=10, in_chunk=3, out_extent=10, out_chunk=5).reads(0) == range(2)


@given(
    numbers_of_a_window().map(lambda n: windowed(**n))
    | gathers().map(lambda g: g[0])
    | simple_maps().map(lambda m: m[0])
)
def test_every_map_is_an_axis_map(axis_map):
    assert isinstance(axis_map, AxisMap)
