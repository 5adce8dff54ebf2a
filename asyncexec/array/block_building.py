"""The node of a function of whole blocks, made of the function, its arrays, and the lengths of the result's blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.block_calls import BlockCaller, BlockGrid, UserCall
from asyncexec.array.block_lengths import Along, BlockLengths, Probe
from asyncexec.array.block_nodes import Blocks, Border
from asyncexec.array.dtypes import checked_dtype
from asyncexec.array.nodes import Node
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.runs import Runs

type Operand = tuple[Node, Sequence[Any]]
"""An array, with an index for each of its axes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockFunctionCall:
    """A function of the blocks that indices put together.

    Attributes
    ----------
    operation : str
    call : UserCall
    operands : sequence of Operand
    labels : sequence
        The indices of the result.
    dtype : dtype or None
        Of the result; None to find it out.
    extra_bytes : int
    borders : tuple
        See :class:`~asyncexec.array.block_nodes.Blocks`.
    tried : UserCall or None
        Called in place of ``call`` to find out what it makes.
    least : mapping of index to int
        See :class:`~asyncexec.array.block_lengths.Probe`.
    """

    operation: str
    call: UserCall
    operands: Sequence[Operand]
    labels: Sequence[Any]
    dtype: Any = None
    extra_bytes: int = 0
    borders: tuple[tuple[Border, ...], ...] = ()
    tried: UserCall | None = None
    least: Mapping[Any, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The function's name, in messages."""
        return getattr(self.call.function, "__name__", self.operation)

    def probe(self, along: Sequence[Along]) -> Probe:
        """Return what tries the function, where the result has these lengths as far as is known."""
        info = None
        if self.call.wants_block_info:
            known = [BlockLengths(each.length, each.chunk) for each in along]
            grids = self._grids(known, np.dtype(np.float64))
            info = {place: grid.at((0,) * len(known)) for place, grid in grids.items()}
        return Probe(self.tried or self.call, self.operands, self.labels, self.least, info)

    def node(self, settled: Sequence[BlockLengths]) -> Node:
        """Return the node, where the result has the lengths ``settled``.

        Where some blocks have no elements, all are padded to the longest; what reads them reads each without its
        padding.

        Raises
        ------
        OptionError
            If the element type is neither said nor found out.
        """
        along = [Along(each.total, each.chunk) for each in settled]
        wanted = self.probe(along).dtype() if self.dtype is None else self.dtype
        dtype = checked_dtype(wanted, what=f"the result of {self.name}")
        lengths = tuple(each.each for each in settled)
        padded = any(each is not None for each in lengths)
        call: Any = self.call if self.call.constants else self.call.function
        if padded or self.call.wants_block_info:
            grids = self._grids(settled, dtype) if self.call.wants_block_info else {}
            call = BlockCaller(call=self.call, name=self.name, grids=grids, lengths=lengths)
        places = {label: axis for axis, label in enumerate(self.labels)}
        found = Blocks(
            operation=self.operation
            if self.name == "<lambda>"
            else f"{self.operation}({self.name})",
            call=call,
            keywords=dict(self.call.keywords),
            inputs=tuple(node for node, _ in self.operands),
            axes=tuple(tuple(places.get(label) for label in own) for _, own in self.operands),
            shape=tuple(each.padded for each in settled),
            chunks=tuple(each.chunk for each in settled),
            dtype=dtype,
            wants_block_id=isinstance(call, BlockCaller) or self.call.wants_block_id,
            extra_bytes=self.extra_bytes,
            borders=self.borders,
        )
        return without_padding(found, settled) if padded else found

    def _grids(
        self, settled: Sequence[BlockLengths], dtype: np.dtype[Any]
    ) -> dict[int | None, BlockGrid]:
        """Return the blocks of each array by its place among the arguments, and those of the result."""
        axes = {label: axis for axis, label in enumerate(self.labels)}
        constants = {place for place, _ in self.call.constants}
        count = len(self.operands) + len(constants)
        places = [place for place in range(count) if place not in constants]
        found: dict[int | None, BlockGrid] = {
            place: BlockGrid(
                shape=node.shape,
                chunks=node.chunks,
                axes=tuple(axes.get(label) for label in own),
                dtype=node.dtype,
                lengths=(None,) * len(node.shape),
            )
            for place, (node, own) in zip(places, self.operands, strict=True)
        }
        found[None] = BlockGrid(
            shape=tuple(each.total for each in settled),
            chunks=tuple(each.chunk for each in settled),
            axes=tuple(range(len(settled))),
            dtype=dtype,
            lengths=tuple(each.each for each in settled),
        )
        return found


def without_padding(node: Node, settled: Sequence[BlockLengths]) -> Node:
    """Return ``node``, whose blocks without elements are padded to the longest, as a view of what is no padding."""
    views = [
        AxisAccess.view(axis, each.total)
        if each.each is None
        else AxisAccess.taken(
            axis, Runs(np.arange(len(each.each)) * each.chunk, np.asarray(each.each))
        )
        for axis, each in enumerate(settled)
    ]
    shape = tuple(each.total for each in settled)
    return build.view(node.operation, node, views, shape, node.chunks)
