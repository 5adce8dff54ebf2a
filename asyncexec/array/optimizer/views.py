"""Slices and gathers: the part of an array that they show is computed alone, by the tasks that read it."""

from collections.abc import Iterable

from asyncexec.array.nodes import Concat, Node, Rechunk, View

NAME = "views"


def is_shown_by(readers: Iterable[Node]) -> bool:
    """Return whether one of ``readers`` shows what it reads in another order, in part, or in other chunks."""
    return any(isinstance(reader, View | Rechunk | Concat) for reader in readers)
