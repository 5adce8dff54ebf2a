"""What a rule decides for a stage, and what follows for each of its attempts."""

import pytest

from asyncexec.straggler.decision import BackupDecision, BackupVerdict, Ground, verdict_of
from asyncexec.straggler.off import Off
from asyncexec.straggler.rule import StageView, decide
from asyncexec.straggler.spark import Spark
from asyncexec.straggler.statistics import DurationStatistics
from asyncexec.straggler.two_phase import TwoPhase
from tests.straggler.test_monitor import Attempt, FixedAge, Task, monitor_of, running, slow


def view(durations, **changes) -> StageView:
    figures = dict(
        tasks=100,
        completed=len(durations),
        draining=True,
        slots=20,
        running_backups=0,
        cancels=True,
        metered=False,
        statistics=DurationStatistics(durations),
    )
    return StageView(**figures | changes)


def test_the_decision_of_any_rule_has_its_three_answers():
    for rule in (Off(), Spark(), TwoPhase()):
        for stage in (view([1.0] * 95), view([])):
            decided = decide(rule, stage)
            assert decided.age_seconds == rule.threshold(stage)
            assert decided.copies == rule.copies(stage)
            if decided.age_seconds is not None:
                assert decided.backups == rule.backups(stage)


def test_a_rule_that_gives_no_ground_says_so():
    assert decide(Spark(), view([1.0] * 95)).ground is Ground.OWN_RULE
    assert decide(TwoPhase(), view([])).ground is Ground.TOO_FEW


@pytest.mark.parametrize(
    "changes, verdict",
    [
        ({}, BackupVerdict.BACKUP),
        ({"age_seconds": 9.0}, BackupVerdict.YOUNGER),
        ({"may_have_another": False}, BackupVerdict.HAS_COPIES),
        ({"room": 0}, BackupVerdict.ENOUGH_BACKUPS),
    ],
)
def test_the_verdict_on_an_attempt_names_what_decided(changes, verdict):
    decision = BackupDecision(age_seconds=10.0, copies=2, backups=5)
    figures = dict(age_seconds=11.0, slow_age_seconds=10.0, may_have_another=True, room=1)
    assert verdict_of(decision, **figures | changes) is verdict
    none = BackupDecision(age_seconds=None, copies=2, backups=5)
    assert verdict_of(none, **figures | changes) is BackupVerdict.NOT_NOW


def test_the_monitor_tells_of_each_attempt_why_it_gets_no_backup():
    monitor = monitor_of(FixedAge(backups=1))
    old, next_old, young = (Attempt(n, n, started=float(3 * n)) for n in range(3))
    stopping = Attempt(3, 3, timed_out=True)
    copied = Attempt(4, 4, task_record=Task({4: None, 9: None}))
    running(monitor, old, next_old, young, stopping, copied)
    assert monitor.decision is None
    assert monitor.verdict(old, 14.0) is BackupVerdict.NOT_NOW
    assert slow(monitor, 14.0) == [0]
    found = [monitor.verdict(a, 14.0) for a in (old, next_old, young, stopping, copied)]
    assert found == [
        BackupVerdict.BACKUP,
        BackupVerdict.ENOUGH_BACKUPS,
        BackupVerdict.YOUNGER,
        BackupVerdict.STOPPING,
        BackupVerdict.HAS_COPIES,
    ]
    monitor.backups.append(0)
    assert monitor.verdict(old, 14.0) is BackupVerdict.SENT
