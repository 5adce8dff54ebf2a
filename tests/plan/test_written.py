"""Outputs whose blocks do not lie at the task's own index."""

import re

import numpy as np
import pytest
from hypothesis import given, strategies as st

from asyncexec.errors import WriteConflictError
from asyncexec.plan import ChunkedOutput, Plan, Stage
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import indices, point
from asyncexec.plan.written import block_numbers, relation_to


def output(shape, block, axes, name="x"):
    """An output whose axis ``p`` follows stage axis ``axes[p]``, block by block."""
    access = AccessMap(
        tuple(
            AxisAccess(axis, b, 0, n) if axis is not None else AxisAccess.constant(0, n)
            for axis, b, n in zip(axes, block, shape, strict=True)
        )
    )
    return ChunkedOutput(
        location=f"run:{name}",
        shape=shape,
        block=block,
        unit=block,
        dtype="f8",
        name=name,
        access=access,
    )


def plan(shape, *outputs):
    return Plan([Stage(name="qr", kernel=print, shape=shape, outputs=outputs)], "p")


def test_outputs_of_one_stage_differ_in_rank_and_order_of_axes():
    found = plan(
        (4, 1),
        output((10, 3), (3, 3), (0, None), "Q"),
        output((4,), (1,), (0,), "scalars"),
        output((3, 10), (3, 3), (None, 0), "turned"),
    )
    assert "Q 3x3, scalars 1, turned 3x3" in str(found)
    assert "Q 3x3, scalars 1" in found.visualize()._repr_svg_()


def test_tasks_that_write_one_block_are_both_named():
    told = "tasks (0, 0) and (0, 1) would both write block (0,) of 'run:x'"
    with pytest.raises(WriteConflictError, match=re.escape(told)):
        plan((4, 2), output((4,), (1,), (0,)))


def test_blocks_that_share_a_chunk_name_the_tasks_and_not_the_blocks():
    shared = ChunkedOutput(
        location="run:x",
        shape=(9, 4),
        block=(9, 2),
        unit=(9, 4),
        dtype="f8",
        access=AccessMap((AxisAccess.constant(0, 9), AxisAccess(0, 2, 0, 4))),
    )
    told = "tasks (0, 0) and (1, 0) would both write chunk (0, 0) of 'run:x'"
    with pytest.raises(WriteConflictError, match=re.escape(told)):
        plan((2, 1), shared)


@pytest.mark.parametrize(
    "shape, block, axes",
    [
        ((9,), (1,), (0,)),  # more blocks than tasks
        ((4, 4), (1, 1), (0, 0)),  # a diagonal
        ((4, 4), (1, 2), (0, None)),  # an axis of two blocks that follows nothing
        ((4, 4), (1, 1), (0, 5)),  # an axis there is not
    ],
)
def test_blocks_that_nobody_writes_are_refused(shape, block, axes):
    with pytest.raises(WriteConflictError, match=r"one task a block|one whole block"):
        plan((4,), output(shape, block, axes))


def test_parts_of_blocks_are_refused():
    cut = ChunkedOutput(
        location="run:x",
        shape=(8,),
        block=(2,),
        unit=(2,),
        dtype="f8",
        access=AccessMap((AxisAccess(0, 2, 0, 7, 1, 1),)),
    )
    with pytest.raises(WriteConflictError, match="does not write one whole block"):
        plan((4,), cut)


@given(st.data())
def test_readers_wait_for_the_tasks_that_write_what_they_need(data):
    extents = data.draw(st.lists(st.integers(1, 7), min_size=1, max_size=2))
    blocks = [data.draw(st.integers(1, n)) for n in extents]
    order = data.draw(st.permutations(range(len(extents))))
    shape = tuple(extents[a] for a in order)
    block = tuple(blocks[a] for a in order)
    tasks = (*(-(-n // b) for n, b in zip(extents, blocks, strict=True)), 1)
    written = output(shape, block, tuple(order))
    plan(tasks, written)
    wanted = [data.draw(st.integers(1, n)) for n in shape]
    needed = AccessMap(
        tuple(AxisAccess(p, w, 0, n) for p, (w, n) in enumerate(zip(wanted, shape, strict=True)))
    )
    consumer = tuple(-(-n // w) for n, w in zip(shape, wanted, strict=True))
    relation = relation_to(written, needed, tasks, consumer)
    numbers = block_numbers(written)
    for reader in np.ndindex(consumer):
        inside = [set(axis.numbers(reader)) for axis in needed.axes]
        expected = {
            task
            for task in np.ndindex(tasks)
            if all(
                set(range(b * n.first(task), min(b * n.first(task) + b, extent))) & some
                for b, n, extent, some in zip(block, numbers, shape, inside, strict=True)
            )
        }
        assert set(indices(relation.reads(point(reader)))) == expected
        for task in expected:
            assert reader in set(indices(relation.consumers(point(task))))
