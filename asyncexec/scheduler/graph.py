"""The graph of a plan: the edges between stages, and the depth of each stage."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncexec.plan.box import flat_runs, point, size, unravel
from asyncexec.plan.relations import All, Blockwise

if TYPE_CHECKING:
    from asyncexec.plan.plan import Plan
    from asyncexec.plan.relations import Relation
    from asyncexec.plan.stage import Stage


@dataclass(frozen=True, slots=True)
class Edge:
    """One input of a stage from another stage, both by position in the plan.

    ``barrier``: the consumer waits for the whole producer. ``identical``: task n reads task n. ``reads_one``: each task
    reads one task. The last two are computed once, as shortcuts on the hot path.
    """

    producer: int
    consumer: int
    relation: Relation
    barrier: bool
    identical: bool
    reads_one: bool

    def consumers(self, task: int) -> Iterator[range]:
        """Yield the consumer's tasks that read producer task ``task``, as ranges."""
        if self.identical:
            return iter((range(task, task + 1),))
        relation = self.relation
        box = relation.consumers(point(unravel(task, relation.producer)))
        return flat_runs(box, relation.consumer)

    def readers(self, task: int) -> int:
        """Return the number of consumer tasks that read producer task ``task``."""
        if self.identical:
            return 1
        relation = self.relation
        return size(relation.consumers(point(unravel(task, relation.producer))))

    def producers(self, task: int) -> Iterator[range]:
        """Yield the producer's tasks that consumer task ``task`` reads, as ranges."""
        if self.identical:
            return iter((range(task, task + 1),))
        relation = self.relation
        return flat_runs(relation.reads(point(unravel(task, relation.consumer))), relation.producer)

    def needs(self, task: int) -> int:
        """Return the number of producer tasks that consumer task ``task`` reads."""
        if self.reads_one:
            return 1
        return size(self.relation.reads(point(unravel(task, self.relation.consumer))))


@dataclass(frozen=True, slots=True)
class Graph:
    """The edges into and out of every stage, and each stage's depth: its longest path from a root."""

    inputs: tuple[tuple[Edge, ...], ...]
    outputs: tuple[tuple[Edge, ...], ...]
    depths: tuple[int, ...]

    def sized(
        self, sized: Mapping[int, Stage], positions: Mapping[str, int], *, barriers: bool = False
    ) -> Graph:
        """Return the graph after some late stages got their sizes, all at the same time.

        They wait for other stages as a whole, as tasks of these may be complete already, and task by task for each
        other. Edges from stages that only gave a size, and are not read, are removed.

        Parameters
        ----------
        sized : mapping of int to Stage
            By position.
        positions : mapping of str to int
            Of all stages, by name.
        barriers : bool
            Whether they wait for each other as a whole, too.
        """
        inputs, outputs = list(self.inputs), list(self.outputs)
        for consumer, stage in sized.items():
            together = () if barriers else sized
            inputs[consumer] = _edges(stage, consumer, positions, together=together)
            for producer in {e.producer for e in (*self.inputs[consumer], *inputs[consumer])}:
                others = [e for e in outputs[producer] if e.consumer != consumer]
                mine = [e for e in inputs[consumer] if e.producer == producer]
                outputs[producer] = tuple(sorted([*others, *mine], key=lambda e: e.consumer))
        return Graph(tuple(inputs), tuple(outputs), self.depths)


def graph_of(plan: Plan, *, barriers: bool = False) -> Graph:
    """Return the graph of ``plan``; ``barriers`` makes every edge wait for the whole producer."""
    positions = {stage.name: i for i, stage in enumerate(plan.stages)}
    inputs: list[tuple[Edge, ...]] = []
    depths: list[int] = []
    for consumer, stage in enumerate(plan.stages):
        late = stage.late
        grows = late is not None and late.grows
        together: Collection[int] = range(
            consumer if grows or not (barriers or late is not None) else 0
        )
        after: Sequence[int] = ()
        if late is not None:
            read = {r.stage for r in stage.reads}
            after = [positions[name] for name in dict.fromkeys(late.waits_for) if name not in read]
        edges = _edges(stage, consumer, positions, together=together, after=after)
        inputs.append(edges)
        depths.append(1 + max([depths[e.producer] for e in edges], default=-1))
    return Graph(tuple(inputs), _reverse(inputs), tuple(depths))


def _edges(
    stage: Stage,
    consumer: int,
    positions: Mapping[str, int],
    *,
    together: Collection[int],
    after: Sequence[int] = (),
) -> tuple[Edge, ...]:
    """Return the edges into a stage: from those it reads (task by task from ``together``), and from those ``after``.

    Of those ``after`` nothing is read: their values are to give its size.
    """
    reads = [
        _edge(positions[r.stage], consumer, r.relation, barriers=positions[r.stage] not in together)
        for r in stage.reads
    ]
    return (*reads, *[_edge(p, consumer, All((), stage.shape), barriers=True) for p in after])


def _edge(producer: int, consumer: int, relation: Relation, *, barriers: bool) -> Edge:
    blockwise = relation if isinstance(relation, Blockwise) else None
    return Edge(
        producer,
        consumer,
        relation,
        barrier=barriers or relation.barrier,
        identical=blockwise is not None and blockwise.is_identity,
        reads_one=blockwise is not None and blockwise.reads_one,
    )


def _reverse(inputs: Sequence[tuple[Edge, ...]]) -> tuple[tuple[Edge, ...], ...]:
    outputs: list[list[Edge]] = [[] for _ in inputs]
    for edges in inputs:
        for edge in edges:
            outputs[edge.producer].append(edge)
    return tuple(map(tuple, outputs))
