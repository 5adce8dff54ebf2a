"""A relation that went through JSON reads what it read before."""

import json

import numpy as np
import pytest

import asyncexec.array as xp
from asyncexec.errors import RelationError
from asyncexec.plan.axes import Every, Fixed, Group, Listed, Same, Window
from asyncexec.plan.box import indices, point, whole
from asyncexec.plan.outline import MOST_POSITIONS, outline, relation_of
from asyncexec.plan.relations import (
    All,
    Blockwise,
    Guarded,
    Opaque,
    block_reduce,
    broadcast,
    gather,
    identity,
    permute,
    window,
)

RELATIONS = [
    identity((4, 3)),
    identity(()),
    permute((2, 3), (3, 2), (1, 0)),
    broadcast((1, 3), (5, 4, 3)),
    window([Window(in_extent=10, in_chunk=3, out_extent=10, out_chunk=4, before=1, after=1)]),
    window([Window(in_extent=10, in_chunk=3, out_extent=5, out_chunk=2, step=-2, offset=9)]),
    block_reduce((7, 3), {0: 2}),
    block_reduce((7, 3), {0: 7}, keepdims=False),
    gather((4, 2), 0, np.array([9, 0, 3, 3, 8]), extent=10, chunk=3, out_chunk=2),
    Blockwise((3, 4), (2,), (None, 0), (Fixed(1), Listed(4, ((0, 2, 3), range(1, 1))))),
    Blockwise((3,), (), (None,), (Every(3),)),
    Blockwise((5,), (3,), (0,), (Group(2, 5),)),
    Blockwise((1,), (3,), (0,), (Same(1, 3),)),
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


def test_what_has_no_closed_form_and_is_long_waits_for_everything():
    n = MOST_POSITIONS + 1
    long = gather((n,), 0, np.arange(n)[::-1], extent=n, chunk=1, out_chunk=1)
    assert isinstance(relation_of(outline(long)), Opaque)


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
        outline(identity((2,))) | {"producer": [3]},
        {"kind": "guarded", "inner": outline(identity((2,))), "within": []},
        {"kind": "guarded", "inner": outline(All((2,), (2,))), "within": [[[0, 1]]]},
    ],
)
def test_what_is_no_outline_is_refused(wrong):
    with pytest.raises(RelationError):
        relation_of(wrong)
