"""Matrices too wide for one task, made orthogonal panel of columns by panel of columns.

The block form of the modified Gram-Schmidt process: a panel is decomposed by the tall QR decomposition, and what the
columns behind it have along it is taken off them. Systems of equations are solved by letting the right-hand sides be
further columns, which is as stable as Householder's method although orthogonality is lost with the matrix's condition
(Björck, Paige, "Loss and recapture of orthogonality in the modified Gram-Schmidt algorithm", SIAM Journal on Matrix
Analysis and Applications 13, 1992; of blocks: Barlow, "Block modified Gram-Schmidt algorithms and their analysis", the
same 40, 2019). Where Q itself is asked for, each panel is made orthogonal to those before it a second time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from asyncexec.array import creation
from asyncexec.array.array import Array
from asyncexec.array.manipulation import concat
from asyncexec.array.matrix_arguments import adjoint_of
from asyncexec.array.products import matmul
from asyncexec.array.tall_qr import wide_itemsize

_BLOCKS_HELD = 40
"""The number of square blocks, in double precision, whose room a task of any stage stays within."""

MOST_PANELS = 100
"""The most panels of a matrix: each takes several stages, which all wait for the one before."""

type TallQR = Callable[[Array], tuple[Array, Array]]
type Solve = Callable[[Array, Array], Array]


def panel_width(array: Array) -> int | None:
    """Return a good number of columns of a panel, for which tasks stay within memory.

    None where one panel would have all columns, or there would be too many panels.
    """
    side = min(array.shape[-2:])
    wide = wide_itemsize(array.dtype) * math.prod(array.node.chunks[:-2])
    width = math.isqrt(array.spec.free_bytes // (_BLOCKS_HELD * wide))
    return width if width < side <= MOST_PANELS * width else None


def blocked_qr(array: Array, width: int, tall_qr: TallQR) -> tuple[Array, Array]:
    """Return Q and R of each matrix of ``array``, by panels of ``width`` columns that ``tall_qr`` decomposes."""
    *lead, m, n = array.shape
    side = min(m, n)
    rest = _in_blocks(array, width)
    factors: list[Array] = []
    columns: list[Array] = []
    along: list[tuple[int, Array]] = []
    for done in range(0, side, width):
        end = min(done + width, side)
        panel, behind = rest[..., : end - done], rest[..., end - done :]
        parts: list[Array] = []
        if factors:
            before = concat(factors, axis=-1)
            again = matmul(adjoint_of(before), panel)
            panel = _in_blocks(panel - matmul(before, again), width)
            parts.append(_rows_above(along, done, end) + again)
        q, corner = tall_qr(panel)
        factors.append(q)
        parts.append(corner)
        if end < side:
            shape = (*lead, side - end, end - done)
            parts.append(creation.zeros(shape, dtype=array.dtype, spec=array.own_spec))
        columns.append(concat(parts, axis=-2))
        if end < n:
            along.append((end, matmul(adjoint_of(q), behind)))
            rest = _in_blocks(behind - matmul(q, along[-1][1]), width)
    if side < n:
        columns.append(_rows_above(along, side, n))
    return concat(factors, axis=-1), concat(columns, axis=-1)


def _rows_above(along: Sequence[tuple[int, Array]], first: int, last: int) -> Array:
    """Return columns ``first`` to ``last`` of the rows of R so far; each is there from a column of its own on."""
    parts = [row[..., first - begin : last - begin] for begin, row in along]
    return concat(parts, axis=-2)


def _in_blocks(array: Array, width: int) -> Array:
    return array.rechunk((*array.node.chunks[:-2], width, width))


def blocked_solution(
    matrices: Array, right: Array, width: int, tall_qr: TallQR, solve: Solve
) -> Array:
    """Return the solutions of ``matrices`` for the columns of ``right``, of the same stack and element type."""
    side = matrices.shape[-1]
    rest = _in_blocks(concat([matrices, right], axis=-1), width)
    rows: list[tuple[Array, Array]] = []
    for start in range(0, side, width):
        taken = min(width, side - start)
        q, corner = tall_qr(rest[..., :taken])
        behind = rest[..., taken:]
        along = matmul(adjoint_of(q), behind)
        rows.append((corner, along))
        rest = _in_blocks(behind - matmul(q, along), width)
    solved: list[Array] = []
    for corner, along in reversed(rows):
        left = along.shape[-1] - right.shape[-1]
        known = along[..., left:]
        if solved:
            known = known - matmul(along[..., :left], concat(solved, axis=-2))
        solved.insert(0, solve(corner, known))
    return concat(solved, axis=-2)
