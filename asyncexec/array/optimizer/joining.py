"""The rule by which a node is computed on the way of the nodes that read it, rather than stored."""

from __future__ import annotations

from collections.abc import Collection

from asyncexec.array.nodes import Node
from asyncexec.array.optimizer import elementwise, reductions, views


def joining_rule(readers: Collection[Node]) -> str:
    """Return the name of the rule that lets a node be computed in the stage where ``readers`` of it are."""
    if reductions.is_reduced_by(readers):
        return reductions.NAME
    return views.NAME if views.is_shown_by(readers) else elementwise.NAME
