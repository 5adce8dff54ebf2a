"""The part of durations that sizes and places of tasks explain: with bytes, periodic, or growing along the stage.

Causes are found by tests of ranks, for which it does not matter how far durations lie apart: one slow attempt proves
nothing. A test returns a z-score: how many standard deviations the figure lies above what chance makes of it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asyncexec.histories.recorded import Seconds

type Numbers = NDArray[np.floating[Any] | np.integer[Any]]

# With fewer tasks, nothing is explained.
_LEAST_TASKS = 20
_MOST_LAG = 64
_LEAST_PERIODS = 4
_SURE_Z = 4.0
# A period explains more than neighbours that are alike if it is that much surer.
_BETTER_Z = 1.0
_LEAST_SPREAD = 0.05

ALIKE_Z = 4.0
"""From here on, it is no chance that the same tasks are long in two stages or runs."""


def ranks(values: Numbers) -> NDArray[np.float64]:
    """Return the ranks from 0 of values; equal ones share the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    means: NDArray[np.float64] = (np.cumsum(count) - count / 2.0 - 0.5)[place]
    return means


def repeats(rank: Numbers, lag: int) -> float:
    """Return whether values are like those ``lag`` places before (A. Wald, J. Wolfowitz, 1943, on ranks)."""
    return together(rank[:-lag], rank[lag:]) if len(rank) >= lag + 3 else 0.0


def together(first: Numbers, second: Numbers) -> float:
    """Return whether two figures of the same things rise together (C. Spearman, 1904)."""
    return rank_correlation(first, second) * math.sqrt(max(len(first) - 1, 0))


def rank_correlation(first: Numbers, second: Numbers) -> float:
    """Return the correlation of the ranks of two figures; 0.0 where one does not vary."""
    one, other = ranks(first), ranks(second)
    return float(np.corrcoef(one, other)[0, 1]) if one.std() and other.std() else 0.0


def known_in_both(one: Seconds, other: Seconds) -> tuple[Seconds, Seconds]:
    """Return two figures by task, of those tasks only for which both are known (not NaN)."""
    both = np.isfinite(one) & np.isfinite(other)
    return one[both], other[both]


def explained(seconds: Seconds, nbytes: Numbers, shape: tuple[int, ...]) -> Seconds:
    """Return what a stage's tasks are expected to take by their sizes and places, shape (tasks,), float64.

    Parameters
    ----------
    seconds : array of float64, shape (tasks,)
        By flat index; NaN where unknown.
    nbytes : array, shape (tasks,)
        Read and written by each.
    shape : tuple of int
        The index space of the stage, along whose axes there may be periods.
    """
    known = np.isfinite(seconds)
    middle = float(np.median(seconds[known]))
    fit = np.zeros(len(seconds))
    if known.sum() >= _LEAST_TASKS:
        # Places of unknown ones are taken by ordinary ones.
        logs = np.log(np.where(known, seconds, middle) / middle)
        # Each cause explains what is left by those before it: most surely known first.
        fit += _by_size(logs, nbytes)
        fit += _by_period(logs - fit, shape)
        fit += _by_neighbours(logs - fit)
    return middle * np.exp(fit)


def _by_size(left: Seconds, nbytes: Numbers) -> Seconds | float:
    size = np.log(np.maximum(nbytes, 1.0))
    if float(size.std()) < _LEAST_SPREAD or together(size, left) < _SURE_Z:
        return 0.0
    away = size - np.median(size)
    found: Seconds = float((away * left).sum() / (away * away).sum()) * away
    return found


def _by_period(left: Seconds, shape: tuple[int, ...]) -> Seconds | float:
    count, rank = len(left), ranks(left)
    strides = {math.prod(shape[axis:]) for axis in range(1, len(shape))}
    lags = {*range(2, _MOST_LAG + 1), *strides} - {0, 1}
    known = [(repeats(rank, lag), -lag) for lag in lags if lag <= count // _LEAST_PERIODS]
    sure, minus_lag = max(known, default=(0.0, -1))
    if sure < max(_SURE_Z + 1.0, repeats(rank, 1) + _BETTER_Z):
        return 0.0
    phase = np.arange(count) % -minus_lag
    medians: Seconds = np.array([np.median(left[phase == place]) for place in range(-minus_lag)])
    return medians[phase]


def _by_neighbours(left: Seconds) -> Seconds | float:
    """Return running medians, which leave out what is slow alone."""
    if repeats(ranks(left), 1) < _SURE_Z:
        return 0.0
    reach = max(2, round(math.sqrt(len(left)) / 2))
    padded = np.pad(left, reach, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    found: Seconds = np.median(windows, axis=1)
    return found
