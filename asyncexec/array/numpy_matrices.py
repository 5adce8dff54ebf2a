"""NumPy's functions of matrices, polynomials and transforms that the namespace has by other names or arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from asyncexec.array.namespace import namespace
from asyncexec.array.operators import Operators


def _lazy(x: Any) -> Any:
    return x if isinstance(x, Operators) else namespace().asarray(x)


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: Any = None) -> Any:
    linalg, kept = namespace().linalg, bool(keepdims)
    array = as_floating(x)
    axes = None if axis is None else tuple(np.atleast_1d(axis))
    if (axes is None and (ord is None or array.ndim == 1)) or (axes is not None and len(axes) == 1):
        wanted = axis if axes is None else int(axes[0])
        return linalg.vector_norm(array, axis=wanted, keepdims=kept, ord=2 if ord is None else ord)
    pair = tuple(range(array.ndim)) if axes is None else axes
    if len(pair) != 2:
        raise ValueError(
            f"numpy.linalg.norm(axis={axis!r}) of {array.ndim} axes: give one axis or two"
        )
    last = namespace().moveaxis(array, pair, (-2, -1))
    found = linalg.matrix_norm(last, keepdims=kept, ord="fro" if ord is None else ord)
    return namespace().moveaxis(found, (-2, -1), pair) if kept else found


def _svd(a: Any, full_matrices: Any = None, compute_uv: Any = None, hermitian: Any = None) -> Any:
    linalg = namespace().linalg
    if hermitian:
        raise TypeError(
            "numpy.linalg.svd(hermitian=True) is not known for lazy arrays: leave it out"
        )
    if compute_uv is False:
        return linalg.svdvals(as_floating(a))
    return linalg.svd(as_floating(a), full_matrices=full_matrices is not False)


def _qr(a: Any, mode: str = "reduced") -> Any:
    linalg = namespace().linalg
    if mode == "raw":
        raise ValueError("numpy.linalg.qr(mode='raw') is not known for lazy arrays: use 'reduced'")
    return (
        linalg.qr(as_floating(a), mode="reduced").R
        if mode == "r"
        else linalg.qr(as_floating(a), mode=mode)
    )


def as_floating(x: Any) -> Any:
    """Return ``x`` as an array, of integers and booleans in double precision, as NumPy takes matrices."""
    array = _lazy(x)
    return array.astype(np.float64) if array.dtype.kind in "biu" else array


def _multi_dot(arrays: Sequence[Any], *, out: Any = None) -> Any:
    if out is not None:
        raise TypeError(
            "numpy.linalg.multi_dot(out=...) would change an array in place: leave it out"
        )
    return reduce(np.dot, arrays)


def _cross(  # noqa: PLR0917 - NumPy's
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    move = namespace().moveaxis
    first, second = move(_lazy(a), axisa, -1), move(_lazy(b), axisb, -1)
    return move(namespace().linalg.cross(first, second, axis=-1), -1, axisc)


def _kron(a: Any, b: Any) -> Any:
    first, second = _lazy(a), _lazy(b)
    most: int = max(first.ndim, second.ndim)
    first, second = first[(None,) * (most - first.ndim)], second[(None,) * (most - second.ndim)]
    left = first[(slice(None), None) * most]
    right = second[(None, slice(None)) * most]
    shape = tuple(m * n for m, n in zip(first.shape, second.shape, strict=True))
    return (left * right).reshape(shape)


def _over_two_axes(name: str) -> Callable[..., Any]:
    def transformed(
        a: Any,
        s: Any = None,
        axes: Sequence[int] = (-2, -1),
        norm: str | None = None,
        out: Any = None,
    ) -> Any:
        if out is not None:
            raise TypeError(
                f"numpy.fft.{name[:-1]}2(out=...) would change an array in place: leave it out"
            )
        transform = getattr(namespace().fft, name)
        return transform(_lazy(a), s=s, axes=tuple(axes), norm=norm or "backward")

    return transformed


def _polyval(p: Any, x: Any) -> Any:
    found = namespace().zeros_like(x) if isinstance(x, Operators) else np.zeros_like(x)
    for coefficient in p:
        found = found * x + coefficient
    return found


_DECOMPOSITIONS = ("cholesky", "eig", "eigh", "eigvals", "eigvalsh", "svdvals")
_FIGURES = ("det", "matrix_norm", "matrix_rank", "slogdet", "vector_norm")
FLOATING = frozenset(
    f"linalg.{name}" for name in (*_DECOMPOSITIONS, *_FIGURES, "inv", "pinv", "solve")
)
"""Functions that take integers and booleans in NumPy, and floating elements alone in the standard."""

OF_MATRICES: Mapping[str, Callable[..., Any]] = {
    "linalg.qr": _qr,
    "linalg.norm": _norm,
    "linalg.svd": _svd,
    "linalg.multi_dot": _multi_dot,
    "cross": _cross,
    "kron": _kron,
    "polyval": _polyval,
    "fft.fft2": _over_two_axes("fftn"),
    "fft.ifft2": _over_two_axes("ifftn"),
    "fft.rfft2": _over_two_axes("rfftn"),
    "fft.irfft2": _over_two_axes("irfftn"),
}
"""Functions that the namespace does not have by their names, or with other arguments."""


def matrix_vector(x1: Any, x2: Any) -> Any:
    """Return the products of matrices ``x1`` and vectors ``x2``, over the last axes."""
    return namespace().matmul(x1, x2[..., None])[..., 0]


def vector_matrix(x1: Any, x2: Any) -> Any:
    """Return the products of the conjugates of vectors ``x1`` and matrices ``x2``, over the last axes."""
    return namespace().matmul(np.conj(x1)[..., None, :], x2)[..., 0, :]
