"""Runs of equal elements of a sorted array as nodes.

How many runs begin in each block is computed while the expression is built, as shapes depend on it. What stands where
runs begin is written at the front of chunks of full length, and read from there by runs of positions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.chunks import POSITION_BYTES, grid
from asyncexec.array.evaluation import evaluated
from asyncexec.array.nodes import DType, Node
from asyncexec.array.operands import chunk_limit, own_source
from asyncexec.array.ordering import NUMBERS
from asyncexec.array.run_kernels import AtBegins, count_runs, run_numbers
from asyncexec.array.spec import Spec
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.positions import Positions
from asyncexec.plan.runs import Runs


class RunsOfEqual:
    """The runs of equal elements of ``node``, which is sorted, and has one axis and elements.

    How many there are in each block is computed now, for ``operation``. NaN is equal to NaN with ``equal_nan``.
    """

    def __init__(
        self, node: Node, spec: Spec | None, operation: str, *, equal_nan: bool = False
    ) -> None:
        self._node = node
        self._operation = operation
        self._keywords = {"equal_nan": equal_nan}
        self._limit = chunk_limit(spec)
        self._length = node.chunks[0]
        self._blocks = grid(node.shape, node.chunks)[0]
        last = np.maximum(np.arange(self._blocks) * self._length - 1, 0)
        taken = AxisAccess.taken(0, Positions(last))
        self._before = build.view("take", node, (taken,), (self._blocks,), (1,))
        counts = self._made(count_runs, (), self._blocks, 1, NUMBERS)
        self._counts = evaluated(Array(counts, spec), operation)

    def __len__(self) -> int:
        return int(self._counts.sum())

    def at_begins(self, others: Node) -> Node:
        """Return the elements of ``others``, in the shape and chunks of the sorted array, where runs begin."""
        length = self._length
        call = AtBegins(length)
        fronts = self._made(call, (others,), self._blocks * length, length, others.dtype)
        runs = Runs(np.arange(self._blocks) * length, self._counts)
        taken = AxisAccess.taken(0, runs)
        # A chunk of the result, and its share of the list of positions, is about as large as other chunks.
        chunk = min(length, max(1, self._limit // (others.dtype.itemsize + POSITION_BYTES)))
        return build.view("compact", fronts, (taken,), (len(runs),), (chunk,))

    def numbers(self) -> Node:
        """Return the number of the run of each element."""
        earlier = own_source(np.cumsum(self._counts) - self._counts, 1)
        n = self._node.shape[0]
        return self._made(run_numbers, (earlier,), n, self._length, NUMBERS)

    def _made(
        self,
        call: Callable[..., Any],
        others: tuple[Node, ...],
        extent: int,
        chunk: int,
        dtype: DType,
    ) -> Node:
        inputs = (self._node, self._before, *others)
        return Blocks(
            operation=self._operation,
            call=call,
            keywords=self._keywords,
            inputs=inputs,
            axes=((0,),) * len(inputs),
            shape=(extent,),
            chunks=(chunk,),
            dtype=dtype,
            wants_block_id=True,
            # Where runs begin, and what is compared on the way.
            extra_bytes=4 * self._length,
        )
