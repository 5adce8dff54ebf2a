"""When a running task gets a backup."""

import math
from dataclasses import replace

import pytest
from hypothesis import assume, given, strategies as st

from asyncexec.errors import OptionError
from asyncexec.straggler.copy_ledger import CopyFigures
from asyncexec.straggler.decision import Ground
from asyncexec.straggler.names import as_rule
from asyncexec.straggler.off import Off
from asyncexec.straggler.rule import Rule, StageView
from asyncexec.straggler.statistics import DurationStatistics
from asyncexec.straggler.two_phase import TwoPhase

# Ten backups have won, as many as were to be expected.
WINS = CopyFigures(won=10, expected=10.0, won_seconds=10.0, overtaken_seconds=100.0)

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
        work_seconds=sum(durations),
        idle_slots=10,
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


@given(
    many_durations,
    st.sampled_from([0.5, 0.25]),  # Powers of two, so that nothing is rounded otherwise.
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.booleans(),
    st.booleans(),
)
def test_smaller_tasks_may_have_the_backups_that_whole_ones_may(
    durations, share, ended, draining, cancels
):
    lost, won = ended

    def of_tasks(share):
        work = share * sum(durations)
        mean = work / len(durations)
        copies = CopyFigures(
            won=won,
            expected=lost + won,
            vain_seconds=lost * mean,
            won_seconds=won * mean,
            overtaken_seconds=4 * won * mean,
        )
        changes = dict(work_seconds=work, mean_share=share, copies=copies)
        return view(durations, draining=draining, cancels=cancels, **changes)

    assert TwoPhase().decide(of_tasks(share)) == TwoPhase().decide(of_tasks(1.0))


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
        replace(stage, draining=False, metered=False, cancels=True, copies=WINS),
        replace(stage, draining=True, metered=False, cancels=True, copies=WINS),
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
    as_they_are = rule.threshold(view(durations, draining=draining, copies=WINS))
    longer = [d * factor for d in durations]
    slower = rule.threshold(view(longer, draining=draining, copies=WINS))
    assert slower >= as_they_are * 0.97  # two buckets of the histogram may round apart


@given(many_durations, st.booleans(), st.floats(0, 100), st.floats(0, 100))
def test_a_higher_floor_never_means_an_earlier_backup(durations, draining, one, other):
    assume(one <= other)
    stage = view(durations, draining=draining)
    assert TwoPhase(floor_seconds=one).threshold(stage) <= TwoPhase(floor_seconds=other).threshold(
        stage
    )


def test_thresholds_follow_the_documented_formulas_once_backups_have_won():
    durations = [1.0] * 50 + [2.0] * 30 + [10.0] * 20
    rule = TwoPhase(floor_seconds=0.0)
    few = [4.0] * 20
    assert rule.threshold(view(few, copies=WINS)) == pytest.approx(12.0, rel=0.02)
    draining = dict(draining=True, copies=WINS)
    assert rule.threshold(view(few, **draining)) == pytest.approx(4.4, rel=0.02)
    assert rule.threshold(view(durations, **draining)) == pytest.approx(2.0, rel=0.02)
    spread = [1.0, 2.0, 3.0, 4.0, 4.0, 4.0, 4.0, 4.1, 8.0, 9.0, 9.0]
    assert rule.threshold(view(spread, **draining)) == pytest.approx(5.0, rel=0.02)
    assert TwoPhase().threshold(view([0.001] * 20, copies=WINS)) == 1.0


def test_a_trial_begins_early_so_that_it_is_known_in_time_whether_backups_win():
    durations = [1.0] * 50 + [2.0] * 30 + [10.0] * 20
    trial = TwoPhase().decide(view(durations, draining=True))
    assert trial.ground is Ground.TRIAL
    assert trial.age_seconds == pytest.approx(1.25, rel=0.02)
    assert trial.stop_seconds == pytest.approx(2.0, rel=0.02)
    assert TwoPhase().decide(view(durations, draining=True, copies=WINS)).stop_seconds == math.inf


def test_while_tasks_are_queued_the_age_at_which_a_backup_saves_work_decides():
    slow = view([4.0] * 980 + [40.0] * 20, tasks=10_000)
    assert 4.2 < TwoPhase().threshold(slow) < 5.0
    even = view([4.0] * 500 + [5.0] * 500, tasks=10_000)
    assert TwoPhase().threshold(even) == pytest.approx(12.0, rel=0.02)


