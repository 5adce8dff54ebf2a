"""Relations between index spaces against brute force, in both directions."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, strategies as st

from asyncexec.errors import RelationError
from asyncexec.plan.axes import block_groups, every_block, one_block, same_blocks, windowed
from asyncexec.plan.box import point, whole
from asyncexec.plan.relations import (
    All,
    Blockwise,
    Opaque,
    Relation,
    block_reduce,
    broadcast,
    gather,
    identity,
    permute,
    window,
)

small = st.integers(0, 4)
shapes = st.lists(small, max_size=3).map(tuple)
chunks = st.integers(1, 3)


def points(shape):
    return list(product(*map(range, shape)))


def reads_by_point(relation):
    return {o: set(product(*relation.reads(point(o)))) for o in points(relation.consumer)}


def assert_inverse(relation):
    """At points, consumers() is exactly the inverse of reads()."""
    reads = reads_by_point(relation)
    for p in points(relation.producer):
        expected = {o for o, read in reads.items() if p in read}
        assert set(product(*relation.consumers(point(p)))) == expected, f"readers of {p}"
    assert all(read <= set(points(relation.producer)) for read in reads.values())


@st.composite
def axis_maps(draw, consumer):
    """A map that reads from an axis of some length, for a consumer axis of this length."""
    n = draw(st.integers(1, 4))
    width = draw(st.integers(1, 3))
    # The producer axes that groups of `width` turn into `consumer` blocks.
    grouped = draw(st.integers(max((consumer - 1) * width + 1, 0), consumer * width))
    in_extent, in_chunk = draw(st.integers(0, 7)), draw(chunks)
    out_chunk = draw(chunks)
    out_extent = draw(st.integers(max((consumer - 1) * out_chunk + 1, 0), consumer * out_chunk))
    moved = windowed(
        in_extent=in_extent,
        in_chunk=in_chunk,
        out_extent=out_extent,
        out_chunk=out_chunk,
        step=draw(st.sampled_from([-2, -1, 1, 2])),
        offset=draw(st.integers(-6, 6)),
        before=draw(st.integers(0, 2)),
        after=draw(st.integers(0, 2)),
    )
    return draw(
        st.sampled_from(
            [
                (consumer, same_blocks(consumer, consumer)),
                (1, same_blocks(1, consumer)),
                (grouped, block_groups(width, grouped)),
                (n, one_block(draw(st.integers(0, n - 1)), n, consumer)),
                (n, every_block(n, consumer)),
                (moved.blocks[0], moved),
            ]
        )
    )


@st.composite
def blockwise(draw, *, diagonals=True):
    consumer = draw(shapes)
    choices = [*range(len(consumer))]
    axes = (
        draw(st.lists(st.sampled_from(choices), max_size=3, unique=not diagonals))
        if choices
        else []
    )
    picked = [(axis, *draw(axis_maps(consumer[axis]))) for axis in axes]
    if draw(st.booleans()):
        n = draw(st.integers(1, 3))
        picked.append((None, n, draw(st.sampled_from([one_block(0, n), every_block(n)]))))
    picked = draw(st.permutations(picked))
    return Blockwise(
        tuple(n for _, n, _ in picked),
        consumer,
        tuple(axis for axis, _, _ in picked),
        tuple(m for _, _, m in picked),
    )


@given(blockwise())
def test_consumers_are_exactly_the_inverse_of_reads(relation):
    assert_inverse(relation)
    assert isinstance(relation, Relation)


@given(blockwise(diagonals=False), st.data())
def test_a_box_reads_what_its_points_read(relation, data):
    out = tuple(draw_span(data, n) for n in relation.consumer)
    reads = reads_by_point(relation)
    expected = set().union(*(reads[o] for o in product(*out)))
    found = set(product(*relation.reads(out)))
    assert found >= expected
    if expected:
        assert found == expected


@given(blockwise(), st.data())
def test_a_box_is_read_by_what_reads_its_points(relation, data):
    inputs = tuple(draw_span(data, n) for n in relation.producer)
    wanted = set(product(*inputs))
    expected = {o for o, read in reads_by_point(relation).items() if read & wanted}
    assert set(product(*relation.consumers(inputs))) >= expected


def draw_span(data, n):
    if not n:
        return range(0)
    start = data.draw(st.integers(0, n - 1))
    return range(start, data.draw(st.integers(start + 1, n)))


@given(shapes)
def test_identity_reads_itself(shape):
    relation = identity(shape)
    assert reads_by_point(relation) == {p: {p} for p in points(shape)}
    assert relation.is_identity
    assert not relation.barrier
    assert_inverse(relation)


@given(shapes.flatmap(lambda s: st.tuples(st.just(s), st.permutations(range(len(s))))))
def test_permute_moves_axes_as_numpy_transposes(given):
    consumer, axes = given
    numbered = np.arange(math.prod(consumer)).reshape(consumer)
    producer = tuple(consumer[a] for a in axes)
    moved = np.transpose(numbered, axes)
    relation = permute(producer, consumer, axes)
    for o, read in reads_by_point(relation).items():
        assert [moved[p] for p in read] == [numbered[o]]
    assert_inverse(relation)


@given(shapes, st.data())
def test_broadcast_repeats_as_numpy_does(consumer, data):
    kept = data.draw(st.integers(0, len(consumer)))
    producer = tuple(data.draw(st.sampled_from([1, n])) for n in consumer[len(consumer) - kept :])
    numbered = np.arange(math.prod(producer)).reshape(producer)
    repeated = np.broadcast_to(numbered, consumer)
    relation = broadcast(producer, consumer)
    for o, read in reads_by_point(relation).items():
        assert [numbered[p] for p in read] == [repeated[o]]
    assert_inverse(relation)


@pytest.mark.parametrize("keepdims", [True, False])
@given(shape=st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple), data=st.data())
def test_block_reduce_takes_every_block_once(keepdims, shape, data):
    axes = data.draw(st.sets(st.sampled_from(range(len(shape)))))
    widths = {a: shape[a] if not keepdims else data.draw(st.integers(1, 5)) for a in axes}
    relation = block_reduce(shape, widths, keepdims=keepdims)
    reads = reads_by_point(relation)
    assert sorted(p for read in reads.values() for p in read) == points(shape)
    if keepdims:
        assert relation.consumer == tuple(-(-n // widths.get(a, 1)) for a, n in enumerate(shape))
    else:
        assert relation.consumer == tuple(n for a, n in enumerate(shape) if a not in axes)
    assert_inverse(relation)


@given(st.lists(st.integers(0, 7), min_size=1, max_size=9), st.integers(0, 1), chunks, chunks)
def test_gather_takes_along_one_axis(indices, axis, chunk, out_chunk):
    taken = -(-8 // chunk)
    producer = tuple(taken if a == axis else 3 for a in range(2))
    relation = gather(producer, axis, np.array(indices), extent=8, chunk=chunk, out_chunk=out_chunk)
    for o, read in reads_by_point(relation).items():
        block = indices[o[axis] * out_chunk : (o[axis] + 1) * out_chunk]
        assert {p[axis] for p in read} == {i // chunk for i in block}
        assert {p[1 - axis] for p in read} == {o[1 - axis]}
    assert_inverse(relation)


def test_a_diagonal_reads_equal_positions():
    relation = permute((3, 3), (3,), (0, 0))
    assert reads_by_point(relation) == {(i,): {(i, i)} for i in range(3)}
    assert_inverse(relation)


def test_windows_make_a_rechunk():
    axis = windowed(in_extent=10, in_chunk=3, out_extent=10, out_chunk=5)
    relation = window([axis, axis])
    assert (relation.producer, relation.consumer) == ((4, 4), (2, 2))
    assert relation.reads(point((1, 0))) == (range(1, 4), range(2))
    assert_inverse(relation)


@pytest.mark.parametrize("kind", [All, Opaque])
@pytest.mark.parametrize("producer", [(), (3,), (2, 2), (0,)])
@pytest.mark.parametrize("consumer", [(), (2,)])
def test_a_barrier_reads_everything(kind, producer, consumer):
    relation = kind(producer, consumer)
    assert relation.barrier
    assert relation.reads(whole(consumer)) == whole(producer)
    assert_inverse(relation)


def test_an_axis_that_goes_is_read_at_its_block_only():
    relation = Blockwise((4,), (), (None,), (one_block(2, 4),))
    assert reads_by_point(relation) == {(): {(2,)}}
    assert_inverse(relation)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Blockwise((2,), (2,), (0,), ()),
        lambda: Blockwise((2,), (2,), (1,), (same_blocks(2, 2),)),
        lambda: Blockwise((2,), (2,), (-1,), (same_blocks(2, 2),)),
        lambda: Blockwise((2,), (3,), (0,), (same_blocks(2, 2),)),
        lambda: Blockwise((2,), (3,), (None,), (every_block(2, 3),)),
        lambda: permute((2,), (2,), (1,)),
        lambda: permute((2, 2), (2, 2), (0,)),
        lambda: broadcast((2, 2), (2,)),
        lambda: broadcast((2,), (3,)),
        lambda: block_reduce((4,), {0: 2}, keepdims=False),
        lambda: block_reduce((4,), {1: 2}),
        lambda: block_reduce((4,), {-1: 2}),
        lambda: block_reduce((4,), {0: 0}),
        lambda: gather((4,), 1, np.array([0]), extent=4, chunk=1, out_chunk=1),
        lambda: gather((4,), 0, np.array([0]), extent=5, chunk=1, out_chunk=1),
        lambda: gather((4,), 0, np.array([0]), extent=4, chunk=1, out_chunk=0),
    ],
)
def test_relations_that_cannot_be_are_refused(make):
    with pytest.raises(RelationError):
        make()


def test_huge_grids_cost_nothing():
    shape = (10**6, 10**6)
    axis = windowed(
        in_extent=10**9, in_chunk=10**3, out_extent=10**9, out_chunk=10**3 - 1, before=1
    )
    for relation in (
        identity(shape),
        broadcast((1, 10**6), shape),
        block_reduce(shape, {0: 4}),
        window([axis, axis]),
        All(shape, shape),
    ):
        last = tuple(n - 1 for n in relation.consumer)
        assert relation.consumers(relation.reads(point((0,) * len(last))))
        assert relation.reads(point(last))
