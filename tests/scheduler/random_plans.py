"""Random plans of value stages, and what they ought to compute, by brute force."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from asyncexec.plan.axes import windowed
from asyncexec.plan.block_access import BlockAccess
from asyncexec.plan.box import indices, point, ravel, unravel
from asyncexec.plan.memory import Memory
from asyncexec.plan.plan import Plan
from asyncexec.plan.relations import (
    All,
    Opaque,
    block_reduce,
    broadcast,
    gather,
    identity,
    permute,
    window,
)
from asyncexec.plan.stage import Read, Stage


@dataclass(frozen=True)
class Digest:
    """A kernel whose output tells everything it was given."""

    stage: str

    def __call__(self, index: tuple[int, ...], *inputs: Any) -> int:
        return zlib.crc32(repr((self.stage, index, inputs)).encode())


@st.composite
def plans(draw: st.DrawFn, *, most_stages: int = 5, most_bytes: int = 0) -> Plan:
    """A DAG of up to so many stages; every stage's values are returned."""
    stages: list[Stage] = []
    for i in range(draw(st.integers(1, most_stages))):
        reads: tuple[Read, ...] = ()
        shape = draw(st.lists(st.integers(1, 4), min_size=0, max_size=2).map(tuple))
        if stages:
            first = draw(st.sampled_from(stages))
            reads = (draw(read_of(first)),)
            shape = reads[0].relation.consumer
            if draw(st.booleans()):
                reads += (other_read(draw, stages, shape),)
        stages.append(
            Stage(
                name=f"s{i}",
                kernel=Digest(f"s{i}"),
                shape=shape,
                inputs=reads,
                memory=Memory(projected_bytes=draw(st.integers(0, most_bytes))),
            )
        )
    return Plan(stages, returns=[stage.name for stage in stages])


@st.composite
def read_of(draw: st.DrawFn, stage: Stage) -> Read:
    """A read of ``stage`` by a new stage, whose index space follows."""
    shape = stage.shape
    kinds = ["identity", "all", "opaque"]
    if shape:
        kinds += ["reduce", "window", "gather", "permute"]
    kind = draw(st.sampled_from(kinds))
    if kind == "identity":
        return Read(stage.name, identity(shape))
    if kind == "permute":
        axes = draw(st.permutations(range(len(shape))))
        consumer = tuple(n for _, n in sorted(zip(axes, shape, strict=True)))
        return Read(stage.name, permute(shape, consumer, axes))
    return Read(stage.name, draw(relation(kind, shape)), many=True)


@st.composite
def relation(draw: st.DrawFn, kind: str, shape: tuple[int, ...]) -> Any:
    if kind in ("all", "opaque"):
        consumer = draw(st.lists(st.integers(1, 3), max_size=1).map(tuple))
        return {"all": All, "opaque": Opaque}[kind](shape, consumer)
    if kind == "reduce":
        return block_reduce(shape, {0: draw(st.integers(1, 3))})
    if kind == "gather":
        chunk = 2
        extent = shape[0] * chunk
        taken = draw(st.lists(st.integers(0, extent - 1), min_size=1, max_size=6))
        return gather(
            shape, 0, np.array(taken), extent=extent, chunk=chunk, out_chunk=draw(st.integers(1, 3))
        )
    return window([draw(one_window(n)) for n in shape])


@st.composite
def one_window(draw: st.DrawFn, blocks: int) -> BlockAccess:
    extent = blocks * 2
    return windowed(
        in_extent=extent,
        in_chunk=2,
        out_extent=extent,
        out_chunk=draw(st.integers(1, extent)),
        before=draw(st.integers(0, 1)),
        after=draw(st.integers(0, 1)),
    )


def other_read(draw: st.DrawFn, stages: list[Stage], shape: tuple[int, ...]) -> Read:
    """A second read that fits a stage of that index space."""
    stage = draw(st.sampled_from(stages))
    try:
        return Read(stage.name, broadcast(stage.shape, shape))
    except ValueError:
        return Read(stage.name, All(stage.shape, shape), many=True)


def inputs_of(stage: Stage, task: int) -> list[tuple[str, list[int]]]:
    """Which tasks of which stages a task reads."""
    box = point(unravel(task, stage.shape))
    return [
        (
            read.stage,
            [ravel(i, read.relation.producer) for i in indices(read.relation.reads(box))],
        )
        for read in stage.reads
    ]


def expected(plan: Plan) -> dict[str, list[int]]:
    """Every stage's values, computed one by one."""
    values: dict[str, list[int]] = {}
    for stage in plan.stages:
        values[stage.name] = [
            stage.kernel(
                unravel(task, stage.shape),
                *(
                    [values[name][t] for t in tasks] if read.many else values[name][tasks[0]]
                    for read, (name, tasks) in zip(stage.reads, inputs_of(stage, task), strict=True)
                ),
            )
            for task in range(stage.tasks)
        ]
    return values
