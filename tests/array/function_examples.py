"""Examples of all functions of :mod:`asyncexec.array`, on arrays of any size: for the manual's table, and for tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import asyncexec.array as xp
from asyncexec.array import Array
from tests.array.user_functions import numbered, row_sum, twice


@dataclass(frozen=True)
class Operands:
    """Arrays to try functions on.

    Attributes
    ----------
    a, b : Array
        Of floats, of shape ``(n, 2 * n)`` in chunks of ``(n, n)``.
    """

    a: Array
    b: Array

    @property
    def n(self) -> int:
        """The side of a chunk."""
        return self.a.chunks[0]

    @property
    def row(self) -> Array:
        """One axis, of two chunks of ``n`` times ``n`` elements."""
        return xp.reshape(self.a, (-1,))

    @property
    def square(self) -> Array:
        """A matrix of ``n`` by ``n`` elements in one chunk, which has an inverse."""
        return self.a[:, : self.n] + xp.eye(self.n, chunks=self.n, spec=self.a.spec) * self.n

    @property
    def whole(self) -> Array:
        """Integers from 0 to 8."""
        return xp.astype(self.a * 8, xp.int64)

    @property
    def labels(self) -> np.ndarray[Any, Any]:
        """Labels 0 to 11, again and again, for the columns."""
        return np.arange(self.a.shape[1]) % 12


type Example = Callable[[Operands], Any]


def _unary(name: str) -> Example:
    return lambda o: _found(name)(o.a)


def _binary(name: str) -> Example:
    return lambda o: _found(name)(o.a, o.b)


def _bitwise(name: str) -> Example:
    return lambda o: _found(name)(o.whole, o.whole[:, ::-1])


def _along(name: str) -> Example:
    return lambda o: _found(name)(o.a, axis=1)


def _made(name: str) -> Example:
    return lambda o: _found(name)((o.n, o.n), chunks=o.n, spec=o.a.spec)


def _found(name: str) -> Any:
    value: Any = xp
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _each(make: Callable[[str], Example], names: str) -> Mapping[str, Example]:
    return {name: make(name) for name in names.split()}


_ELEMENTWISE = {
    **_each(
        _unary,
        """abs acos acosh asin asinh atan atanh ceil conj cos cosh exp expm1 floor imag isfinite isinf isnan log log1p
        log2 log10 logical_not negative positive real reciprocal round sign signbit sin sinh sqrt square tan tanh trunc
        nan_to_num""",
    ),
    **_each(
        _binary,
        """add atan2 copysign divide equal floor_divide greater greater_equal hypot less less_equal logaddexp
        logical_and logical_or logical_xor maximum minimum multiply nextafter not_equal pow remainder subtract
        isclose""",
    ),
    **_each(_bitwise, "bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor"),
    "bitwise_invert": lambda o: xp.bitwise_invert(o.whole),
    "clip": lambda o: xp.clip(o.a, 0.1, o.b),
    "where": lambda o: xp.where(o.a > o.b, o.a, 0.0),
    "astype": lambda o: xp.astype(o.a, xp.float32),
}

_CREATION = {
    **_each(_made, "empty ones zeros"),
    "full": lambda o: xp.full((o.n, o.n), 2.0, chunks=o.n, spec=o.a.spec),
    **_each(_unary, "empty_like ones_like zeros_like tril triu"),
    "full_like": lambda o: xp.full_like(o.a, 2.0),
    "arange": lambda o: xp.arange(o.n**2, chunks=o.n**2, spec=o.a.spec),
    "linspace": lambda o: xp.linspace(0, 1, o.n**2, chunks=o.n**2, spec=o.a.spec),
    "eye": lambda o: xp.eye(o.n, chunks=o.n, spec=o.a.spec),
    "meshgrid": lambda o: tuple(xp.meshgrid(o.a[0], o.b[0, : o.n])),
    "from_array": lambda o: xp.from_array(np.ones((o.n, o.n)), chunks=o.n, spec=o.a.spec),
    "asarray": lambda o: xp.asarray(np.ones((o.n, o.n)), chunks=o.n, spec=o.a.spec),
}

_REDUCTIONS = _each(
    _along,
    """sum prod mean min max var std all any argmax argmin count_nonzero nansum nanprod nanmean nanvar nanstd nanmax
    nanmin nanargmax nanargmin ptp average median nanmedian""",
)

_ORDER = {
    **{
        name: lambda o, name=name: _found(name)(o.a, 0.25, axis=1)
        for name in ("quantile", "nanquantile")
    },
    **{
        name: lambda o, name=name: _found(name)(o.a, 25, axis=1)
        for name in ("percentile", "nanpercentile")
    },
}

_SCANS = {
    **_each(
        _along,
        """cumulative_sum cumulative_prod cumsum cumprod nancumsum nancumprod cummax cummin diff gradient trapezoid sort
        argsort""",
    ),
}

_PRODUCTS = {
    "matmul": lambda o: xp.matmul(o.a, o.b.T),
    "dot": lambda o: xp.dot(o.a, o.b.T),
    "tensordot": lambda o: xp.tensordot(o.a, o.b, axes=((1,), (1,))),
    "vecdot": lambda o: xp.vecdot(o.a, o.b),
    "inner": lambda o: xp.inner(o.a, o.b),
    "outer": lambda o: xp.outer(o.a[0], o.b[0]),
    "matrix_transpose": lambda o: xp.matrix_transpose(o.a),
}

_MANIPULATION = {
    "broadcast_arrays": lambda o: tuple(xp.broadcast_arrays(o.a, o.b[:1])),
    "broadcast_to": lambda o: xp.broadcast_to(o.a[:1], o.a.shape),
    "concat": lambda o: xp.concat([o.a, o.b], axis=0),
    "expand_dims": lambda o: xp.expand_dims(o.a, axis=0),
    "flip": lambda o: xp.flip(o.a),
    "moveaxis": lambda o: xp.moveaxis(o.a, 0, 1),
    "permute_dims": lambda o: xp.permute_dims(o.a, (1, 0)),
    "rechunk": lambda o: xp.rechunk(o.a, (o.n // 10, 2 * o.n)),
    "reshape": lambda o: xp.reshape(o.a, (-1,)),
    "roll": lambda o: xp.roll(o.a, 100, axis=0),
    "squeeze": lambda o: xp.squeeze(o.a[:1], axis=0),
    "stack": lambda o: xp.stack([o.a, o.b], axis=0),
    "unstack": lambda o: xp.unstack(o.a[:2])[1],
    "take": lambda o: xp.take(o.a, np.arange(0, 2 * o.n, 2)[::-1], axis=1),
    "map_blocks": lambda o: xp.map_blocks(twice, o.a, dtype=o.a.dtype),
    "blockwise": lambda o: xp.blockwise(twice, "ij", o.a, "ij", dtype=o.a.dtype),
}

_LISTS = {
    "append": lambda o: xp.append(o.a, o.b, axis=0),
    "atleast_1d": lambda o: xp.atleast_1d(o.a),
    "atleast_2d": lambda o: xp.atleast_2d(o.a[0]),
    "atleast_3d": lambda o: xp.atleast_3d(o.a),
    "block": lambda o: xp.block([[o.a, o.b], [o.b, o.a]]),
    **{
        name: lambda o, name=name: _found(name)([o.a, o.b])
        for name in ("column_stack", "dstack", "hstack", "vstack")
    },
    "delete": lambda o: xp.delete(o.a, [1, 2, 3], axis=1),
    "insert": lambda o: xp.insert(o.a, 3, 0.0, axis=1),
    "pad": lambda o: xp.pad(o.a, 10, mode="edge"),
    "ravel": lambda o: xp.ravel(o.a),
    "repeat": lambda o: xp.repeat(o.a, 2, axis=1),
    "rot90": lambda o: xp.rot90(o.a),
    "swapaxes": lambda o: xp.swapaxes(o.a, 0, 1),
    "tile": lambda o: xp.tile(o.a, (2, 1)),
}

_SEARCHING = {
    **_each(_unary, "argwhere flatnonzero nonzero"),
    "argtopk": lambda o: xp.argtopk(o.a, 10, axis=1),
    "topk": lambda o: xp.topk(o.a, 10, axis=1),
    "compress": lambda o: xp.compress(o.labels == 1, o.a, axis=1),
    "extract": lambda o: xp.extract(o.a > 0.5, o.b),
    "digitize": lambda o: xp.digitize(o.a, np.linspace(0, 1, 10)),
    "interp": lambda o: xp.interp(o.a, np.linspace(0, 1, 10), np.arange(10.0)),
    "isin": lambda o: xp.isin(o.whole, np.arange(3)),
    "searchsorted": lambda o: xp.searchsorted(np.linspace(0, 1, 10), o.a),
    "take_along_axis": lambda o: xp.take_along_axis(o.a, xp.argsort(o.a, axis=1), axis=1),
    "ediff1d": lambda o: xp.ediff1d(o.a[0]),
    "allclose": lambda o: xp.allclose(o.a, o.b),
    "array_equal": lambda o: xp.array_equal(o.a, o.b),
}

_BLOCKS = {
    "apply_gufunc": lambda o: xp.apply_gufunc(
        row_sum, "(n)->()", o.a, output_dtypes=o.a.dtype, allow_rechunk=True
    ),
    "cumreduction": lambda o: xp.cumreduction(np.cumsum, np.add, 0, o.a, axis=1),
    "map_overlap": lambda o: xp.map_overlap(twice, o.a, depth=1, boundary="reflect"),
    "reduction": lambda o: xp.reduction(o.a, np.sum, np.sum, axis=1, dtype=o.a.dtype),
    "sliding_window_view": lambda o: xp.sum(xp.sliding_window_view(o.a, 3, axis=1), axis=-1),
}

_LINALG = {
    f"linalg.{name}": example
    for name, example in {
        **_each(
            lambda name: lambda o: _found(f"linalg.{name}")(o.square),
            """det diagonal eig eigvals inv matrix_norm matrix_rank pinv slogdet svd svdvals trace""",
        ),
        **_each(
            lambda name: lambda o: _found(f"linalg.{name}")(_symmetric(o)),
            "cholesky eigh eigvalsh",
        ),
        "cross": lambda o: xp.linalg.cross(o.a[:, :3], o.b[:, :3]),
        "matmul": lambda o: xp.linalg.matmul(o.a, o.b.T),
        "matrix_power": lambda o: xp.linalg.matrix_power(o.square, 3),
        "matrix_transpose": lambda o: xp.linalg.matrix_transpose(o.a),
        "outer": lambda o: xp.linalg.outer(o.a[0], o.b[0]),
        "qr": lambda o: tuple(xp.linalg.qr(o.a.T)),
        "solve": lambda o: xp.linalg.solve(o.square, o.a),
        "tensordot": lambda o: xp.linalg.tensordot(o.a, o.b, axes=((1,), (1,))),
        "vecdot": lambda o: xp.linalg.vecdot(o.a, o.b),
        "vector_norm": lambda o: xp.linalg.vector_norm(o.a, axis=1),
    }.items()
}

_FFT = {
    f"fft.{name}": example
    for name, example in {
        **_each(
            lambda name: lambda o: _found(f"fft.{name}")(o.a),
            "fft fftn fftshift hfft ifft ifftn ifftshift ihfft irfft irfftn rfft rfftn",
        ),
        **_each(
            lambda name: lambda o: _found(f"fft.{name}")(o.n, spec=o.a.spec),
            "fftfreq rfftfreq",
        ),
    }.items()
}


_GROUPS = {
    "bincount": lambda o: xp.bincount(xp.reshape(o.whole, (-1,)), minlength=9),
    "groupby_reduce": lambda o: xp.groupby_reduce(o.a, o.labels, func="mean", axis=1)[0],
    "histogram": lambda o: xp.histogram(o.a, bins=20, range=(0, 1))[0],
    "histogram2d": lambda o: xp.histogram2d(o.a[0], o.b[0], bins=5, range=[(0, 1), (0, 1)])[0],
    "histogram_bin_edges": lambda o: xp.histogram_bin_edges(o.a, bins=20),
    "histogramdd": lambda o: xp.histogramdd([o.a[0], o.b[0]], bins=5, range=[(0, 1), (0, 1)])[0],
    "cov": lambda o: xp.cov(o.a[:10]),
    "corrcoef": lambda o: xp.corrcoef(o.a[:10]),
    "einsum": lambda o: xp.einsum("ij,kj->ik", o.a, o.b),
}

_SETS = {
    **_each(
        lambda name: lambda o: _found(name)(o.whole),
        "unique unique_all unique_counts unique_inverse unique_values",
    ),
    **_each(
        lambda name: lambda o: _found(name)(o.whole[0], o.whole[1] + 3),
        "intersect1d setdiff1d setxor1d union1d",
    ),
}

_MORE = {
    "diag": lambda o: xp.diag(o.square),
    "from_blocks": lambda o: xp.from_blocks(
        numbered, (o.n, 2 * o.n), chunks=o.n, dtype=np.float64, spec=o.a.spec
    ),
    "fromfunction": lambda o: xp.fromfunction(np.add, (o.n, o.n), chunks=o.n, spec=o.a.spec),
    "geomspace": lambda o: xp.geomspace(1, 10, o.n**2, chunks=o.n**2, spec=o.a.spec),
    "logspace": lambda o: xp.logspace(0, 1, o.n**2, chunks=o.n**2, spec=o.a.spec),
    "identity": lambda o: xp.identity(o.n),
    "indices": lambda o: xp.indices((o.n, o.n), chunks=o.n, spec=o.a.spec),
    "tri": lambda o: xp.tri(o.n, chunks=o.n, spec=o.a.spec),
    "shuffle": lambda o: xp.shuffle(o.a, [[3, 1], [0, 2]], 0),
}

WITHOUT_PLAN = {
    *("__array_namespace_info__", "broadcast_shapes", "can_cast", "finfo", "iinfo", "isdtype"),
    *("compute", "from_dlpack", "from_zarr", "persist", "plan_of", "result_type"),
    *("store", "store_icechunk", "to_zarr"),
}
"""Functions that make no array, or read and store whole ones."""


def _symmetric(o: Operands) -> Array:
    return o.square + o.square.T


EXAMPLES: dict[str, Example] = {
    **_ELEMENTWISE,
    **_CREATION,
    **_REDUCTIONS,
    **_ORDER,
    **_SCANS,
    **_PRODUCTS,
    **_MANIPULATION,
    **_LISTS,
    **_SEARCHING,
    **_BLOCKS,
    **_LINALG,
    **_FFT,
    **_GROUPS,
    **_SETS,
    **_MORE,
}
"""An example of every function, by its name below ``xp``."""
