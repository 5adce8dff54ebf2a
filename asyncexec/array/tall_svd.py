"""The singular value decomposition of tall matrices, as nodes: that of the factor R, and ``Q @ U``."""

from __future__ import annotations

import numpy as np

from asyncexec.array.block_nodes import Blocks, SeveralOfBlock
from asyncexec.array.dtypes import real_dtype
from asyncexec.array.factorizations import reduced_svd
from asyncexec.array.nodes import DType, Node
from asyncexec.array.outputs import ArrayOutput, outputs_of
from asyncexec.array.tall_qr import qr_nodes, wide_itemsize
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.access_map import AccessMap

_COPIES, _SQUARES = 5, 7
"""The copies of a block, and of the square of its shorter side, in double precision, that NumPy and LAPACK make."""


def svd_nodes(node: Node, most_bytes: int) -> tuple[Node, Node, Node]:
    """Return U, S and Vh of ``node``, which is chunked as for :func:`~asyncexec.array.tall_qr.qr_nodes`."""
    if node.chunks[-2] >= node.shape[-2]:
        return _single(node)
    q, r = qr_nodes(node, most_bytes)
    u, s, vh = _single(r)
    rows = (*range(len(q.shape) - 1), None)
    left = Blocks(
        operation="matmul",
        call=np.matmul,
        keywords={},
        inputs=(q, u),
        axes=(rows, (*rows[:-2], None, None)),
        shape=q.shape,
        chunks=q.chunks,
        dtype=q.dtype,
    )
    return left, s, vh


def _single(node: Node) -> tuple[Node, Node, Node]:
    *lead, m, n = node.shape
    *lead_chunks, _, _ = node.chunks
    k = min(m, n)
    lengths = enumerate(zip(lead_chunks, lead, strict=True))
    # One axis less than tasks have: the singular values of one matrix lie in one chunk.
    along = (*(AxisAccess(p, c, 0, n) for p, (c, n) in lengths), AxisAccess.constant(0, k))
    dtype, real = node.dtype, real_dtype(node.dtype)
    maker = SeveralOfBlock(
        operation="svd",
        call=reduced_svd,
        inputs=(node,),
        outputs=(
            ArrayOutput(name="U", shape=(*lead, m, k), chunks=(*lead_chunks, m, k), dtype=dtype),
            ArrayOutput(
                name="S",
                shape=(*lead, k),
                chunks=(*lead_chunks, k),
                dtype=real,
                access=AccessMap(along),
            ),
            ArrayOutput(name="Vh", shape=(*lead, k, n), chunks=(*lead_chunks, k, n), dtype=dtype),
        ),
        working_bytes_each=_working_bytes(m, n, dtype) // max(m * n, 1) + 1,
    )
    u, s, vh = outputs_of(maker)
    return u, s, vh


def _working_bytes(m: int, n: int, dtype: DType) -> int:
    """Return what the decomposition of a matrix takes besides it and its factors."""
    return (_COPIES * m * n + _SQUARES * min(m, n) ** 2) * wide_itemsize(dtype)
