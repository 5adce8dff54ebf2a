"""When a running task gets a backup."""

import math
from dataclasses import replace

import pytest
from hypothesis import assume, given, strategies as st

from asyncexec.errors import OptionError
from asyncexec.straggler.names import as_rule
from asyncexec.straggler.off import Off
from asyncexec.straggler.rule import Rule, StageView
from asyncexec.straggler.statistics import DurationStatistics
from asyncexec.straggler.two_phase import TwoPhase

many_durations = st.lists(st.floats(1e-3, 1e4), min_size=10, max_size=50)


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
    )
    return StageView(**figures | changes)


views = st.builds(
    view,
    many_durations,
    tasks=st.integers(1, 10**6),
    draining=st.booleans(),
    slots=st.integers(1, 10_000),
    cancels=st.booleans(),
    metered=st.booleans(),
)


@pytest.mark.parametrize(
    "tasks, needed", [(1, 1), (2, 1), (3, 2), (10, 5), (20, 10), (21, 10), (10**6, 10)]
)
def test_nothing_happens_before_enough_tasks_are_complete(tasks, needed):
    rule = TwoPhase()
    for draining in (False, True):
        few = view([1.0] * (needed - 1), tasks=tasks, draining=draining)
        assert rule.threshold(few) is None
        assert rule.threshold(view([1.0] * needed, tasks=tasks, draining=draining)) is not None


@given(views)
def test_no_backup_below_the_floor_and_none_before_the_median_is_passed(stage):
    rule = TwoPhase(floor_seconds=2.0)
    threshold = rule.threshold(stage)
    assume(threshold is not None)  # losers run on, and little is complete
    assert threshold >= 2.0
    assert threshold >= stage.statistics.quantile(0.5)


@given(views)
def test_the_end_phase_is_bolder_and_a_meter_makes_it_more_careful(stage):
    rule = TwoPhase(floor_seconds=0.0)
    busy, draining = (
        replace(stage, draining=False, metered=False, cancels=True),
        replace(stage, draining=True, metered=False, cancels=True),
    )
    assert rule.threshold(draining) <= rule.threshold(busy)
    assert rule.threshold(replace(draining, metered=True)) == pytest.approx(
        1.5 * rule.threshold(draining)
    )
    assert rule.copies(draining) >= rule.copies(busy)
    assert rule.backups(draining) >= rule.backups(busy)


@given(many_durations, st.booleans(), st.floats(1.0, 100.0))
def test_slower_tasks_mean_a_later_threshold(durations, draining, factor):
    rule = TwoPhase(floor_seconds=0.0)
    as_they_are = rule.threshold(view(durations, draining=draining))
    slower = rule.threshold(view([d * factor for d in durations], draining=draining))
    assert slower >= as_they_are * 0.97  # two buckets of the histogram may round apart


@given(many_durations, st.booleans(), st.floats(0, 100), st.floats(0, 100))
def test_a_higher_floor_never_means_an_earlier_backup(durations, draining, one, other):
    assume(one <= other)
    stage = view(durations, draining=draining)
    assert TwoPhase(floor_seconds=one).threshold(stage) <= TwoPhase(floor_seconds=other).threshold(
        stage
    )


def test_thresholds_follow_the_documented_formulas():
    durations = [1.0] * 50 + [2.0] * 30 + [10.0] * 20
    rule = TwoPhase(floor_seconds=0.0)
    few = [4.0] * 20
    assert rule.threshold(view(few)) == pytest.approx(12.0, rel=0.02)
    assert rule.threshold(view(few, draining=True)) == pytest.approx(4.4, rel=0.02)
    assert rule.threshold(view(durations, draining=True)) == pytest.approx(2.0, rel=0.02)
    spread = [1.0, 2.0, 3.0, 4.0, 4.0, 4.0, 4.0, 4.1, 8.0, 9.0, 9.0]
    assert rule.threshold(view(spread, draining=True)) == pytest.approx(5.0, rel=0.02)
    assert TwoPhase().threshold(view([0.001] * 20)) == 1.0


def test_while_tasks_are_queued_the_age_at_which_a_backup_saves_work_decides():
    slow = view([4.0] * 980 + [40.0] * 20, tasks=10_000)
    assert 4.2 < TwoPhase().threshold(slow) < 5.0
    even = view([4.0] * 500 + [5.0] * 500, tasks=10_000)
    assert TwoPhase().threshold(even) == pytest.approx(12.0, rel=0.02)


