"""The share of attempts that run longer than a time, also where some were stopped before their end or still run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def surviving(
    ended: NDArray[np.float64], every: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the times at which attempts ended, ascending, and the share that runs longer than each of them.

    It is the estimate of E. L. Kaplan, P. Meier, "Nonparametric estimation from incomplete observations", 1958.

    >>> from asyncexec.straggler.survival import surviving
    >>> times, shares = surviving(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0, 4.0]))
    >>> times.tolist(), shares.round(2).tolist()  # the one of 3 s was stopped
    ([1.0, 2.0, 4.0], [0.75, 0.5, 0.0])

    Parameters
    ----------
    ended : array, shape (ended,)
        The durations of those that ended.
    every : array, shape (attempts,)
        Theirs, and the ages of those that were stopped or run.
    """
    times, counts = np.unique(ended, return_counts=True)
    at_risk = len(every) - np.searchsorted(np.sort(every), times)
    return times, np.cumprod(1.0 - counts / at_risk, dtype=np.float64)
