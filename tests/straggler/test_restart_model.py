"""At which age a backup saves work."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from asyncexec.straggler.restart_model import RestartModel
from asyncexec.straggler.statistics import DurationStatistics

NONE = DurationStatistics()


def slow_attempts(rng, count=5_000, share=0.02):
    """Most take 10 s, some 2 to 10 times as long."""
    return np.where(rng.random(count) < share, rng.uniform(20, 100, count), 10.0)


def pareto(rng, exponent, count=5_000):
    return 10.0 * np.minimum((1 - rng.random(count)) ** (-1 / exponent), 100.0)


def best_age(durations, *, hope=1.0, stopped=()):
    model = RestartModel()
    for seconds in stopped:
        model.stopped.add(seconds)
    return model.optimal_restart_age(DurationStatistics(np.asarray(durations).tolist()), hope=hope)


def work_of(durations, age, rng):
    """The mean work of a task whose backup is sent at an age and starts one task later, by trying it out."""
    first, second = rng.permutation(durations), rng.permutation(durations)
    start = age + durations.mean()
    both = np.minimum(first - start, second)
    return np.where(first > start, start + 2 * both, first).mean()


def test_a_few_slow_attempts_get_a_backup_soon_after_the_bulk(rng):
    assert 10 < best_age(slow_attempts(rng)) < 13


@pytest.mark.parametrize("exponent", [1.1, 1.5])
def test_the_age_found_for_a_heavy_tail_saves_nearly_as_much_work_as_any_does(exponent, rng):
    durations = pareto(rng, exponent)
    age = best_age(durations)
    ages = np.quantile(durations, np.linspace(0.75, 0.999, 40))
    least = min(work_of(durations, a, rng) for a in ages)
    assert work_of(durations, age, rng) < durations.mean() * 0.95
    assert work_of(durations, age, rng) < 1.05 * least


@pytest.mark.parametrize("kind", ["constant", "narrow", "wide", "uniform"])
def test_where_no_tail_is_heavy_no_age_is_found(kind, rng):
    durations = {
        "constant": lambda: np.full(1_000, 10.0),
        "narrow": lambda: 10 * rng.lognormal(0, 0.15, 1_000),
        "wide": lambda: 10 * rng.lognormal(0, 0.5, 1_000),
        "uniform": lambda: rng.uniform(1, 20, 1_000),
    }[kind]()
    assert best_age(durations) is None


def test_nothing_is_said_before_there_is_evidence(rng):
    assert best_age([*[10.0] * 25, *[100.0] * 4]) is None
    assert best_age([*[10.0] * 26, *[100.0] * 4]) is not None


def test_backups_that_succeed_do_not_hide_the_tail_they_are_for(rng):
    """All that ran past 35 s were stopped there: that they are never seen to end is no sign that none would run on."""
    durations = slow_attempts(rng)
    seen = durations[durations <= 35]
    assert best_age(seen) is None
    stopped = np.full((durations > 35).sum(), 35.0)
    assert 10 < best_age(seen, stopped=stopped) < 13


def test_where_second_attempts_take_as_long_no_age_is_found(rng):
    durations = pareto(rng, 1.1)
    assert best_age(durations, hope=1.0) is not None
    assert best_age(durations, hope=0.0) is None


def test_what_was_found_holds_until_a_twentieth_more_is_known():
    model = RestartModel()
    complete = DurationStatistics([10.0] * 980 + [100.0] * 20)
    age = model.optimal_restart_age(complete, hope=1.0)
    complete.merge(DurationStatistics([20.0] * 50))
    assert model.optimal_restart_age(complete, hope=1.0) is age
    complete.merge(DurationStatistics([20.0] * 10_000))
    assert model.optimal_restart_age(complete, hope=1.0) != age


@given(
    st.lists(st.floats(1e-3, 1e4), max_size=60),
    st.lists(st.floats(1e-3, 1e4), max_size=60),
    st.floats(0, 1),
)
def test_an_age_is_never_below_the_third_quarter_of_what_ended(ended, stopped, hope):
    age = best_age(ended, hope=hope, stopped=stopped)
    if age is not None:
        # Those that were stopped would have run for longer still: they move quantiles up.
        assert age >= np.quantile([*ended, *stopped], 0.75, method="lower") * 1.04


@pytest.mark.parametrize("factor", [1e-3, 7.0, 1e3])
def test_in_other_units_the_age_is_the_same(factor, rng):
    durations = pareto(rng, 1.3)
    assert best_age(factor * durations) == pytest.approx(factor * best_age(durations), rel=0.2)


def test_nothing_known_is_no_age():
    assert RestartModel().optimal_restart_age(NONE, hope=1.0) is None
