"""Runs a plan of arrays in the calling thread, task by task, and checks what it says of itself."""

from collections import defaultdict
from itertools import product

import numpy as np

from asyncexec.plan.box import indices, point, unravel
from asyncexec.plan.lengths import block_at
from asyncexec.plan.locality import Locality
from asyncexec.plan.workspace import Opening
from asyncexec.worker.pieces import LoadedPieces


def run(plannable, *, checked=True):
    """Return what the plan computes; `checked` holds what tasks read against the relations."""
    plan = plannable.to_plan()
    if checked:
        check_relations(plan)
    opening = Opening(
        plan=plan.name, fingerprint="0" * 32, execution="direct", locality=Locality.SAME_PROCESS
    )
    workspace = plan.workspace.open(plan.stages, opening)
    succeeded = False
    try:
        for stage in plan.stages:
            io = workspace.io(stage)
            for task in range(stage.tasks):
                index = unravel(task, stage.shape)
                if hasattr(stage.kernel, "pieces"):
                    inputs = (LoadedPieces(stage.kernel, io, index),)
                else:
                    inputs, _ = io.load(index)
                io.save(index, stage.kernel(index, *inputs))
        value = workspace.collect({})
        succeeded = True
    finally:
        workspace.close(succeeded=succeeded)
    return value


def check_relations(plan):
    """Each task reads exactly the blocks that its relations name, and `consumers` is the inverse of `reads`."""
    producers = {
        target.array.location.url: (plan.stage(name), target)
        for name, io in plan.workspace.blocks.items()
        for target in io.targets
    }
    for stage in plan.stages:
        sources = [
            s for s in plan.workspace.blocks[stage.name].sources if is_produced(s, producers)
        ]
        for task in range(stage.tasks):
            index = unravel(task, stage.shape)
            told, needed = defaultdict(set), defaultdict(set)
            for read in stage.reads:
                told[read.stage] |= set(indices(read.relation.reads(point(index))))
            for source in sources:
                producer, target = producers[source.array.location.url]
                pieces = plan.workspace.blocks[stage.name].pieces
                blocks = {
                    block
                    for piece in ([index] if pieces is None else pieces.of(index))
                    for block in touched(source.select(piece), target.block)
                }
                needed[producer.name] |= {
                    task for task in np.ndindex(producer.shape) if target.number(task) in blocks
                }
            assert {k: v for k, v in told.items() if v} == {k: v for k, v in needed.items() if v}
        for read in stage.reads:
            check_inverse(read.relation)


def is_produced(source, producers):
    location = getattr(source.array, "location", None)
    return location is not None and location.url in producers


def touched(region, block):
    positions = [
        np.arange(a.start, -1 if a.stop is None else a.stop, a.step or 1)
        if isinstance(a, slice)
        else a
        for a in region
    ]
    return set(
        product(
            *(
                {block_at(b, int(p)) for p in along}
                for along, b in zip(positions, block, strict=True)
            )
        )
    )


def check_inverse(relation):
    forward = {
        (producer, consumer)
        for consumer in np.ndindex(relation.consumer)
        for producer in indices(relation.reads(point(consumer)))
    }
    backward = {
        (producer, consumer)
        for producer in np.ndindex(relation.producer)
        for consumer in indices(relation.consumers(point(producer)))
    }
    assert forward == backward
