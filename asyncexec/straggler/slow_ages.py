"""Ages at which an attempt is slow, by how long others of its stage have taken: beyond the bulk, apart, and rare."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncexec.straggler.statistics import DurationStatistics

# Hardly any task is so many times the median by nature.
_FAR = 3.3


def bulk(statistics: DurationStatistics) -> float:
    """Return the age by which an ordinary attempt has ended, most likely."""
    return max(early(statistics), statistics.quantile(0.75))


def early(statistics: DurationStatistics) -> float:
    """Return the age for the first few backups: early, so that it is known in time whether they win."""
    return min(1.25 * statistics.quantile(0.5), 1.1 * statistics.quantile(0.9))


def apart(statistics: DurationStatistics) -> float:
    """Return an age that sets a task apart from those that have ended, however widely their durations spread."""
    median = statistics.quantile(0.5)
    spread = statistics.quantile(0.75) / median if median > 0 else 1.0
    # Of a lognormal distribution, the exponent 5.5 leaves one in 10,000 beyond. The spread of a few durations may be
    # far below that of all.
    far = median * math.pow(spread, 5.5 + 35.0 / statistics.count)
    return max(1.1 * statistics.quantile(0.99), far)


def surprising(statistics: DurationStatistics) -> float:
    """Return an age that hardly any task reaches by nature."""
    far = max(_FAR * statistics.quantile(0.5), 1.5 * statistics.quantile(0.99))
    return max(far, apart(statistics))
