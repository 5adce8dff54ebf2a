"""Reductions in three steps: start with a block, merge partial results, finish.

A partial result is one or more arrays, with length 1 along the reduced axes; their merging is associative, so that a
reduction can go through any tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from asyncexec.array.slab_lengths import slab_of, slabs, slabs_of

_DOUBLE = np.dtype(np.float64)
type Part = NDArray[Any]
type Axes = tuple[int, ...]


def real_part(block: Any, dtype: np.dtype[Any]) -> Any:
    """Return ``block``, of complex numbers the real parts where ``dtype`` is a type of real numbers."""
    return np.real(block) if block.dtype.kind == "c" and dtype.kind in "iuf" else block


class Reducer(Protocol):
    """One reduction."""

    @property
    def partial_dtypes(self) -> tuple[np.dtype[Any], ...]:
        """Element types of a partial result."""
        ...

    @property
    def result_dtype(self) -> np.dtype[Any]:
        """Element type of the result."""
        ...

    def start(self, block: Part, axes: Axes, origin: tuple[int, ...]) -> tuple[Part, ...]:
        """Return the partial result of a block; ``origin`` are its first element's numbers."""
        ...

    @property
    def adds_in_place(self) -> bool:
        """True where :meth:`add` overwrites what is held; then :meth:`start` returns memory of its own, for that."""
        ...

    def merge(self, parts: Sequence[Part], axes: Axes, counts: Part) -> tuple[Part, ...]:
        """Merge partial results that lie side by side along ``axes``.

        ``counts`` (broadcastable to them) says how many elements each stands for.
        """
        ...

    def add(
        self, held: tuple[Part, ...], parts: tuple[Part, ...], axes: Axes, counts: tuple[int, int]
    ) -> tuple[Part, ...]:
        """Merge the partial result of the elements that follow into ``held``, which it may overwrite.

        ``counts`` are the numbers of elements that the two stand for.
        """
        ...

    @property
    def adding_copies(self) -> int:
        """The arrays of the size of a partial result that :meth:`add` makes."""
        ...

    def finish(self, parts: Sequence[Part], count: int) -> Part:
        """Return the result of ``count`` elements."""
        ...

    def working_bytes(self, elements: int) -> int:
        """Return what :meth:`start` needs in memory in addition to block and result, for a block of ``elements``."""
        ...


MERGING_COPIES = 7
"""The arrays of the size of a partial result that :func:`merged_pair` makes: two, what merges them, and one."""


def merged_pair(
    reducer: Reducer,
    held: tuple[Part, ...],
    parts: tuple[Part, ...],
    axes: Axes,
    counts: tuple[int, int],
) -> tuple[Part, ...]:
    """Return two partial results merged as they lie side by side, by what merges any number of them."""
    axis = axes[0]
    pairs = zip(held, parts, strict=True)
    both = [np.concatenate(pair, axis=axis) for pair in pairs]
    along = [2 if a == axis else 1 for a in range(both[0].ndim)]
    return tuple(reducer.merge(both, axes, np.asarray(counts, np.float64).reshape(along)))


class MergedInPairs:
    """A reducer that adds a partial result as it merges any number of them."""

    __slots__ = ()

    def add(
        self: Reducer,
        held: tuple[Part, ...],
        parts: tuple[Part, ...],
        axes: Axes,
        counts: tuple[int, int],
    ) -> tuple[Part, ...]:
        """Merge the partial result of the elements that follow, as :meth:`Reducer.add` has it."""
        return merged_pair(self, held, parts, axes, counts)

    @property
    def adds_in_place(self) -> bool:
        """False: :meth:`add` makes new arrays."""
        return False

    @property
    def adding_copies(self) -> int:
        """The arrays of the size of a partial result that :meth:`add` makes."""
        return MERGING_COPIES


