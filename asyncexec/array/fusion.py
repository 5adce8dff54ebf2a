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

import math
from collections.abc import Callable, Collection, Sequence
from copy import copy
from dataclasses import dataclass, field

from asyncexec.array.chunks import grid
from asyncexec.array.expansion import topological
from asyncexec.array.nodes import ArraySource, Copy, Node, View
from asyncexec.array.optimizer import elementwise, reductions, results, views
from asyncexec.array.optimizer.joining import joining_rule
from asyncexec.array.outputs import OutputOf
from asyncexec.array.streamed_reductions import StreamedReduction
from asyncexec.plan.access_map import AccessMap, of_blocks
from asyncexec.plan.box import Shape
from asyncexec.plan.pieces import Pieces

EVERY_JOINING = frozenset({elementwise.NAME, reductions.NAME, views.NAME})
"""The rules by which a node is computed on the way of another."""

OTHER_PARTS = "the tasks of the stage that reads it need other parts than whole chunks of it"
SHOWN = "parts of it are read, and to store what it is made of instead would take more"

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
        The index space of ``accesses``: that of the stage, or of the pieces that its tasks take.
    streamed : tuple of StreamedReduction
        The reductions whose tasks take pieces one after another; they are the roots, or what these are made of.
    after : FusionGroup or None
        What is made of their results, once a task; then its roots are those of the stage, and ``written`` has what each
        task writes of them.
    apart : str
        The reason why its result is stored, rather than computed by whom it is read; empty if it is asked for.
    shares_results : bool
        Whether it leaves to other stages what its tasks would compute again and again, at greater cost.
    """

    roots: tuple[Node, ...]
    accesses: dict[Node, dict[AccessMap, None]] = field(default_factory=dict)
    members: dict[Node, None] = field(default_factory=dict)
    reading: int = field(init=False)
    grid: Shape = field(init=False)
    streamed: tuple[StreamedReduction, ...] = field(init=False, default=())
    after: FusionGroup | None = field(init=False, default=None)
    written: dict[Node, AccessMap | None] = field(init=False)
    apart: str = ""
    shares_results: bool = False

    def __post_init__(self) -> None:
        first = self.roots[0]
        maker = first.maker if isinstance(first, OutputOf) else first
        if isinstance(maker, StreamedReduction):
            self.streamed = (maker,)
            self.grid = maker.pieces.grid
        else:
            self.grid = grid(maker.shape, block_of(maker))
        self.written = {root: access_of(root) for root in self.roots}
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
        return not self.refusal(node)

    def refusal(self, node: Node) -> str:
        """Return the reason why ``node`` cannot be computed here, once for each task; empty if it can."""
        accesses = tuple(self.accesses[node])
        if len(accesses) != 1:
            return f"the stage that reads it needs it in {len(accesses)} places of each task"
        if node.accepts(accesses[0], self.grid):
            if self.shares_results and results.is_stored_once(node, accesses[0], self.grid):
                return "several tasks of the stage that reads it need the same of it, and to compute it once costs less"
            return ""
        if isinstance(node, Copy):
            return "it is put into other chunks"
        if not accesses[0].once(self.grid):
            return "several tasks of the stage that reads it need the same of it"
        return OTHER_PARTS

    def computes(self, node: Node) -> bool:
        """Return whether ``node`` can be computed here for everything that is needed of it."""
        return all(node.accepts(access, self.grid) for access in self.accesses[node])

    def copied(self) -> FusionGroup:
        """Return the same, to be changed."""
        found = copy(self)
        found.accesses = {node: dict(accesses) for node, accesses in self.accesses.items()}
        found.members = dict(self.members)
        found.written = dict(self.written)
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
    def shape(self) -> Shape:
        """The stage's index space."""
        return self.grid if self.pieces is None else self.pieces.shape

    @property
    def pieces(self) -> Pieces | None:
        """The pieces that each task takes one after another, if it does."""
        found = [node.pieces for node in self.streamed]
        # Some may have further axes, of one task.
        return max(found, key=lambda pieces: len(pieces.grid), default=None)

    @property
    def computed(self) -> list[Node]:
        """The nodes that a task computes, the roots first."""
        return [*(self.after.members if self.after else ()), *self.members]

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


def without_last_ones(grid: Shape) -> Shape:
    """Return the tasks along the axes of an index space, without the last axes of one task."""
    while grid and grid[-1] == 1:
        grid = grid[:-1]
    return grid


def fuse(
    roots: Sequence[Node],
    fits: Callable[[FusionGroup], bool],
    rules: Collection[str] = EVERY_JOINING,
) -> list[FusionGroup]:
    """Return the groups that ``roots`` are computed in, producers first.

    ``fits`` says whether a group fits into memory. All groups are first made as large as they can be; only if one of
    them does not fit, they are made step by step, with a look at the memory of each step. ``rules`` are those of
    :mod:`asyncexec.array.optimizer` that are followed.
    """
    order = list(topological(roots))
    groups = _Grouping(roots, order, None, rules).groups()
    checked = None if all(fits(g) for g in groups) else fits
    if checked is not None:
        groups = _Grouping(roots, order, checked, rules).groups()
    if shown := _shown(groups):
        others = _Grouping(roots, order, checked, rules, shown).groups()
        if _stored_bytes(others) < _stored_bytes(groups) and all(fits(g) for g in others):
            return others
    return groups