def test_backups_in_vain_make_it_wait_longer_and_those_that_win_do_not():
    rule = TwoPhase()
    durations = [4.0] * 980 + [40.0] * 20
    for draining in (False, True):
        stage = view(durations, tasks=10_000, draining=draining)
        usual = rule.threshold(stage)
        assert rule.threshold(replace(stage, settled_backups=40, won_backups=30)) == usual
        in_vain = [
            rule.threshold(replace(stage, settled_backups=count, won_backups=0))
            for count in (0, 10, 50, 100, 1000)
        ]
        assert in_vain == sorted(in_vain)
        assert in_vain[0] == usual
        assert in_vain[-1] > 10 * usual


@given(views)
def test_extra_work_is_bounded(stage):
    """While there is other work a quarter of the slots at most goes to backups, and one copy of a task."""
    rule = TwoPhase()
    assert 1 <= rule.backups(stage) <= max(1, stage.slots)
    assert 2 <= rule.copies(stage) <= 4
    if not stage.draining:
        assert rule.backups(stage) <= max(1, stage.slots / 4)
    if not stage.draining or not stage.cancels:
        assert rule.copies(stage) == 2


def test_a_backup_waits_as_long_as_its_worker_takes_to_come_up():
    quick = view([0.1] * 20, draining=True)
    assert TwoPhase().threshold(quick) == 1.0
    assert TwoPhase().threshold(replace(quick, cold_start_seconds=20.0)) == 21.0


def test_where_losers_run_on_a_twentieth_of_the_tasks_may_have_a_backup():
    rule = TwoPhase()
    stage = view([2.0] * 900, tasks=1000, slots=1000, cancels=False)
    assert rule.backups(stage) == 50
    assert rule.backups(replace(stage, started_backups=45, running_backups=10)) == 15
    assert rule.backups(replace(stage, started_backups=50, running_backups=0)) == 0
    assert rule.backups(view([2.0] * 9, tasks=10, cancels=False)) == 1


def test_where_losers_run_on_backups_wait_until_they_are_enough_for_what_is_left():
    rule = TwoPhase()
    stage = view([2.0] * 900, tasks=1000, slots=1000, draining=True, cancels=False)
    hung = pytest.approx(18.0, rel=0.02)
    assert rule.threshold(replace(stage, completed=949)) == hung, "or what waits behind it would"
    assert rule.threshold(replace(stage, completed=950)) == pytest.approx(3.0, rel=0.02)
    later = replace(stage, completed=970, started_backups=30, running_backups=10)
    assert rule.threshold(later) == pytest.approx(3.0, rel=0.02)
    assert rule.threshold(replace(later, completed=969)) == hung


def test_where_losers_run_on_only_what_seems_to_hang_has_a_backup_before_the_last_tenth():
    rule = TwoPhase()
    stage = view([2.0] * 900, tasks=1000, cancels=False)
    assert rule.threshold(replace(stage, completed=899)) == pytest.approx(18.0, rel=0.02)
    assert rule.threshold(stage) == pytest.approx(6.0, rel=0.02)


@given(views)
def test_off_never_starts_anything(stage):
    rule = Off()
    assert rule.threshold(stage) is None
    assert rule.backups(stage) == 0
    assert rule.copies(stage) == 1
    assert rule.floor_seconds == math.inf


class Eager:
    name = "eager"
    floor_seconds = 0.0

    def threshold(self, view):
        return 0.0

    def copies(self, view):
        return 2

    def backups(self, view):
        return 1


def test_rules_by_name():
    mine = Eager()
    assert as_rule("two_phase") == as_rule(None) == as_rule(True) == TwoPhase()
    assert isinstance(as_rule("off"), Off)
    assert isinstance(as_rule(False), Off)
    assert as_rule(mine) is mine
    for value in ("two_phase", "off"):
        assert isinstance(as_rule(value), Rule)
        assert as_rule(value).name == value


@pytest.mark.parametrize("value", ["three_phase", "", 1.5, 3, object(), TwoPhase, Eager])
def test_an_unknown_rule_is_refused_and_the_known_are_listed(value):
    with pytest.raises(OptionError, match=r"'cubed', 'late', 'off', 'spark', 'two_phase'"):
        as_rule(value)


@pytest.mark.parametrize("floor", [-1.0, math.nan, math.inf])
def test_a_floor_is_a_duration(floor):
    with pytest.raises(OptionError, match="floor_seconds"):
        TwoPhase(floor_seconds=floor)
