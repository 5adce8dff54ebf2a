"""The part of durations that places and sizes of tasks explain: growing along the stage, periodic, or with bytes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from asyncexec.simulation.rank_tests import ranks, repeats, together

# With fewer tasks, nothing is explained.
_LEAST_TASKS = 20
_MOST_LAG = 64
_LEAST_PERIODS = 4
_SURE_Z = 4.0
# A period explains more than neighbours that are alike if it is that much surer.
_BETTER_Z = 1.0
_LEAST_SPREAD = 0.05


def explained(
    seconds: NDArray[np.float64], nbytes: NDArray[np.float64], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return what a stage's tasks are expected to take by their sizes and places, shape (tasks,), float64.

    Parameters
    ----------
    seconds : array of float64, shape (tasks,)
        By flat index; NaN where unknown.
    nbytes : array of float64, shape (tasks,)
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
        fit += _by_size(logs, nbytes)
        fit += _by_period(logs - fit, shape)
        fit += _by_neighbours(logs - fit)
    return middle * np.exp(fit)


def _by_size(left: NDArray[np.float64], nbytes: NDArray[np.float64]) -> NDArray[np.float64]:
    size = np.log(np.maximum(nbytes, 1.0))
    if float(size.std()) < _LEAST_SPREAD or together(size, left) < _SURE_Z:
        return np.zeros_like(left)
    away = size - np.median(size)
    slope = float((away * left).sum() / (away * away).sum())
    found: NDArray[np.float64] = slope * away
    return found


def _by_period(left: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    count, rank = len(left), ranks(left)
    strides = {math.prod(shape[axis:]) for axis in range(1, len(shape))}
    lags = {*range(2, _MOST_LAG + 1), *strides} - {0, 1}
    known = [(repeats(rank, lag), -lag) for lag in lags if lag <= count // _LEAST_PERIODS]
    sure, minus_lag = max(known, default=(0.0, -1))
    if sure < max(_SURE_Z + 1.0, repeats(rank, 1) + _BETTER_Z):
        return np.zeros_like(left)
    phase = np.arange(count) % -minus_lag
    medians = np.array([np.median(left[phase == place]) for place in range(-minus_lag)])
    found: NDArray[np.float64] = medians[phase]
    return found


def _by_neighbours(left: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return running medians, which leave out what is slow alone."""
    if repeats(ranks(left), 1) < _SURE_Z:
        return np.zeros_like(left)
    reach = max(2, round(math.sqrt(len(left)) / 2))
    padded = np.pad(left, reach, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    found: NDArray[np.float64] = np.median(windows, axis=1)
    return found
