"""A task is ready exactly when everything it reads is complete, whatever the relations and the order."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, strategies as st

from asyncexec.plan.axes import windowed
from asyncexec.plan.box import indices, point, ravel, size, unravel
from asyncexec.plan.plan import Plan
from asyncexec.plan.relations import (
    All,
    Opaque,
    Relation,
    block_reduce,
    broadcast,
    gather,
    identity,
    window,
)
from asyncexec.plan.stage import Read, Stage
from asyncexec.scheduler.dependency_counts import BLOCK, DependencyCounts
from asyncexec.scheduler.graph import graph_of
from asyncexec.scheduler.readiness import Readiness


def relations(shape: tuple[int, ...]) -> st.SearchStrategy[Relation]:
    """Relations whose producer has ``shape`` (one axis)."""
    n = shape[0]
    chunk = st.integers(1, 4)
    return st.one_of(
        st.just(identity(shape)),
        st.integers(1, 5).map(lambda k: All(shape, (k,))),
        st.integers(1, 5).map(lambda k: Opaque(shape, (k,))),
        st.integers(1, 4).map(lambda k: block_reduce(shape, {0: k})),
        st.integers(1, 4).map(lambda k: broadcast(shape, (k, n))),
        st.tuples(chunk, chunk, st.integers(-2, 2), st.integers(0, 2)).map(
            lambda t: _window(n, *t)
        ),
        st.lists(st.integers(0, n - 1), min_size=1, max_size=8).map(
            lambda taken: gather(shape, 0, np.array(taken), extent=n, chunk=1, out_chunk=2)
        ),
    )


def _window(n: int, in_chunk: int, out_chunk: int, offset: int, reach: int) -> Relation:
    extent = n * in_chunk
    one = windowed(
        in_extent=extent,
        in_chunk=in_chunk,
        out_extent=extent,
        out_chunk=out_chunk,
        offset=offset,
        before=reach,
    )
    return window([one])


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Plans of up to five stages in which every stage reads up to two earlier ones."""
    stages = [Stage(name="s0", kernel=max, shape=(draw(st.integers(1, 6)),))]
    for number in range(1, draw(st.integers(2, 5))):
        first = draw(st.sampled_from(stages))
        flat = draw(relations(first.shape)) if len(first.shape) == 1 else identity(first.shape)
        reads = [Read(first.name, flat, many=True)]
        second = draw(st.sampled_from(stages))
        if draw(st.booleans()):
            reads.append(Read(second.name, All(second.shape, flat.consumer), many=True))
        elif second.shape == flat.consumer:
            reads.append(Read(second.name, identity(second.shape), many=True))
        stages.append(
            Stage(name=f"s{number}", kernel=max, shape=flat.consumer, inputs=tuple(reads))
        )
    return Plan(tuple(stages))


def reads_of(plan: Plan, position: int, task: int) -> set[tuple[int, int]]:
    """What a task reads, by brute force."""
    stage = plan.stages[position]
    names = [s.name for s in plan.stages]
    found = set()
    for read in stage.reads:
        box = read.relation.reads(point(unravel(task, stage.shape)))
        found |= {(names.index(read.stage), ravel(i, read.relation.producer)) for i in indices(box)}
    return found


def _waits_for_a_task(plan: Plan, position: int, task: int) -> bool:
    """Whether the task reads anything behind no barrier; where all its windows are empty it waits for the stages."""
    stage = plan.stages[position]
    out = point(unravel(task, stage.shape))
    return any(size(r.relation.reads(out)) for r in stage.reads if not r.relation.barrier)


@given(plan=plans(), seed=st.integers(0, 2**16), barriers=st.booleans())
def test_readiness_equals_brute_force(plan: Plan, seed: int, barriers: bool) -> None:
    rng = random.Random(seed)
    everything = {(p, t) for p, s in enumerate(plan.stages) for t in range(s.tasks)}
    needs = {(p, t): reads_of(plan, p, t) for p, t in everything}
    readiness = Readiness(
        graph_of(plan, barriers=barriers), [s.tasks for s in plan.stages], [()] * len(plan.stages)
    )
    list(readiness.begin([()] * len(plan.stages)))
    ready: list[tuple[int, int]] = []
    complete: set[tuple[int, int]] = set()
    seen: set[tuple[int, int]] = set()

    def collect() -> None:
        for position, stage in enumerate(readiness.stages):
            while stage.open:
                for task in stage.queue.take(3):
                    assert (position, task) not in seen, "made ready twice"
                    seen.add((position, task))
                    ready.append((position, task))

    collect()
    while ready:
        one = ready.pop(rng.randrange(len(ready)))
        assert needs[one] <= complete, "made ready too early"
        complete.add(one)
        readiness.complete(*one)
        collect()
        if not barriers:
            expected = {t for t in everything if needs[t] <= complete}
            late = [task for task in expected - seen if _waits_for_a_task(plan, *task)]
            assert not late, "made ready too late"
    assert complete == everything
    assert all(stage.left == 0 for stage in readiness.stages)


@given(plan=plans(), data=st.data())
def test_what_an_earlier_run_completed_does_not_run_again(plan: Plan, data: st.DataObject) -> None:
    everything = [(p, t) for p, s in enumerate(plan.stages) for t in range(s.tasks)]
    done = set(data.draw(st.lists(st.sampled_from(everything))))
    runs = [
        [range(t, t + 1) for p, t in sorted(done) if p == position]
        for position in range(len(plan.stages))
    ]
    readiness = Readiness(graph_of(plan), [s.tasks for s in plan.stages], runs)
    list(readiness.begin(runs))
    ran: list[tuple[int, int]] = []
    progress = True
    while progress:
        progress = False
        for position, stage in enumerate(readiness.stages):
            while stage.open:
                for task in stage.queue.take(2):
                    ran.append((position, task))
                    readiness.complete(position, task)
                    progress = True
    assert sorted(ran) == sorted(set(everything) - done)


@given(plan=plans())
def test_the_readers_of_a_task_are_as_many_as_are_found_one_by_one(plan: Plan) -> None:
    for edges in graph_of(plan).inputs:
        for edge in edges:
            producer, consumer = plan.stages[edge.producer], plan.stages[edge.consumer]
            reads = [
                {t for run in edge.producers(task) for t in run} for task in range(consumer.tasks)
            ]
            for task in range(producer.tasks):
                readers = [t for run in edge.consumers(task) for t in run]
                assert readers == [t for t, read in enumerate(reads) if task in read]
                assert edge.readers(task) == len(readers)


@pytest.mark.parametrize("tasks", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_counts_are_held_only_for_pages_in_between(tasks: int) -> None:
    dependencies = DependencyCounts(tasks, lambda task: 1 + task % 3)
    released = []
    for task in range(tasks):
        released += [(task, n) for n in range(1 + task % 3) if dependencies.arrive(task)]
        assert dependencies.blocks <= 1
    assert released == [(task, task % 3) for task in range(tasks)]
    assert dependencies.blocks == 0


def test_tasks_that_nothing_ever_reached_are_found() -> None:
    dependencies = DependencyCounts(BLOCK + 3, lambda _: 1)
    for task in range(1, BLOCK + 3, 2):
        assert dependencies.arrive(task)
    assert list(dependencies.untouched()) == list(range(0, BLOCK + 3, 2))
    assert dependencies.released == BLOCK + 3
