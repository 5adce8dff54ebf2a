"""Into reductions: what is reduced is computed by the tasks that reduce it, block by block."""

from collections.abc import Iterable

from asyncexec.array.nodes import Node
from asyncexec.array.reductions import PartialReduction

NAME = "reductions"


def is_reduced_by(readers: Iterable[Node]) -> bool:
    """Return whether one of ``readers`` reduces what it reads."""
    return any(isinstance(reader, PartialReduction) for reader in readers)
