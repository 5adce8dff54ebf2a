"""Functions of whole matrices as nodes: a task holds one matrix or more, stacks are divided among tasks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from asyncexec.array import build
from asyncexec.array.block_nodes import Blocks, SeveralOfBlock
from asyncexec.array.nodes import DType, Node
from asyncexec.array.outputs import ArrayOutput, outputs_of
from asyncexec.array.spec import Spec
from asyncexec.array.tall_qr import wide_itemsize
from asyncexec.errors import MemoryBudgetError
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Shape
from asyncexec.plan.memory import format_bytes

BESIDES = 3
"""The number of matrices that a task holds in addition to working memory: what is read, passes by, and is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixOutput:
    """One of the arrays that a function of whole matrices makes; ``shape`` is that of one matrix's part."""

    name: str
    shape: Shape
    dtype: DType


def in_whole_matrices(
    operation: str, node: Node, spec: Spec, copies: int, *, elements: int = 0
) -> Node:
    """Return ``node`` in chunks of whole matrices, of as many as its own chunks have or as fit into memory.

    Parameters
    ----------
    copies : int
        How many copies of a matrix, in double precision, a task needs to compute with it.
    elements : int
        The number of elements of such a copy, if it is not that of the matrix.

    Raises
    ------
    MemoryBudgetError
        If a single matrix does not fit.
    """
    m, n = node.shape[-2:]
    each = max(m * n, elements) * wide_itemsize(node.dtype) * (copies + BESIDES)
    if each > spec.free_bytes:
        side = math.isqrt(spec.free_bytes // (wide_itemsize(node.dtype) * (copies + BESIDES)))
        raise MemoryBudgetError(
            f"{operation}() of an array of shape {node.shape} in chunks of {node.chunks} works on whole matrices of "
            f"{m} x {n} elements, for which a task needs {format_bytes(each)} and may hold "
            f"{format_bytes(spec.free_bytes)}: allow at least {format_bytes(each + spec.reserved_bytes)} "
            f"(allowed_mem), or take matrices of at most {side} x {side}"
        )
    together = list(node.chunks[:-2])
    while math.prod(together) * each > spec.free_bytes // 2 and max(together, default=1) > 1:
        axis = together.index(max(together))
        together[axis] = -(-together[axis] // 2)
    return build.with_chunks(node, (*together, m, n))


def one_of_matrices(
    operation: str,
    node: Node,
    call: Callable[..., Any],
    *,
    shape: Shape,
    dtype: DType,
    copies: int,
) -> Node:
    """Return what ``call`` makes of each matrix of ``node``, which is in whole matrices: an array of ``shape`` each."""
    lead = len(node.shape) - 2
    return Blocks(
        operation=operation,
        call=call,
        keywords={},
        inputs=(node,),
        axes=((*range(lead), None, None),),
        shape=(*node.shape[:-2], *shape),
        chunks=(*node.chunks[:-2], *(max(1, n) for n in shape)),
        dtype=dtype,
        extra_bytes=copies * math.prod(node.chunks) * wide_itemsize(node.dtype),
    )


def several_of_matrices(
    operation: str,
    node: Node,
    call: Callable[..., tuple[Any, ...]],
    outputs: Sequence[MatrixOutput],
    *,
    copies: int,
    elements: int = 0,
) -> tuple[Node, ...]:
    """Return the arrays that ``call`` makes of each matrix of ``node``, which is in whole matrices and not empty.

    ``copies`` and ``elements`` are those of :func:`in_whole_matrices`.
    """
    *lead, m, n = node.shape
    chunks = node.chunks[:-2]
    along = tuple(
        AxisAccess(axis, c, 0, length)
        for axis, (c, length) in enumerate(zip(chunks, lead, strict=True))
    )
    larger = max(1, -(-elements // (m * n)))
    maker = SeveralOfBlock(
        operation=operation,
        call=call,
        inputs=(node,),
        outputs=tuple(
            ArrayOutput(
                name=made.name,
                shape=(*lead, *made.shape),
                chunks=(*chunks, *made.shape),
                dtype=made.dtype,
                # What has fewer axes than tasks says which block is whose.
                access=None
                if len(made.shape) == 2
                else AccessMap((*along, *(AxisAccess.constant(0, k) for k in made.shape))),
            )
            for made in outputs
        ),
        working_bytes_each=copies * larger * wide_itemsize(node.dtype),
    )
    return outputs_of(maker)
