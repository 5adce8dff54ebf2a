"""The extension ``linalg`` of the array API standard, offered as ``xp.linalg``."""

from __future__ import annotations

from asyncexec.array.calls import name_in_errors
from asyncexec.array.cholesky_factors import cholesky
from asyncexec.array.cross_products import cross
from asyncexec.array.decompositions import QRResult, SVDResult, qr, svd, svdvals
from asyncexec.array.diagonals import diagonal, trace
from asyncexec.array.eigenvalues import EighResult, EigResult, eig, eigh, eigvals, eigvalsh
from asyncexec.array.linear_systems import solve
from asyncexec.array.manipulation import matrix_transpose
from asyncexec.array.matrix_functions import (
    SlogdetResult,
    det,
    inv,
    matrix_power,
    matrix_rank,
    pinv,
    slogdet,
)
from asyncexec.array.norms import matrix_norm, vector_norm
from asyncexec.array.products import matmul, outer, tensordot, vecdot

__all__ = [
    "EigResult",
    "EighResult",
    "QRResult",
    "SVDResult",
    "SlogdetResult",
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]

name_in_errors(globals(), __all__, module=__name__, prefix="xp.linalg.")
