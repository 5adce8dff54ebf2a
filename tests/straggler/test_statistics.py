"""Running statistics of durations, against NumPy's over all of them."""

import math
import sys

import numpy as np
import pytest
from hypothesis import given, strategies as st

from asyncexec.straggler.statistics import RELATIVE_ERROR, DurationStatistics

durations = st.floats(1e-6, 2.6e6)
fractions = st.floats(0, 1)


def close(found, exact):
    return abs(found - exact) <= RELATIVE_ERROR * 1.001 * exact


@given(st.lists(durations, min_size=1), fractions)
def test_a_quantile_is_within_a_hundredth_of_the_exact_one(values, q):
    exact = sorted(values)[math.floor(q * (len(values) - 1))]
    assert close(DurationStatistics(values).quantile(q), exact)


@pytest.mark.parametrize("kind", ["lognormal", "pareto", "uniform", "constant"])
def test_quantiles_of_many_durations_agree_with_numpy(kind, rng):
    n = 20_000
    values = {
        "lognormal": lambda: rng.lognormal(0, 1.5, n),
        "pareto": lambda: 1 + rng.pareto(1.1, n).clip(max=100),
        "uniform": lambda: rng.uniform(0.01, 5, n),
        "constant": lambda: np.full(n, 0.37),
    }[kind]()
    statistics = DurationStatistics(values.tolist())
    for q in (0.0, 0.01, 0.25, 0.5, 0.75, 0.99, 0.999, 1.0):
        assert close(statistics.quantile(q), np.quantile(values, q, method="lower"))
    assert statistics.count == n
    assert statistics.mean_seconds == pytest.approx(values.mean())


@given(st.lists(durations, min_size=1), st.lists(fractions, min_size=2))
def test_quantiles_grow_with_the_fraction_and_stay_between_the_extremes(values, qs):
    statistics = DurationStatistics(values)
    found = [statistics.quantile(q) for q in sorted(qs)]
    assert found == sorted(found)
    assert min(values) <= found[0]
    assert found[-1] <= max(values)


@given(st.lists(durations), st.lists(durations), fractions)
def test_merging_equals_adding_everything_to_one(first, second, q):
    merged = DurationStatistics(first)
    merged.merge(DurationStatistics(second))
    together = DurationStatistics(first + second)
    assert merged.count == together.count
    assert merged.total_seconds == pytest.approx(together.total_seconds)
    assert merged.least_seconds == together.least_seconds
    assert merged.quantile(q) == together.quantile(q) or (not first and not second)


@given(st.lists(durations, min_size=1, max_size=600), st.integers(1, 50))
def test_asking_in_between_changes_nothing(values, every):
    asked, silent = DurationStatistics(), DurationStatistics(values)
    for n, value in enumerate(values):
        asked.add(value)
        if n % every == 0:
            asked.quantile(0.5)
    assert asked.quantile(0.5) == silent.quantile(0.5)
    assert asked.count == silent.count


@given(st.sampled_from([0.0, -1.0, math.nan, -math.inf]))
def test_clocks_that_go_backwards_count_as_no_time(seconds):
    statistics = DurationStatistics([seconds, 2.0])
    assert statistics.count == 2
    assert statistics.quantile(0.0) < 1.1e-6
    assert statistics.total_seconds == 2.0


@pytest.mark.parametrize("seconds", [1e-9, 1e7, math.inf])
def test_durations_beyond_the_range_are_still_counted(seconds):
    statistics = DurationStatistics([seconds])
    assert statistics.count == 1
    assert statistics.quantile(0.5) == seconds


def test_nothing_has_no_quantiles():
    statistics = DurationStatistics()
    assert statistics.count == 0
    assert math.isnan(statistics.quantile(0.5))
    assert math.isnan(statistics.mean_seconds)


def test_memory_does_not_grow_with_the_number(rng):
    statistics = DurationStatistics(rng.lognormal(0, 2, 100_000).tolist())
    held = sum(sys.getsizeof(getattr(statistics, name)) for name in statistics.__slots__)
    assert held < 32 * 1024