def ufunc_dtype(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """Return ``dtype`` as universal functions take it: of times they refuse one that says the unit."""
    return dtype if dtype.kind in "biufc" else None


def check_reducible(operation: str, reducer: Reducer, dtype: np.dtype[Any], ndim: int) -> None:
    """Check that a reduction takes elements of ``dtype``, by trying it on one, unless they are numbers.

    Raises
    ------
    TypeError
        If it does not: there is no sum of dates, and no least record.
    """
    if dtype.kind in "biufc":
        return
    tried = np.zeros((1,) * ndim, dtype)
    try:
        reducer.finish(reducer.start(tried, tuple(range(ndim)), (0,) * ndim), 1)
    except TypeError:
        raise TypeError(
            f"{operation}() does not take elements of type {dtype}: convert them before, such as by .astype('int64')"
        ) from None


@dataclass(frozen=True, slots=True)
class Accumulate:
    """Sum, product, minimum, maximum, any, all: one ufunc, kept in ``through`` on the way.

    ``mean`` divides by the number of elements in the end. ``first`` is what elements become before, where that changes
    them in another way than becoming ``through`` does. With ``skips_nan``, NaN is left out.
    """

    ufunc: np.ufunc
    through: np.dtype[Any]
    result: np.dtype[Any]
    mean: bool = False
    first: np.dtype[Any] | None = None
    skips_nan: bool = False

    @property
    def partial_dtypes(self) -> tuple[np.dtype[Any], ...]:
        return (self.through,)

    @property
    def result_dtype(self) -> np.dtype[Any]:
        return self.result

    def start(self, block: Part, axes: Axes, origin: tuple[int, ...]) -> tuple[Part, ...]:
        there = ~np.isnan(block) if self.skips_nan else None
        taken = real_part(block, self.result)
        taken = taken if self.first is None else taken.astype(self.first)
        return (reduced_where(self.ufunc, taken, axes, self.through, there),)

    def merge(self, parts: Sequence[Part], axes: Axes, counts: Part) -> tuple[Part, ...]:
        return (reduced_where(self.ufunc, parts[0], axes, self.through),)

    def add(
        self, held: tuple[Part, ...], parts: tuple[Part, ...], axes: Axes, counts: tuple[int, int]
    ) -> tuple[Part, ...]:
        return (self.ufunc(held[0], parts[0], out=held[0]),)

    @property
    def adds_in_place(self) -> bool:
        return True

    @property
    def adding_copies(self) -> int:
        return 0

    def finish(self, parts: Sequence[Part], count: int) -> Part:
        found = np.divide(parts[0], count) if self.mean else parts[0]
        return np.asarray(found).astype(self.result, copy=False)

    def working_bytes(self, elements: int) -> int:
        masks = 2 * elements if self.skips_nan else 0
        return masks + (0 if self.first is None else elements * self.first.itemsize)


def reduced_where(
    ufunc: np.ufunc,
    block: Part,
    axes: Axes,
    through: np.dtype[Any],
    there: Part | None = None,
) -> Part:
    """Return ``block`` reduced along ``axes``, which stay, by elements of ``through``.

    Elements that are not ``there`` (a boolean for each) are left out.
    """
    where: Any = True if there is None else there
    # dtype= casts in small buffers, so that no second block is made.
    dtype = ufunc_dtype(through)
    return np.asarray(ufunc.reduce(block, axis=axes, keepdims=True, dtype=dtype, where=where))


SLAB_BYTES = 768 * 1024
"""The most that deviations take: they are made and added up within a core's own cache."""

DEVIATIONS_BYTES = 8 * 1024 * 1024
"""The most that deviations are counted for: of a block with many short axes, one element of an axis is a large slab."""


@dataclass(frozen=True, slots=True)
class Variance:
    """Mean and sum of squared deviations, merged as of groups of different sizes.

    Chan, Golub, LeVeque: "Algorithms for Computing the Sample Variance: Analysis and Recommendations", The American
    Statistician 37 (1983), equations 2.1; here for any number of groups at once, with n elements in all:
    M2 = sum M2_i + sum n_i (mean_i - mean)^2. Of complex numbers, a square is that of the magnitude.
    """

    result: np.dtype[Any]
    correction: float = 0.0
    root: bool = False
    through: np.dtype[Any] = _DOUBLE

    @property
    def partial_dtypes(self) -> tuple[np.dtype[Any], ...]:
        return (self.through, _DOUBLE)

    @property
    def result_dtype(self) -> np.dtype[Any]:
        return self.result

    def start(self, block: Part, axes: Axes, origin: tuple[int, ...]) -> tuple[Part, ...]:
        count = int(np.prod([block.shape[a] for a in axes], dtype=np.int64))
        mean = np.asarray(np.add.reduce(block, axis=axes, keepdims=True, dtype=self.through))
        if count == 1:
            return mean, nothing_squared(mean)
        mean = mean / max(count, 1)
        return mean, squares_of_deviations(block, mean, axes)

    def merge(self, parts: Sequence[Part], axes: Axes, counts: Part) -> tuple[Part, ...]:
        means, squares = parts
        total = max(float(np.add.reduce(counts, axis=None)), 1.0)
        mean = np.add.reduce(means * (counts / total), axis=axes, keepdims=True)
        between = counts * squared(means - mean)
        return mean, np.add.reduce(squares + between, axis=axes, keepdims=True)

    def add(
        self, held: tuple[Part, ...], parts: tuple[Part, ...], axes: Axes, counts: tuple[int, int]
    ) -> tuple[Part, ...]:
        before, behind = counts
        share = behind / max(before + behind, 1)
        # Slab by slab: what is made on the way would be as large as a partial result.
        for slab in slabs_of(held[0].shape):
            at: Any = (*slab, ...)
            mean, squares, further, more = (part[at] for part in (*held, *parts))
            apart = further - mean
            mean += apart * share
            squares += more
            squares += squared(apart) * (before * share)
        return held

    @property
    def adds_in_place(self) -> bool:
        return True

    @property
    def adding_copies(self) -> int:
        return 0

    def finish(self, parts: Sequence[Part], count: int) -> Part:
        divisor = count - self.correction
        variance = np.divide(parts[1], divisor if divisor > 0 else 0.0)
        found = np.sqrt(variance) if self.root else variance
        return np.asarray(found).astype(self.result, copy=False)

    def working_bytes(self, elements: int) -> int:
        return min(elements * self.through.itemsize, DEVIATIONS_BYTES)


def squared(deviations: Part) -> Part:
    """Return the squared magnitudes of ``deviations``, which it may overwrite."""
    if deviations.dtype.kind != "c":
        return np.asarray(np.square(deviations, out=deviations))
    real, imaginary = np.real(deviations), np.imag(deviations)
    np.square(imaginary, out=imaginary)
    return np.asarray(np.add(np.square(real, out=real), imaginary, out=real))


def nothing_squared(mean: Part) -> Part:
    """Return the squared deviation of one element from itself: 0, or NaN where it is not finite."""
    return squared(np.asarray(np.subtract(mean, mean))).astype(_DOUBLE, copy=False)


def squares_of_deviations(block: Part, mean: Part, axes: Axes, there: Part | None = None) -> Part:
    """Return the sums of squared deviations, slab by slab, so that no second block is made.

    Elements that are not ``there`` (a boolean for each) are left out.
    """
    total = np.zeros(mean.shape)
    if not block.ndim:
        alone = squared(np.asarray(np.subtract(block, mean, dtype=mean.dtype)))
        return alone if there is None or there else np.zeros_like(alone)
    axis, width = slab_of(block.shape, axes, mean.itemsize, SLAB_BYTES)
    for along in slabs(block.shape[axis], width):
        slab = (slice(None),) * axis + (along,)
        own = slab if axis not in axes else (...,)
        deviations = np.subtract(block[slab], mean[own], dtype=mean.dtype)
        counted: Any = True if there is None else there[slab]
        total[own] += np.add.reduce(squared(deviations), axis=axes, keepdims=True, where=counted)
    return total
