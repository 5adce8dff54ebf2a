"""The optimizer: it puts nodes together that are computed in one stage.

Every node that is stored starts a group; a group becomes a stage. Nodes are visited from the results to the sources,
so that all consumers of a node have been placed when its turn comes:

- what is free (views, creations) goes to every group that needs it;
- anything else that one group alone needs, for one region a task, goes to that group if it can be computed on the way
  (see :meth:`~asyncexec.array.nodes.Node.accepts`), the group does not read too many arrays, and its memory fits;
- any other node is stored, once, and read by all groups that need it. So only what is free is ever computed twice.

A node that makes several arrays is computed once too, and those of its arrays that are read are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field

from asyncexec.array.chunks import grid
from asyncexec.array.expansion import topological
from asyncexec.array.nodes import ArraySource, Copy, Node
from asyncexec.array.outputs import OutputOf
from asyncexec.plan.access_map import AccessMap, of_blocks
from asyncexec.plan.box import Shape

MOST_SOURCES = 8
"""How many arrays a fused stage may read; an operation that has more of its own may."""


@dataclass(eq=False)
class FusionGroup:
    """Nodes that are computed in one stage.

    Attributes
    ----------
    roots : tuple of Node
        What the stage writes: a node, or several of the arrays that one node makes.
    accesses : dict of dict
        What each task needs, of every node in the group and every node it reads; nearest to the roots first. The inner
        ones are sets in order: their values are None.
    members : dict
        The nodes computed here, the roots first and each after all that need it.
    reading : int
        How many reads from storage there are: nodes that are not computed here, times what is needed of each.
    grid : tuple of int
        The stage's index space.
    """

    roots: tuple[Node, ...]
    accesses: dict[Node, dict[AccessMap, None]] = field(default_factory=dict)
    members: dict[Node, None] = field(default_factory=dict)
    reading: int = field(init=False)
    grid: Shape = field(init=False)

    def __post_init__(self) -> None:
        first = self.roots[0]
        maker = first.maker if isinstance(first, OutputOf) else first
        self.grid = grid(maker.shape, block_of(maker))
        self.reading = len(self.roots)
        for root in self.roots:
            self.accesses[root] = {access_of(root) or of_blocks(root.shape, block_of(root)): None}
            self.join(root)
        if maker is not first:
            self.join(maker)

    def join(self, node: Node) -> None:
        """Compute ``node`` here."""
        self.members[node] = None
        self.reading -= len(self.accesses[node])
        for access in self.accesses[node]:
            for below, needed in zip(node.inputs, node.accesses(access), strict=True):
                known = self.accesses.setdefault(below, {})
                if needed is not None and needed not in known:
                    known[needed] = None
                    self.reading += 1

    def accepts(self, node: Node) -> bool:
        """Return whether ``node`` can be computed here, once for each task."""
        accesses = tuple(self.accesses[node])
        return len(accesses) == 1 and node.accepts(accesses[0], self.grid)

    def copied(self) -> FusionGroup:
        """Return the same, to be changed."""
        found = copy(self)
        found.accesses = {node: dict(accesses) for node, accesses in self.accesses.items()}
        found.members = dict(self.members)
        return found

    def leave(self, node: Node, before: dict[Node, int]) -> None:
        """Undo :meth:`join`; ``before`` says how many accesses to each input there were."""
        del self.members[node]
        self.reading += len(self.accesses[node])
        for below, count in before.items():
            known = self.accesses[below]
            self.reading -= len(known) - count
            while len(known) > count:
                known.popitem()
            if not known:
                del self.accesses[below]

    @property
    def reads(self) -> list[tuple[Node, AccessMap]]:
        """Reads from storage: nodes, and the access to each."""
        return [(n, d) for n, ds in self.accesses.items() if n not in self.members for d in ds]


def block_of(root: Node) -> Shape:
    """Return what one task writes of ``root``, in elements."""
    if isinstance(root, OutputOf):
        return root.output.block
    return root.block if isinstance(root, Copy) else root.chunks


def access_of(root: Node) -> AccessMap | None:
    """Return what each task writes of ``root``; None where task and block have the same index."""
    return root.output.access if isinstance(root, OutputOf) else None


def fuse(roots: Sequence[Node], fits: Callable[[FusionGroup], bool]) -> list[FusionGroup]:
    """Return the groups that ``roots`` are computed in, producers first.

    ``fits`` says whether a group fits into memory. All groups are first made as large as they can be; only if one of
    them does not fit, they are made step by step, with a look at the memory of each step.
    """
    groups = _grouped(roots, None)
    if not all(fits(g) for g in groups):
        groups = _grouped(roots, fits)
    return groups


def _grouped(
    roots: Sequence[Node], fits: Callable[[FusionGroup], bool] | None
) -> list[FusionGroup]:
    stored = set(roots)
    wanted_by: dict[Node, list[FusionGroup]] = {}
    outputs: dict[Node, list[OutputOf]] = {}
    groups: list[FusionGroup] = []

    def note(found: FusionGroup, node: Node) -> None:
        for below in node.inputs:
            wanting = wanted_by.setdefault(below, [])
            if found.accesses.get(below) and found not in wanting:
                wanting.append(found)

    for node in reversed(list(topological(roots))):
        wanting = wanted_by.get(node, [])
        if isinstance(node, ArraySource) or not (wanting or node in stored or node in outputs):
            continue
        if isinstance(node, OutputOf):
            # Its stage begins once all are known that are read.
            outputs.setdefault(node.maker, []).append(node)
            continue
        if node.inline and node not in stored:
            for found in wanting:
                found.join(node)
                note(found, node)
            continue
        if node not in stored and len(wanting) == 1 and _joins(wanting[0], node, fits):
            note(wanting[0], node)
            continue
        several = sorted(outputs.get(node, ()), key=_number)
        made = FusionGroup(tuple(several) if several else (node,))
        groups.append(made)
        note(made, node)
    return groups[::-1]


def _number(output: OutputOf) -> int:
    return output.number


def _joins(found: FusionGroup, node: Node, fits: Callable[[FusionGroup], bool] | None) -> bool:
    """Compute ``node`` in ``found`` if that is possible, and return whether it is."""
    if not found.accepts(node):
        return False
    reads = found.reading
    before = {below: len(found.accesses.get(below, ())) for below in node.inputs}
    found.join(node)
    if found.reading > max(MOST_SOURCES, reads) or (fits is not None and not fits(found)):
        found.leave(node, before)
        return False
    return True
