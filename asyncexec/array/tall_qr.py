"""The QR decomposition of tall matrices, block of rows by block of rows, as nodes.

Each block of rows is decomposed by itself (Q1, R1), then the matrix of all R1 one below the other (Q2, R), in one task
where memory allows it, else in the same way again; ``Q = Q1 @ Q2``, block by block. That is the TSQR of Demmel,
Grigori, Hoemmen and Langou (https://doi.org/10.1137/080731992), which reads the matrix once and is as stable as the
decomposition of the whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from asyncexec.array import build
from asyncexec.array.block_nodes import Blocks, SeveralOfBlock
from asyncexec.array.factorizations import reduced_qr, stacked_qr, times_rows
from asyncexec.array.nodes import DType, Node
from asyncexec.array.outputs import ArrayOutput, outputs_of
from asyncexec.plan.box import Shape

_COPIES = 4
"""The number of copies of a block, in double precision, that NumPy makes on the way to Q."""


def qr_nodes(node: Node, most_bytes: int, q_rows: int | None = None) -> tuple[Node, Node]:
    """Return Q and R of ``node``, whose chunks have all columns, and at least as many rows unless there is one chunk.

    ``most_bytes`` is the size that blocks of several R1 aim at, in double precision. Q is read in chunks of ``q_rows``
    rows, if that is given.
    """
    *lead, m, n = node.shape
    *lead_chunks, rows, _ = node.chunks
    if rows >= m:
        return _single(node, q_rows or m)
    blocks = -(-m // rows)
    last = m - (blocks - 1) * rows
    height = (blocks - 1) * n + min(n, last)
    q1, r1 = _several(
        node,
        stacked_qr,
        _Shapes("Q1", (*lead, m, n), (*lead_chunks, rows, n)),
        _Shapes("R1", (*lead, height, n), (*lead_chunks, n, n)),
    )
    together = max(2, most_bytes // (math.prod(r1.chunks) * wide_itemsize(node.dtype)))
    stacked = build.with_chunks(r1, (*lead_chunks, min(together * n, height), n))
    q2, r = qr_nodes(stacked, most_bytes, q_rows=n)
    return _product(q1, build.with_chunks(q2, (*lead_chunks, n, n)), last), r


class _Shapes(NamedTuple):
    """The name and the lengths of an output."""

    name: str
    shape: Shape
    chunks: Shape
    block: Shape = ()


def _single(node: Node, q_rows: int) -> tuple[Node, Node]:
    *lead, m, n = node.shape
    *lead_chunks, _, _ = node.chunks
    k = min(m, n)
    q, r = _several(
        node,
        reduced_qr,
        _Shapes("Q", (*lead, m, k), (*lead_chunks, min(q_rows, m), k), (*lead_chunks, m, k)),
        _Shapes("R", (*lead, k, n), (*lead_chunks, k, n)),
    )
    return q, r


def _several(
    node: Node, call: Callable[..., tuple[Any, ...]], *outputs: _Shapes
) -> tuple[Node, ...]:
    maker = SeveralOfBlock(
        operation="qr",
        call=call,
        inputs=(node,),
        outputs=tuple(
            ArrayOutput(name=name, shape=shape, chunks=chunks, block=block, dtype=node.dtype)
            for name, shape, chunks, block in outputs
        ),
        working_bytes_each=_COPIES * wide_itemsize(node.dtype),
    )
    return outputs_of(maker)


def _product(q1: Node, q2: Node, last: int) -> Node:
    """Return ``q1 @ q2``, each block of rows of one with that of the other; the last block of q1 has ``last`` rows."""
    ndim = len(q1.shape)
    *lead, rows, n = q1.chunks
    # Where the last block has fewer rows than columns, the columns without a row in q2 are left out, and NumPy copies
    # the others. That block and its product are smaller than the other blocks are, which makes up for it.
    copied = last**2 - 2 * n * (rows - last) if last < n else 0
    axes = (*range(ndim - 1), None)
    return Blocks(
        operation="matmul",
        call=times_rows,
        keywords={},
        inputs=(q1, q2),
        axes=(axes, axes),
        shape=q1.shape,
        chunks=q1.chunks,
        dtype=q1.dtype,
        extra_bytes=max(0, copied) * math.prod(lead) * q1.dtype.itemsize,
    )


def wide_itemsize(dtype: DType) -> int:
    """Return the size of an element in double precision, in which NumPy decomposes."""
    return np.result_type(dtype, np.float64).itemsize
