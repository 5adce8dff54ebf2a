"""The words for relations along an axis in the text and the pictures of plans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncexec.plan.access import AxisAccess
from asyncexec.plan.axes import BlockAccess
from asyncexec.plan.lengths import Lengths
from asyncexec.plan.overlap import Overlap

if TYPE_CHECKING:
    from asyncexec.plan.axes import AxisMap

ONE_BLOCK = "one block"

WORDS = (
    "gather",
    "listed",
    "overlap",
    "slice",
    "concat",
    "rechunk",
    "groups of",
    "whole axis",
)
"""The words from the least regular to the most: a relation is called by the first that fits any of its axes."""


def word_of(axis_map: AxisMap, consumer: int) -> str:
    """Return the word for an axis that is read at ``consumer`` positions; ``""`` where it is read block by block."""
    if axis_map.identical:
        return ""
    if not isinstance(axis_map, BlockAccess):
        return "listed"
    access = axis_map.access
    if access.via is not None and not isinstance(access.via, Overlap):
        return "gather"
    if access.step == 0 or consumer <= 1:
        return _constant(axis_map)
    if access.via is not None and (access.via.before or access.via.after):
        return "overlap"
    return _blockwise(access, axis_map.extent, axis_map.chunk)


def _constant(blocks: BlockAccess) -> str:
    """Return the word for an axis of which every task reads the same blocks."""
    count = len(blocks.reads(0))
    if count == blocks.producer > 1:
        return "whole axis"
    if count == 1:
        return "" if blocks.producer == 1 and blocks.consumer != 1 else ONE_BLOCK
    return "slice"


def _blockwise(access: AxisAccess, extent: int, chunk: int) -> str:
    if access.step == 1 and access.hi + access.offset >= extent and access.lo + access.offset <= 0:
        if access.offset == 0 and access.lo == 0:
            if isinstance(access.block, Lengths) or isinstance(chunk, Lengths):
                return "rechunk"
            width, rest = divmod(access.block, chunk)
            return "rechunk" if rest or not width else f"groups of {width:,}"
        return "concat"
    return "slice"