def _shown(groups: Sequence[FusionGroup]) -> frozenset[Node]:
    """Return the nodes of which slices are computed, so that something else that they are made of is stored.

    That may be much larger: windows of an array, of which means are taken, of which some are wanted.
    """
    apart = {group.roots[0] for group in groups if group.apart == OTHER_PARTS}
    found: set[Node] = set()
    for group in groups:
        if apart.isdisjoint(group.accesses):
            continue
        for node in group.members:
            if not isinstance(node, View):
                continue
            below: Node = node
            while below.inline and below.inputs and below.inputs[0] in group.members:
                below = below.inputs[0]
            if not below.inline and below not in group.roots:
                found.add(below)
                break
    return frozenset(found)


def _stored_bytes(groups: Sequence[FusionGroup]) -> int:
    roots = [root for group in groups for root in group.roots]
    return sum(math.prod(root.shape) * root.dtype.itemsize for root in roots)


class _Grouping:
    """One division of an expression, given in topological ``order``, into groups."""

    def __init__(
        self,
        roots: Sequence[Node],
        order: Sequence[Node],
        fits: Callable[[FusionGroup], bool] | None,
        rules: Collection[str],
        shown: Collection[Node] = (),
    ) -> None:
        self._fits = fits
        self._rules = rules
        self._shown = shown
        self._stored = {*roots, *shown}
        self._order = order
        self._readers: dict[Node, list[Node]] = {node: [] for node in self._order}
        for node in self._order:
            for below in node.inputs:
                self._readers[below].append(node)
        self._wanted_by: dict[Node, list[FusionGroup]] = {}
        self._outputs: dict[Node, list[OutputOf]] = {}
        self._groups: list[FusionGroup] = []

    def groups(self) -> list[FusionGroup]:
        """Return the groups, producers first."""
        for node in reversed(self._order):
            wanting = self._wanted_by.get(node, [])
            needed = wanting or node in self._stored or node in self._outputs
            if needed and not isinstance(node, ArraySource):
                self._place(node, wanting)
        return self._groups[::-1]

    def _place(self, node: Node, wanting: Sequence[FusionGroup]) -> None:
        """Put ``node`` into a group that wants it, or into one of its own."""
        if isinstance(node, OutputOf):
            # Its stage begins once all are known that are read.
            self._outputs.setdefault(node.maker, []).append(node)
            return
        on_the_way = node.inline and all(found.computes(node) for found in wanting)
        if on_the_way and node not in self._stored:
            for found in wanting:
                found.join(node)
                self._note(found, node)
            return
        apart = "" if node in self._stored else self._apart(node, wanting)
        if not apart and node not in self._stored:
            self._note(wanting[0], node)
            return
        if node in self._shown and wanting:
            apart = SHOWN
        several = sorted(self._outputs.get(node, ()), key=_number)
        made = FusionGroup(
            tuple(several) if several else (node,),
            apart=apart,
            shares_results=results.NAME in self._rules,
        )
        self._groups.append(made)
        self._note(made, node)

    def _note(self, found: FusionGroup, node: Node) -> None:
        """Note what ``found`` wants, as it computes ``node``."""
        for below in node.inputs:
            wanting = self._wanted_by.setdefault(below, [])
            if found.accesses.get(below) and found not in wanting:
                wanting.append(found)

    def _apart(self, node: Node, wanting: Sequence[FusionGroup]) -> str:
        """Compute ``node`` in the one group that needs it, if it can be; else return the reason why it cannot."""
        if not wanting:
            return "it makes several arrays, and each that is read is stored"
        if len(wanting) > 1:
            return f"{len(wanting)} stages read it"
        (found,) = wanting
        reason = found.refusal(node)
        if reason:
            return reason
        rule = joining_rule([reader for reader in self._readers[node] if reader in found.members])
        if rule not in self._rules:
            return f"the rule {rule!r} is off"
        return self._joined(node, found)

    def _joined(self, node: Node, found: FusionGroup) -> str:
        """Compute ``node`` in ``found``, unless that would be too much; return the reason why not."""
        reads = found.reading
        before = {below: len(found.accesses.get(below, ())) for below in node.inputs}
        found.join(node)
        reason = ""
        if found.reading > max(MOST_SOURCES, reads):
            reason = f"the stage that reads it would read {found.reading} arrays, more than {MOST_SOURCES}"
        elif self._fits is not None and not self._fits(found):
            reason = "a task that computed it on the way would need more memory than it may have"
        if reason:
            found.leave(node, before)
        return reason


def _number(output: OutputOf) -> int:
    return output.number
