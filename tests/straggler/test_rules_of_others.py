"""The rules that ours is compared with do what their papers and projects say."""

import pytest

from asyncexec.errors import OptionError
from asyncexec.straggler.cubed import Cubed
from asyncexec.straggler.late import Late
from asyncexec.straggler.names import as_rule
from asyncexec.straggler.rule import Rule, StageView, steady
from asyncexec.straggler.spark import Spark
from asyncexec.straggler.statistics import DurationStatistics


def view(durations=(), **changes) -> StageView:
    figures = dict(
        tasks=100,
        completed=len(durations),
        draining=False,
        slots=20,
        running_backups=0,
        cancels=True,
        metered=False,
        statistics=DurationStatistics(durations),
        completions=DurationStatistics(durations),
    )
    return StageView(**figures | changes)


@pytest.mark.parametrize("name", ["cubed", "spark", "late"])
def test_they_are_rules_by_name(name):
    rule = as_rule(name)
    assert isinstance(rule, Rule)
    assert rule.name == name


def test_cubed_waits_for_half_of_at_least_ten_tasks():
    late = dict(elapsed_seconds=1e6)
    assert Cubed().threshold(view([1.0] * 49, **late)) is None
    assert Cubed().threshold(view([1.0] * 50, **late)) == 0.0
    assert Cubed().threshold(view([1.0] * 9, tasks=9, **late)) is None
    assert Cubed().threshold(view([1.0] * 5, tasks=10, **late)) == 0.0


def test_cubed_backs_up_everything_once_three_times_the_median_since_submission_has_passed():
    ends = DurationStatistics([2.0] * 60)
    assert Cubed().threshold(view([0.1] * 60, completions=ends, elapsed_seconds=5.9)) is None
    assert Cubed().threshold(view([0.1] * 60, completions=ends, elapsed_seconds=6.2)) == 0.0
    assert Cubed().copies(view()) == 2


def test_spark_waits_for_the_quantile_and_multiplies_the_median():
    rule = Spark(quantile=0.75, multiplier=1.5)
    assert rule.threshold(view([2.0] * 74)) is None
    assert rule.threshold(view([2.0] * 75)) == pytest.approx(3.0, rel=0.02)
    assert Spark().threshold(view([1e-4] * 95)) == 0.1
    efficient = Spark(quantile=0.75, multiplier=1.5, efficiency=True)
    assert efficient.threshold(view([2.0] * 75)) == pytest.approx(6.0, rel=0.02)


def test_late_backs_up_the_slowest_quarter_when_nothing_is_queued_a_tenth_of_the_slots_at_once():
    durations = [1.0] * 60 + [4.0] * 20
    assert Late().threshold(view(durations)) is None
    assert Late().threshold(view(durations, draining=True)) == pytest.approx(1.0, rel=0.02)
    slow = Late(slow_task=0.1)
    assert slow.threshold(view(durations, draining=True)) == pytest.approx(4.0, rel=0.02)
    assert Late().backups(view(slots=100)) == 10
    assert Late().backups(view(slots=3)) == 1
    assert Late(floor_seconds=9.0).threshold(view(durations, draining=True)) == 9.0


@pytest.mark.parametrize(
    "make, settings",
    [
        (Spark, {"quantile": 1.1}),
        (Spark, {"multiplier": 0.5}),
        (Spark, {"duration_factor": float("nan")}),
        (Late, {"cap": 0.0}),
        (Late, {"slow_task": 1.0}),
        (Late, {"floor_seconds": -1.0}),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(make, settings):
    with pytest.raises(OptionError, match=next(iter(settings))):
        make(**settings)


def test_a_rule_that_looks_at_the_clock_is_asked_again_and_others_are_not():
    assert steady(as_rule("two_phase"))
    assert steady(Spark())
    assert steady(Late())
    assert not steady(Cubed())
