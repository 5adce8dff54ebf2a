"""Methods of arrays that NumPy's arrays have too: each calls the function of the namespace that has its name.

The functions are defined in modules above arrays, and are looked up when a method is called.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Self

import numpy as np

from asyncexec.array.namespace import namespace

type Axes = int | Sequence[int] | None


class Methods:
    """Methods in terms of the functions of :mod:`asyncexec.array`."""

    __slots__ = ()

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Length along each axis."""

    @property
    @abstractmethod
    def ndim(self) -> int:
        """Number of axes."""

    def _by(self, function: str, *arguments: Any, **options: Any) -> Self:
        """Return what the namespace's ``function`` makes of it."""
        found: Self = getattr(namespace(), function)(self, *arguments, **options)
        return found

    def _by_numpy(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Self:
        """Return what NumPy's ``function`` makes of it, lazily: it has arguments that the namespace's lacks."""
        found: Self = function(self, *arguments, **options)
        return found

    def sum(self, axis: Axes = None, dtype: Any = None, *, keepdims: bool = False) -> Self:
        """Return the sum along ``axis``; see :func:`asyncexec.array.sum`."""
        return self._by("sum", axis=axis, dtype=dtype, keepdims=keepdims)

    def prod(self, axis: Axes = None, dtype: Any = None, *, keepdims: bool = False) -> Self:
        """Return the product along ``axis``; see :func:`asyncexec.array.prod`."""
        return self._by("prod", axis=axis, dtype=dtype, keepdims=keepdims)

    def mean(self, axis: Axes = None, dtype: Any = None, *, keepdims: bool = False) -> Self:
        """Return the arithmetic mean along ``axis``, of elements that become ``dtype`` before."""
        if dtype is not None:
            return self._by_numpy(np.mean, axis=axis, dtype=dtype, keepdims=keepdims)
        return self._by("mean", axis=axis, keepdims=keepdims)

    def var(
        self,
        axis: Axes = None,
        dtype: Any = None,
        *,
        correction: float = 0.0,
        ddof: float | None = None,
        keepdims: bool = False,
    ) -> Self:
        """Return the variance along ``axis``; ``ddof`` is NumPy's name of ``correction``."""
        divisor = correction if ddof is None else ddof
        if dtype is not None:
            options = {"axis": axis, "dtype": dtype, "ddof": divisor, "keepdims": keepdims}
            return self._by_numpy(np.var, **options)
        return self._by("var", axis=axis, correction=divisor, keepdims=keepdims)

    def std(
        self,
        axis: Axes = None,
        dtype: Any = None,
        *,
        correction: float = 0.0,
        ddof: float | None = None,
        keepdims: bool = False,
    ) -> Self:
        """Return the standard deviation along ``axis``; ``ddof`` is NumPy's name of ``correction``."""
        divisor = correction if ddof is None else ddof
        if dtype is not None:
            options = {"axis": axis, "dtype": dtype, "ddof": divisor, "keepdims": keepdims}
            return self._by_numpy(np.std, **options)
        return self._by("std", axis=axis, correction=divisor, keepdims=keepdims)

    def min(self, axis: Axes = None, *, keepdims: bool = False) -> Self:
        """Return the minimum along ``axis``; see :func:`asyncexec.array.min`."""
        return self._by("min", axis=axis, keepdims=keepdims)

    def max(self, axis: Axes = None, *, keepdims: bool = False) -> Self:
        """Return the maximum along ``axis``; see :func:`asyncexec.array.max`."""
        return self._by("max", axis=axis, keepdims=keepdims)

    def any(self, axis: Axes = None, *, keepdims: bool = False) -> Self:
        """Return True where any element along ``axis`` is true."""
        return self._by("any", axis=axis, keepdims=keepdims)

    def all(self, axis: Axes = None, *, keepdims: bool = False) -> Self:
        """Return True where all elements along ``axis`` are true."""
        return self._by("all", axis=axis, keepdims=keepdims)

    def argmin(self, axis: int | None = None, *, keepdims: bool = False) -> Self:
        """Return the number of the first minimum along ``axis``, or in the array read in C order."""
        return self._by("argmin", axis=axis, keepdims=keepdims)

    def argmax(self, axis: int | None = None, *, keepdims: bool = False) -> Self:
        """Return the number of the first maximum along ``axis``, or in the array read in C order."""
        return self._by("argmax", axis=axis, keepdims=keepdims)

    def cumsum(self, axis: int | None = None, dtype: Any = None) -> Self:
        """Return the sums so far along ``axis``; without one, of the elements in C order."""
        if axis is None:
            return self.ravel().cumsum(0, dtype)
        return self._by("cumulative_sum", axis=axis, dtype=dtype)

    def cumprod(self, axis: int | None = None, dtype: Any = None) -> Self:
        """Return the products so far along ``axis``; without one, of the elements in C order."""
        if axis is None:
            return self.ravel().cumprod(0, dtype)
        return self._by("cumulative_prod", axis=axis, dtype=dtype)

    def round(self, decimals: int = 0) -> Self:
        """Return the elements rounded to ``decimals`` places after the point, halves to even ones."""
        return self._by("round", decimals=decimals)

    def clip(self, min: Any = None, max: Any = None) -> Self:
        """Return the elements within the bounds ``min`` and ``max``; None is no bound."""
        return self._by("clip", min, max)

    def conj(self) -> Self:
        """Return the complex conjugates; see :func:`asyncexec.array.conj`."""
        return self._by("conj")

    def conjugate(self) -> Self:
        """Return the complex conjugates; see :func:`asyncexec.array.conj`."""
        return self._by("conj")

    @property
    def real(self) -> Self:
        """The real parts."""
        return self._by("real")

    @property
    def imag(self) -> Self:
        """The imaginary parts, of real numbers zero."""
        return self._by("imag")

    def reshape(self, *shape: Any, **options: Any) -> Self:
        """Return the elements in C order in another shape, given as a tuple or as several integers."""
        wanted = shape[0] if len(shape) == 1 else shape
        return self._by("reshape", wanted, **options)

    def ravel(self) -> Self:
        """Return the elements in C order along one axis."""
        return self._by("reshape", (-1,))

    def flatten(self) -> Self:
        """Return the elements in C order along one axis."""
        return self._by("reshape", (-1,))

    def transpose(self, *axes: Any) -> Self:
        """Return it with its axes in the order ``axes`` (a tuple or several integers), by default reversed."""
        given = axes[0] if len(axes) == 1 else axes
        if given is None or len(axes) == 0:
            given = range(self.ndim - 1, -1, -1)
        return self._by("permute_dims", (given,) if np.ndim(given) == 0 else tuple(given))

    def swapaxes(self, axis1: int, axis2: int, /) -> Self:
        """Return it with two axes that have changed places."""
        order = list(range(self.ndim))
        order[axis1], order[axis2] = order[axis2], order[axis1]
        return self._by("permute_dims", tuple(order))

    def squeeze(self, axis: Axes = None) -> Self:
        """Return it without ``axis``, of length 1; without all axes of length 1 by default."""
        ones = tuple(a for a, n in enumerate(self.shape) if n == 1)
        return self._by("squeeze", axis=ones if axis is None else axis)

    def repeat(self, repeats: Any, axis: int | None = None) -> Self:
        """Return each element ``repeats`` times, along ``axis`` or in C order."""
        return self._by("repeat", repeats, axis=axis)

    def take(self, indices: Any, axis: int | None = None) -> Self:
        """Return the elements at ``indices`` along ``axis``, or at these places in C order."""
        return (
            self.ravel().take(indices, 0) if axis is None else self._by("take", indices, axis=axis)
        )

    def argsort(self, axis: int = -1, *, descending: bool = False, stable: bool = True) -> Self:
        """Return the numbers of the elements along ``axis``, in their order."""
        return self._by("argsort", axis=axis, descending=descending, stable=stable)

    def sort(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse to sort in place, as NumPy's method does.

        Raises
        ------
        TypeError
            Always; it names the function that returns the elements in order.
        """
        raise TypeError("sort() cannot sort in place: write y = xp.sort(x, axis=axis)")

    def nonzero(self) -> tuple[Self, ...]:
        """Return the places of the elements that are not zero, one array an axis."""
        found: tuple[Self, ...] = namespace().nonzero(self)
        return found

    def searchsorted(self, v: Any, side: str = "left", *, sorter: Any = None) -> Self:
        """Return the places at which ``v`` would keep the elements in order."""
        return self._by("searchsorted", v, side=side, sorter=sorter)

    def dot(self, other: Any, /) -> Self:
        """Return ``numpy.dot`` of both: products summed over the last axis and the last but one of ``other``."""
        return self._by_numpy(np.dot, other)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Self:
        """Return the diagonals of the matrices that two axes make."""
        return self._by_numpy(np.diagonal, offset, axis1, axis2)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Self:
        """Return the sums of the diagonals of the matrices that two axes make."""
        return self._by_numpy(np.trace, offset, axis1, axis2)

    def map_blocks(self, function: Callable[..., Any], /, *arrays: Any, **options: Any) -> Self:
        """Return what ``function`` makes of each chunk; see :func:`asyncexec.array.map_blocks`."""
        found: Self = namespace().map_blocks(function, self, *arrays, **options)
        return found

    def map_overlap(self, function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Self:
        """Return what ``function`` makes of chunks with their neighbours' margins."""
        found: Self = namespace().map_overlap(function, self, *arguments, **options)
        return found

    def to_zarr(self, place: Any, /, **options: Any) -> None:
        """Compute it, and store it as a Zarr array at ``place``; see :func:`asyncexec.array.to_zarr`."""
        namespace().to_zarr(self, place, **options)

    def store(self, place: Any, /, **options: Any) -> Any:
        """Return what stores it as a Zarr array at ``place``; see :func:`asyncexec.array.store`."""
        return namespace().store([self], [place], **options)

    def persist(self, place: Any = None, /, **options: Any) -> Self:
        """Compute it now, store it, and return the stored array, to go on with; see :func:`asyncexec.array.persist`."""
        found: Self = namespace().persist(self, place=place, **options)[0]
        return found
