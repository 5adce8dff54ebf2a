"""A relation that went through JSON reads what it read before."""

import json

import numpy as np
import pytest

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import RelationError
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.access_map import of_blocks
from asyncexec.plan.axes import Listed, block_groups, every_block, one_block, same_blocks, windowed
from asyncexec.plan.box import indices, point, whole
from asyncexec.plan.outline import outline, relation_of
from asyncexec.plan.relations import (
    All,
    Blockwise,
    Guarded,
    Opaque,
    block_reduce,
    broadcast,
    gather,
    identity,
    of_access,
    permute,
    window,
)

RELATIONS = [
    identity((4, 3)),
    identity(()),
    permute((2, 3), (3, 2), (1, 0)),
    broadcast((1, 3), (5, 4, 3)),
    window([windowed(in_extent=10, in_chunk=3, out_extent=10, out_chunk=4, before=1, after=1)]),
    window([windowed(in_extent=10, in_chunk=3, out_extent=5, out_chunk=2, step=-2, offset=9)]),
    block_reduce((7, 3), {0: 2}),
    block_reduce((7, 3), {0: 7}, keepdims=False),
    gather((4, 2), 0, np.array([9, 0, 3, 3, 8]), extent=10, chunk=3, out_chunk=2),
    Blockwise((3, 4), (2,), (None, 0), (one_block(1, 3), Listed(4, ((0, 2, 3), range(1, 1))))),
    Blockwise((3,), (), (None,), (every_block(3),)),
    Blockwise((5,), (3,), (0,), (block_groups(2, 5),)),
    Blockwise((1,), (3,), (0,), (same_blocks(1, 3),)),
    Guarded(identity((5, 2)), (range(1, 3), range(2))),
    Guarded(identity((5,)), (range(0),)),
    All((3, 2), (2,)),
    Opaque((3,), (2, 2)),
]


@pytest.mark.parametrize("relation", RELATIONS, ids=repr)
def test_an_outlined_relation_says_the_same_in_both_directions(relation):
    again = relation_of(json.loads(json.dumps(outline(relation))))
    assert (again.producer, again.consumer) == (relation.producer, relation.consumer)
    assert again.barrier == relation.barrier
    for one in indices(whole(relation.consumer)):
        box = point(one)
        assert [list(s) for s in again.reads(box)] == [list(s) for s in relation.reads(box)]
    for one in indices(whole(relation.producer)):
        box = point(one)
        assert set(indices(again.consumers(box))) == set(indices(relation.consumers(box)))


def test_what_stages_of_arrays_read_is_kept():
    a = xp.ones((40, 40), chunks=(5, 5))
    both = xp.concat([a[::2, 3:], a[1:, ::-1][:, 3:]], axis=0)
    plan = xp.sum(xp.mean(both + 1, axis=0) ** 2).to_plan()
    reads = [read.relation for stage in plan.stages for read in stage.reads]
    assert len(reads) >= 3
    for relation in reads:
        again = relation_of(json.loads(json.dumps(outline(relation))))
        assert not again.barrier
        for one in indices(whole(relation.consumer)):
            found, expected = again.reads(point(one)), relation.reads(point(one))
            assert set(indices(found)) == set(indices(expected))


def same_reads(again, relation, tasks):
    for one in tasks:
        box = point(one)
        assert [list(s) for s in again.reads(box)] == [list(s) for s in relation.reads(box)]


