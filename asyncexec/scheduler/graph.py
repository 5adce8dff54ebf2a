"""The graph of a plan: which stages wait for which, and how deep each stage lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncexec.plan.box import flat_runs, point, size, unravel
from asyncexec.plan.relations import Blockwise

if TYPE_CHECKING:
    from asyncexec.plan.plan import Plan
    from asyncexec.plan.relations import Relation


@dataclass(frozen=True, slots=True)
class Edge:
    """One input of one stage that comes from another stage (both by position in the plan)."""

    producer: int
    consumer: int
    relation: Relation
    barrier: bool
    identical: bool
    reads_one: bool

    def consumers(self, task: int) -> Iterator[range]:
        """Iterate over the consumer's tasks that read producer task ``task``, as runs."""
        if self.identical:
            return iter((range(task, task + 1),))
        relation = self.relation
        box = relation.consumers(point(unravel(task, relation.producer)))
        return flat_runs(box, relation.consumer)

    def readers(self, task: int) -> int:
        """Return how many consumer tasks read producer task ``task``."""
        if self.identical:
            return 1
        relation = self.relation
        return size(relation.consumers(point(unravel(task, relation.producer))))

    def producers(self, task: int) -> Iterator[range]:
        """Iterate over the producer's tasks that consumer task ``task`` reads, as runs."""
        if self.identical:
            return iter((range(task, task + 1),))
        relation = self.relation
        return flat_runs(relation.reads(point(unravel(task, relation.consumer))), relation.producer)

    def needs(self, task: int) -> int:
        """Return how many producer tasks consumer task ``task`` reads."""
        if self.reads_one:
            return 1
        return size(self.relation.reads(point(unravel(task, self.relation.consumer))))


@dataclass(frozen=True, slots=True)
class Graph:
    """The edges into and out of every stage, and each stage's depth (longest way from a root)."""

    inputs: tuple[tuple[Edge, ...], ...]
    outputs: tuple[tuple[Edge, ...], ...]
    depths: tuple[int, ...]


def graph_of(plan: Plan, *, barriers: bool = False) -> Graph:
    """Return the graph of ``plan``; ``barriers`` makes every edge wait for the whole producer."""
    positions = {stage.name: i for i, stage in enumerate(plan.stages)}
    inputs: list[tuple[Edge, ...]] = []
    depths: list[int] = []
    for consumer, stage in enumerate(plan.stages):
        edges = tuple(
            _edge(positions[r.stage], consumer, r.relation, barriers=barriers) for r in stage.reads
        )
        inputs.append(edges)
        depths.append(1 + max((depths[e.producer] for e in edges), default=-1))
    return Graph(tuple(inputs), _reverse(inputs), tuple(depths))


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
