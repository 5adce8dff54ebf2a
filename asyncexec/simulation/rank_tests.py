"""Tests of ranks, for which it does not matter how far durations lie apart: one slow attempt proves nothing.

Each returns a z-score: how many standard deviations the figure lies above what chance makes of it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

type Numbers = NDArray[np.floating[Any] | np.integer[Any]]


def ranks(values: Numbers) -> NDArray[np.float64]:
    """Return the ranks from 0 of values; equal ones share the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    means: NDArray[np.float64] = (last - count / 2.0 - 0.5)[place]
    return means


def greater(rank: Numbers, chosen: NDArray[np.bool_]) -> float:
    """Return whether the chosen ones are greater than the others (H. Mann, D. Whitney, 1947)."""
    count = len(rank)
    among = int(chosen.sum())
    others = count - among
    if not among or not others:
        return 0.0
    excess = float(rank[chosen].sum()) - among * (count - 1) / 2.0
    return excess / math.sqrt(among * others * (count + 1) / 12.0)


def repeats(rank: Numbers, lag: int) -> float:
    """Return whether values are like those ``lag`` places before (A. Wald, J. Wolfowitz, 1943, on ranks)."""
    count = len(rank) - lag
    if count < 3:
        return 0.0
    return together(rank[:-lag], rank[lag:])


def together(first: Numbers, second: Numbers) -> float:
    """Return whether two figures of the same things rise together (C. Spearman, 1904)."""
    return correlation(ranks(first), ranks(second)) * math.sqrt(max(len(first) - 1, 0))


def correlation(first: Numbers, second: Numbers) -> float:
    """Return the correlation of two figures; 0.0 where one does not vary."""
    one, other = first - first.mean(), second - second.mean()
    scale = math.sqrt(float((one * one).sum() * (other * other).sum()))
    return float((one * other).sum()) / scale if scale else 0.0
