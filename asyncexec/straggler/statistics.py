"""Running statistics of durations: O(1) for each, quantiles within 1%, some KB whatever their number.

A histogram whose bucket bounds grow by a constant factor, after C. Masson, J. E. Rim, H. K. Lee, "DDSketch: a fast and
fully-mergeable quantile sketch with relative-error guarantees", VLDB 2019.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

RELATIVE_ERROR = 0.01
"""The relative error of a quantile, for durations between a microsecond and a month."""

_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_PER_LOG = 1 / math.log(_GAMMA)
_LEAST_SECONDS = 1e-6
_GREATEST_SECONDS = 2.6e6
_OFFSET = math.floor(math.log(_LEAST_SECONDS) * _PER_LOG)
_BUCKETS = math.ceil(math.log(_GREATEST_SECONDS) * _PER_LOG) - _OFFSET + 1
# Times a bucket's lower bound: the value whose relative error is least for all durations in the bucket.
_MIDDLE = 2 * _GAMMA / (1 + _GAMMA)
# Durations are counted this many at a time: a tenth of the cost of one at a time.
_BATCH = 256


def bucket_seconds(places: NDArray[np.int64], merged: int) -> NDArray[np.float64]:
    """Return the middles of buckets, of which ``merged`` make one, by their places in a histogram."""
    middles: NDArray[np.float64] = np.exp((merged * (places + 0.5) + _OFFSET) / _PER_LOG)
    return middles


class DurationStatistics:
    """Durations in seconds: count, mean, extremes, quantiles.

    >>> from asyncexec.straggler import DurationStatistics
    >>> statistics = DurationStatistics(range(1, 101))
    >>> statistics.count, statistics.mean_seconds, round(statistics.quantile(0.5))
    (100, 50.5, 50)
    """

    __slots__ = ("_buckets", "_counted", "_greatest", "_known", "_least", "_pending", "_total")

    def __init__(self, durations: Iterable[float] = ()) -> None:
        self._pending: list[float] = []
        self._buckets: NDArray[np.int64] | None = None
        self._counted = 0
        self._total = 0.0
        self._least = math.inf
        self._greatest = 0.0
        # Quantiles by q until something is added: rules need the same ones several times in between.
        self._known: dict[float, float] = {}
        for seconds in durations:
            self.add(seconds)

    def add(self, seconds: float) -> None:
        """Add a duration; one that is not above 0 (nan too) counts as 0."""
        pending = self._pending
        pending.append(seconds)
        if len(pending) >= _BATCH:
            self._count_pending()

    def merge(self, other: DurationStatistics) -> None:
        """Add everything that was added to ``other``."""
        if not other._counted:  # As of a stage of few tasks: theirs are counted with others.
            self._pending += other._pending
            if len(self._pending) >= _BATCH:
                self._count_pending()
            self._known.clear()
            return
        theirs = other._counts()
        mine = self._counts()
        mine += theirs
        self._counted += other._counted
        self._total += other._total
        self._least = min(self._least, other._least)
        self._greatest = max(self._greatest, other._greatest)
        self._known.clear()

    @property
    def count(self) -> int:
        """The number of durations that were added."""
        return self._counted + len(self._pending)

    @property
    def total_seconds(self) -> float:
        """Their sum."""
        self._count_pending()
        return self._total

    @property
    def mean_seconds(self) -> float:
        """Their mean; nan where there is none."""
        return self.total_seconds / self.count if self.count else math.nan

    @property
    def least_seconds(self) -> float:
        """The shortest; infinity where there is none."""
        self._count_pending()
        return self._least

    def quantile(self, q: float) -> float:
        """Return the quantile ``q`` (0 to 1) of the durations; nan where there are none.

        It is the duration of rank ``floor(q * (count - 1))``, within the relative error.
        """
        if not self.count:
            return math.nan
        if self._pending:
            self._count_pending()
        known = self._known.get(q)
        if known is None:
            known = self._known[q] = self._find(math.floor(q * (self._counted - 1)))
        return known

    def share_below(self, seconds: float) -> float:
        """Return the share of durations below ``seconds``, within the relative error; nan where there are none."""
        if not self.count:
            return math.nan
        counts = self._counts()
        clipped = min(max(seconds, _LEAST_SECONDS), _GREATEST_SECONDS)
        bucket = math.floor(math.log(clipped) * _PER_LOG) - _OFFSET
        return float(counts[:bucket].sum()) / self._counted

    def histogram(self, merged: int) -> NDArray[np.int64]:
        """Return the number of durations in every ``merged`` neighbouring buckets (see :func:`bucket_seconds`)."""
        padded = np.pad(self._counts(), (0, -_BUCKETS % merged))
        merged_counts: NDArray[np.int64] = padded.reshape(-1, merged).sum(axis=1)
        return merged_counts

    def _find(self, rank: int) -> float:
        bucket = int(np.searchsorted(np.cumsum(self._counts()), rank, side="right"))
        estimate = _MIDDLE * math.exp((bucket + _OFFSET) / _PER_LOG)
        # The ends are known exactly; a bucket's middle may lie beyond them.
        return min(max(estimate, self._least), self._greatest)

    def _counts(self) -> NDArray[np.int64]:
        self._count_pending()
        if self._buckets is None:
            self._buckets = np.zeros(_BUCKETS, np.int64)
        return self._buckets

    def _count_pending(self) -> None:
        if not self._pending:
            return
        seconds = np.array(self._pending, np.float64)
        self._pending.clear()
        self._known.clear()
        seconds = np.where(seconds > 0.0, seconds, 0.0)
        self._counted += len(seconds)
        self._total += float(seconds.sum())
        self._least = min(self._least, float(seconds.min()))
        self._greatest = max(self._greatest, float(seconds.max()))
        buckets = np.floor(
            np.log(np.clip(seconds, _LEAST_SECONDS, _GREATEST_SECONDS)) * _PER_LOG
        ).astype(np.int64)
        counts = self._counts()
        counts += np.bincount(buckets - _OFFSET, minlength=_BUCKETS)
