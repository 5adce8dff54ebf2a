"""Rules by which the number of bins of a histogram follows from the elements, by NumPy's names."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from asyncexec.array import statistical
from asyncexec.array.array import Array
from asyncexec.array.evaluation import evaluated
from asyncexec.array.quantiles import percentile

RULES = ("auto", "doane", "fd", "rice", "scott", "sqrt", "sturges")


def number_of_bins(rule: str, x: Array, least: Any, greatest: Any, operation: str) -> int:
    """Return how many bins ``rule`` makes between ``least`` and ``greatest``; statistics it needs are computed now."""
    apart = float(greatest) - float(least)
    width = _width(rule, x, apart, operation)
    if not width:
        return 1
    if x.dtype.kind in "iu":
        width = max(width, 1.0)
    return max(1, math.ceil(apart / width))


def _width(rule: str, x: Array, apart: float, operation: str) -> float:
    n = float(x.size)
    by_size = {
        "sqrt": apart / math.sqrt(n),
        "rice": apart / (2.0 * math.cbrt(n)),
        "sturges": apart / (math.log2(n) + 1.0),
    }
    if rule in by_size:
        return by_size[rule]
    if rule == "scott":
        deviation = float(evaluated(statistical.std(x), operation))
        return math.cbrt(24.0 * math.sqrt(math.pi) / n) * deviation
    if rule == "doane":
        return _doane(x, apart, operation)
    upper, lower = evaluated(percentile(x, [75, 25]), operation)
    quartiles = 2.0 * float(upper - lower) / math.cbrt(n)
    if rule == "fd":
        return quartiles
    return min(max(quartiles, by_size["sqrt"] / 2), by_size["sturges"])


def _doane(x: Array, apart: float, operation: str) -> float:
    n = x.size
    deviation = float(evaluated(statistical.std(x), operation)) if n > 2 else 0.0
    if not deviation:
        return 0.0
    cubes = ((x - statistical.mean(x)) / deviation) ** 3
    skewness = abs(float(evaluated(statistical.mean(cubes), operation)))
    error = math.sqrt(6.0 * (n - 2) / ((n + 1.0) * (n + 3)))
    return apart / float(1.0 + np.log2(n) + np.log2(1.0 + skewness / error))