def test_a_trial_grows_slower_than_the_stage_and_covers_the_tasks_that_are_left_where_it_can():
    rule = TwoPhase()
    stage = view([4.0] * 900, tasks=1_000, slots=1_000, idle_slots=900, draining=True)
    assert rule.backups(stage) == 16  # 60% of 0.27 * 1000 ** (2 / 3), rounded down
    assert rule.backups(replace(stage, completed=975)) == 26
    assert rule.copies(stage) == 2
    tenth = view([4.0] * 90, tasks=100, slots=100, idle_slots=90, draining=True)
    assert rule.backups(tenth) == 3
    small = view([4.0] * 7, tasks=8, slots=8, idle_slots=7, draining=True)
    assert rule.backups(small) == 1, "one that costs no more than a fifth of the work"
    queued = replace(stage, draining=False)
    assert rule.backups(queued) == 3, "half a percent"


def test_a_trial_without_wins_goes_on_with_much_older_tasks_only():
    rule = TwoPhase()
    stage = view([4.0] * 900, tasks=1_000, slots=1_000, idle_slots=900, draining=True)
    ages = []
    for backups in (0, 10, 17, 30, 60):
        spent = CopyFigures(expected=float(backups), vain_seconds=5.0 * backups)
        decided = rule.decide(replace(stage, copies=spent))
        ages.append(decided.age_seconds)
        assert decided.backups <= 17
    assert ages == sorted(ages)
    assert ages[0] < 5.0
    assert ages[-1] > 100.0
    assert decided.ground is Ground.IN_VAIN


def test_the_backups_of_all_stages_whose_tasks_are_alike_make_one_trial():
    rule = TwoPhase()
    stage = view([4.0] * 7, tasks=8, slots=8, idle_slots=7, draining=True)
    losses = CopyFigures(expected=2.0, vain_seconds=9.0)
    assert rule.threshold(replace(stage, like=losses)) == pytest.approx(3.3 * 4.0, rel=0.02)
    many = replace(stage, like=losses, like_tasks=200)
    assert rule.threshold(many) == rule.threshold(stage)


def test_a_win_earns_further_backups_and_several_open_all():
    rule = TwoPhase()
    stage = view([4.0] * 90, slots=100, idle_slots=90, draining=True)
    none = CopyFigures(expected=3.0, vain_seconds=25.0)
    one = replace(none, won=1, overtaken_seconds=20.0)
    assert (
        rule.backups(replace(stage, copies=none)) < rule.backups(replace(stage, copies=one)) < 100
    )
    two = replace(stage, copies=replace(one, won=2))
    assert rule.backups(two) == 100
    assert rule.copies(two) == 4


def test_other_stages_tell_whether_backups_win_but_less_than_the_stage_itself():
    rule = TwoPhase()
    stage = view([4.0] * 90, slots=100, idle_slots=90, draining=True)
    assert rule.decide(replace(stage, like=WINS)).ground is Ground.IDLE
    losses = CopyFigures(expected=100.0, vain_seconds=400.0)
    assert rule.decide(replace(stage, like=losses)).ground is Ground.IN_VAIN
    own = CopyFigures(won=4, expected=4.0, overtaken_seconds=20.0)
    assert rule.decide(replace(stage, like=losses, copies=own)).ground is Ground.IDLE


def test_where_no_slot_is_idle_a_trial_waits_for_what_can_hardly_be_so_long_by_nature():
    rule = TwoPhase()
    stage = view([4.0] * 90, slots=100, idle_slots=0, draining=True)
    assert rule.threshold(stage) > 3 * 4.0
    assert rule.threshold(replace(stage, idle_slots=5)) < 5.0
    assert rule.backups(replace(stage, idle_slots=2)) == 2


def test_backups_in_vain_make_it_wait_longer():
    rule = TwoPhase()
    durations = [4.0] * 980 + [40.0] * 20
    for draining in (False, True):
        stage = view(durations, tasks=10_000, draining=draining)
        ages = [
            rule.threshold(
                replace(stage, copies=CopyFigures(expected=expected, vain_seconds=4.0 * expected))
            )
            for expected in (0.0, 10.0, 50.0, 100.0, 1000.0)
        ]
        assert ages == sorted(ages)
        assert ages[-1] > 10 * ages[0]


