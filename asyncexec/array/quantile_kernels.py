"""Quantiles of sorted lines, on workers: which elements they lie between, and where.

The definitions are those of R. J. Hyndman and Y. Fan, "Sample quantiles in statistical packages", The American
Statistician 50 (1996), and those that NumPy has in addition, under NumPy's names. ``"median"`` is one more: the mean of
the two elements in the middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asyncexec.plan.box import Index

type Block = NDArray[Any]

MEDIAN = "median"

_PLOTTING = {
    "interpolated_inverted_cdf": (0.0, 1.0),
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "median_unbiased": (1 / 3.0, 1 / 3.0),
    "normal_unbiased": (3 / 8.0, 3 / 8.0),
}
"""The parameters alpha and beta of continuous methods."""

METHODS = (
    "inverted_cdf",
    "averaged_inverted_cdf",
    "closest_observation",
    *_PLOTTING,
    "linear",
    "lower",
    "higher",
    "midpoint",
    "nearest",
)


class Between(NamedTuple):
    """The numbers of the elements of sorted lines that quantiles lie between, and how far between them (0 to 1)."""

    low: Block
    high: Block
    share: Block


def between(method: str, counts: Block, q: Block) -> Between:
    """Return the places of the quantiles ``q`` of lines of ``counts`` elements, after broadcasting."""
    last = np.maximum(counts - 1, 0)
    if method == MEDIAN:
        low, high = np.broadcast_arrays(last // 2, np.minimum(counts // 2, last), q)[:2]
        return Between(low, high, np.full(low.shape, 0.5))
    # In the precision of q, as NumPy's.
    virtual = _virtual(method, counts.astype(q.dtype), q)
    low = np.floor(virtual)
    share = virtual - low
    if method == "averaged_inverted_cdf":
        share = np.where(share == 0, 0.5, 1.0)
    high = np.where((virtual < 0) | (virtual >= last), low, low + 1)
    low, high = (np.clip(each, 0, last).astype(np.int64) for each in (low, high))
    return Between(low, high, share)


def _virtual(method: str, counts: Block, q: Block) -> Block:
    """Return the places as floating numbers, those of methods that choose one element as whole ones."""
    last = counts - 1
    choices: dict[str, Any] = {"lower": np.floor, "higher": np.ceil, "nearest": np.around}
    found: Block
    if method in choices:
        found = choices[method](last * q)
    elif method == "midpoint":
        found = 0.5 * (np.floor(last * q) + np.ceil(last * q))
    elif method == "linear":
        found = last * q
    elif method == "averaged_inverted_cdf":
        found = counts * q - 1
    elif method == "inverted_cdf":
        found = np.ceil(counts * q - 1)
    elif method == "closest_observation":
        # Halves go to the even one, counted from 1.
        place = counts * q - 1.5
        below = np.floor(place)
        found = np.where((place == below) & (below % 2 == 1), below, below + 1)
    else:
        alpha, beta = _PLOTTING[method]
        found = counts * q + (alpha + q * (1 - alpha - beta)) - 1
    return found


def combined(method: str, low: Block, high: Block, share: Block) -> Block:
    """Return what lies between ``low`` and ``high``; of methods that choose one element, that element."""
    if method == MEDIAN:
        return np.asarray(np.mean(np.stack([low, high]), axis=0))
    if method in ("lower", "higher", "nearest", "inverted_cdf", "closest_observation"):
        return low
    # From the nearer of the two, so that the result is never beyond it.
    low, high = _wide(low), _wide(high)
    apart = np.subtract(high, low)
    return np.asarray(np.where(share >= 0.5, high - apart * (1 - share), low + apart * share))


def _wide(block: Block) -> Block:
    """Return ``block`` so that differences do not overflow, which NumPy's do for short integers."""
    return block.astype(np.float64) if block.dtype.kind == "i" and block.itemsize < 8 else block


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Return quantiles of whole lines, one after another along a new first axis.

    Attributes
    ----------
    method : str
    q : array
        Of one axis.
    weak : bool
        Whether the elements' type alone decides about that of the result, as of a Python number.
    axes : tuple of int
        The axes of the block that a line has.
    dtype : dtype
        Of the result.
    without_nan : bool
        Whether NaN are left out; else a line with one has NaN as its quantiles.
    """

    method: str
    q: Block
    weak: bool
    axes: tuple[int, ...]
    dtype: np.dtype[Any]
    without_nan: bool

    def __call__(self, block: Block) -> Block:
        if self.without_nan:
            return self._of_numbers(block).astype(self.dtype, copy=False)
        found: Any
        if self.dtype.kind == "f":
            block = _wide(block)
        if self.method == MEDIAN:
            found = np.median(block, axis=self.axes)[np.newaxis]
        elif self.weak:
            method: Any = self.method
            found = np.quantile(block, float(self.q[0]), axis=self.axes, method=method)[np.newaxis]
        else:
            method = self.method
            found = np.quantile(block, self.q, axis=self.axes, method=method)
        return np.asarray(found).astype(self.dtype, copy=False)

    def _of_numbers(self, block: Block) -> Block:
        others = [a for a in range(block.ndim) if a not in self.axes]
        shape = tuple(block.shape[a] for a in others)
        lines = np.sort(block.transpose(*others, *self.axes).reshape((*shape, -1)), axis=-1)
        counts = np.count_nonzero(~np.isnan(lines), axis=-1)
        places = between(self.method, counts, self._q(len(shape)))
        low, high = (
            np.moveaxis(np.take_along_axis(lines, np.moveaxis(each, 0, -1), -1), -1, 0)
            for each in (places.low, places.high)
        )
        return combined(self.method, low, high, places.share)

    def _q(self, ndim: int) -> Block:
        return self.q.reshape((-1,) + (1,) * ndim)


@dataclass(frozen=True, slots=True)
class PickPlaces:
    """Pick, of a chunk of sorted lines, the elements that quantiles lie between: all low ones, then all high ones.

    Zero stands for those that lie in other chunks, so that the sum over chunks is all of them.
    """

    method: str
    q: Block
    length: int

    def __call__(self, lines: Block, counts: Block, block_id: Index) -> Block:
        places = between(
            self.method, counts[..., 0], self.q.reshape((-1,) + (1,) * (lines.ndim - 1))
        )
        wanted = np.concatenate([places.low, places.high]) - block_id[-1] * self.length
        here = (wanted >= 0) & (wanted < lines.shape[-1])
        at = np.moveaxis(np.where(here, wanted, 0), 0, -1)
        found = np.moveaxis(np.take_along_axis(lines, at, -1), -1, 0)
        return np.where(here, found, lines.dtype.type(0))[..., np.newaxis]


def _missing(dtype: np.dtype[Any]) -> Any:
    return np.array("NaT" if dtype.kind in "mM" else np.nan, dtype)[()]


@dataclass(frozen=True, slots=True)
class CombinePicked:
    """Return quantiles from the elements they lie between; ``extent`` is the length of a line.

    Elements are ``times`` by their numbers, where that is given.
    """

    method: str
    q: Block
    extent: int
    dtype: np.dtype[Any]
    without_nan: bool
    times: np.dtype[Any] | None = None

    def __call__(self, picked: Block, counts: Block) -> Block:
        n = counts[..., 0]
        elements = picked if self.times is None else picked.view(self.times)
        low, high = np.split(elements, 2)
        q = self.q.reshape((-1,) + (1,) * n.ndim)
        found = combined(self.method, low, high, between(self.method, n, q).share)
        if self.dtype.kind in "fcmM":
            none = n == 0 if self.without_nan else n < self.extent
            found = np.where(none, _missing(self.dtype), found)
        return np.asarray(found).astype(self.dtype, copy=False)