@pytest.mark.parametrize(
    "relation",
    [
        identity((10**9,)),
        permute((10**9, 5), (5, 10**9), (1, 0)),
        broadcast((1, 10**9), (7, 10**9)),
        block_reduce((10**9,), {0: 8}),
        window([windowed(in_extent=10**9, in_chunk=7, out_extent=10**9, out_chunk=5, before=1)]),
        of_access(
            of_blocks((10**9,), (30,)).through([AxisAccess.view(0, 10**9, -3, 3 * 10**9)]),
            (3 * 10**9 + 1,),
            (11,),
            (-(-(10**9) // 30),),
        ),
    ],
)
def test_closed_forms_stay_closed_and_small_however_many_tasks_there_are(relation):
    text = json.dumps(outline(relation))
    assert len(text) < 1000
    again = relation_of(json.loads(text))
    assert again == relation
    assert not again.barrier


def test_what_arrays_of_very_many_chunks_read_is_kept():
    one_chunk_a_task = ax.Spec(reduction_tasks=10**9)
    x = xp.ones(90_000, chunks=1, spec=one_chunk_a_task)
    plan = xp.mean(x.rechunk(3) + 1).to_plan()
    reads = [read.relation for stage in plan.stages for read in stage.reads]
    assert max(relation.producer[0] for relation in reads) >= 30_000
    for relation in reads:
        assert relation_of(json.loads(json.dumps(outline(relation)))) == relation


@pytest.mark.parametrize("n", [20, 1_500, 30_000])
def test_lists_of_any_order_are_kept_up_to_a_size(n):
    order = np.random.default_rng(0).permutation(n)
    relation = gather((n,), 0, order, extent=n, chunk=1, out_chunk=1)
    again = relation_of(json.loads(json.dumps(outline(relation))))
    assert not again.barrier
    same_reads(again, relation, [(i,) for i in range(0, n, 7)])
    assert [list(s) for s in again.consumers(point((5,)))] == [[int(np.argmax(order == 5))]]


def test_a_very_long_list_without_order_waits_for_everything(monkeypatch):
    monkeypatch.setattr("asyncexec.plan.outline.MOST_PACKED_BYTES", 1_000)
    n = 2_000
    order = np.random.default_rng(0).permutation(n)
    relation = gather((n,), 0, order, extent=n, chunk=1, out_chunk=1)
    assert isinstance(relation_of(outline(relation)), Opaque)


def blockwise(producer, consumer, axes, *maps):
    return {
        "kind": "blockwise",
        "producer": producer,
        "consumer": consumer,
        "axes": axes,
        "maps": list(maps),
    }


WINDOW = {"in_extent": 10, "in_chunk": 3, "out_extent": 10, "out_chunk": 4, "step": 1, "offset": 0}


@pytest.mark.parametrize(
    "outlined, relation",
    [
        (blockwise([4], [4], [0], {"kind": "same", "producer": 4, "consumer": 4}), identity((4,))),
        (
            blockwise([1], [3], [0], {"kind": "same", "producer": 1, "consumer": 3}),
            broadcast((1,), (3,)),
        ),
        (
            blockwise([4], [3], [0], {"kind": "window", **WINDOW, "before": 1, "after": 2}),
            window([windowed(**WINDOW, before=1, after=2)]),
        ),
        (
            blockwise([7], [4], [0], {"kind": "group", "width": 2, "producer": 7}),
            block_reduce((7,), {0: 2}),
        ),
        (
            blockwise([4], [], [None], {"kind": "fixed", "at": 2, "consumer": 1}),
            Blockwise((4,), (), (None,), (one_block(2, 4),)),
        ),
        (
            blockwise([4], [], [None], {"kind": "every", "producer": 4, "consumer": 1}),
            block_reduce((4,), {0: 4}, keepdims=False),
        ),
        (
            blockwise(
                [4],
                [2],
                [0],
                {"kind": "listed", "producer": 4, "spans": [[[0, 1], [2, 4]], [[1, 2]]]},
            ),
            Blockwise((4,), (2,), (0,), (Listed(4, ((0, 2, 3), range(1, 2))),)),
        ),
    ],
)
def test_outlines_that_earlier_versions_wrote_are_read(outlined, relation):
    assert relation_of(outlined) == relation


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"kind": "magic", "producer": [1], "consumer": [1]},
        {"kind": "all", "producer": 1, "consumer": [1]},
        {"kind": "blockwise", "producer": [2], "consumer": [2], "axes": [0], "maps": [{}]},
        {
            "kind": "blockwise",
            "producer": [2],
            "consumer": [2],
            "axes": [0],
            "maps": [{"kind": "x"}],
        },
        blockwise([2], [2], [0], {"kind": "access", "block": 1}),
        blockwise([2], [2], [0], {"kind": "packed", "producer": 2, "counts": "?", "steps": ""}),
        blockwise([2], [2], [0], {"kind": "packed", "producer": 2, "counts": "QUJD", "steps": ""}),
        blockwise([2], [2], [0], outline(identity((2,)))["maps"][0] | {"overlap": [1]}),
        outline(identity((2,))) | {"producer": [3]},
        {"kind": "guarded", "inner": outline(identity((2,))), "within": []},
        {"kind": "guarded", "inner": outline(All((2,), (2,))), "within": [[[0, 1]]]},
    ],
)
def test_what_is_no_outline_is_refused(wrong):
    with pytest.raises(RelationError):
        relation_of(wrong)