@given(views)
def test_extra_work_is_bounded(stage):
    """While there is other work a quarter of the slots at most goes to backups, and one copy of a task."""
    rule = TwoPhase()
    assert 0 <= rule.backups(stage) <= max(1, stage.slots)
    assert 2 <= rule.copies(stage) <= 4
    if not stage.draining:
        assert rule.backups(stage) <= max(1, stage.slots / 4)
    if not stage.draining or not stage.cancels or not stage.copies.won:
        assert rule.copies(stage) == 2


def test_a_backup_waits_as_long_as_its_worker_takes_to_come_up():
    quick = view([0.1] * 20, draining=True)
    assert TwoPhase().threshold(quick) == 1.0
    assert TwoPhase().threshold(replace(quick, cold_start_seconds=20.0)) == 21.0


def test_while_tasks_are_queued_a_trial_waits_until_the_work_pays_for_it():
    """A backup of 12.5 s, of a task that is far longer than the others, and 1% of the work."""
    rule, rare = TwoPhase(), 3.3 * 10.0
    few = view([10.0] * 100, tasks=200, slots=10, idle_slots=-10)
    assert rule.threshold(few) > 10 * rare
    many = view([10.0] * 130, tasks=200, slots=10, idle_slots=-10)
    assert rule.threshold(many) == pytest.approx(rare, rel=0.02)


def test_where_losers_run_on_all_backups_together_cost_a_share_of_the_work():
    rule = TwoPhase()
    stage = view(
        [2.0] * 900, tasks=1_000, slots=1_000, idle_slots=900, draining=True, cancels=False
    )
    assert rule.backups(stage) == 11  # 45% of 0.25 * 1000 ** (2 / 3)
    paid = CopyFigures(expected=30.0, vain_seconds=90.0)
    assert rule.backups(replace(stage, copies=paid)) == 0
    proven = CopyFigures(won=20, expected=20.0, won_seconds=40.0, overtaken_seconds=100.0)
    last = replace(stage, copies=proven, completed=960)
    assert rule.backups(last) == 53  # 8% of 2,050 s less 40, of 2.3 s.


def test_where_losers_run_on_nothing_starts_while_tasks_wait_for_slots_unless_some_have_won():
    rule = TwoPhase()
    stage = view([2.0] * 900, tasks=1_000, slots=100, idle_slots=-50, cancels=False)
    assert rule.backups(stage) == 0
    assert rule.backups(replace(stage, copies=WINS)) > 0


def test_where_losers_run_on_all_tasks_that_are_left_get_a_backup_or_none():
    """A stage is as slow as its last task: backups for a part of the tail gain nothing."""
    rule = TwoPhase()
    durations = [2.0 + 0.002 * n for n in range(900)]
    won = CopyFigures(won=3, expected=3.0, won_seconds=9.0, overtaken_seconds=30.0)
    stage = view(
        durations,
        tasks=1_000,
        slots=1_000,
        idle_slots=900,
        draining=True,
        cancels=False,
        copies=won,
    )
    assert rule.backups(stage) == 0
    last = replace(stage, completed=990)
    assert rule.backups(last) >= 10
    assert rule.threshold(last) == pytest.approx(1.25 * 2.9, rel=0.02)
    # What has run for long is expected to run for long, work that is done anyway.
    many = replace(won, won=20, expected=20.0)
    assert rule.backups(replace(stage, copies=many)) == 0
    assert rule.backups(replace(stage, copies=many, running_seconds=3_000.0)) >= 100


def test_where_losers_run_on_a_small_stage_backs_up_only_its_last_task_when_that_is_far_too_long():
    rule = TwoPhase()
    stage = view([2.0] * 7, tasks=8, slots=8, idle_slots=7, draining=True, cancels=False)
    assert rule.backups(stage) == 1
    # Seven of them do not pay for one that may be as long again.
    assert rule.threshold(stage) == pytest.approx(6 * 2.0, rel=0.02)
    many = view(
        [2.0] * 48,
        tasks=50,
        slots=50,
        idle_slots=47,
        draining=True,
        cancels=False,
        work_seconds=110.0,
    )
    spent = CopyFigures(expected=1.0, vain_seconds=5.0)
    assert rule.backups(replace(many, copies=spent)) == 1
    assert rule.threshold(replace(many, copies=spent)) == pytest.approx(3.3 * 2.0, rel=0.02)
    assert rule.backups(view([2.0] * 5, tasks=8, idle_slots=5, draining=True, cancels=False)) == 0


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
