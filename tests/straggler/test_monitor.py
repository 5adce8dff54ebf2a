"""Which attempts of a stage get a backup, of those that the scheduler reports."""

import math
from dataclasses import dataclass, field

import pytest

from asyncexec.events.outcome import Outcome, Status
from asyncexec.events.stage_result import StageResult
from asyncexec.straggler.copy_ledger import CopyLedger
from asyncexec.straggler.decision import BackupDecision
from asyncexec.straggler.monitor import CHECK_SECONDS, AttemptMonitor
from asyncexec.straggler.off import Off
from asyncexec.straggler.rule import EVIDENCE
from asyncexec.straggler.statistics import DurationStatistics
from asyncexec.straggler.task_sizes import TaskSizes
from asyncexec.straggler.worker_starts import WorkerStarts


@dataclass
class Task:
    alive: dict = field(default_factory=dict)
    failures: int = 0
    complete: bool = False
    vain_backups: int = 0


@dataclass
class Attempt:
    id: int
    task: int
    started: float = 0.0
    timed_out: bool = False
    given_up: bool = False
    task_record: Task | None = None


class FixedAge:
    """A rule: a backup at ten seconds."""

    name = "fixed"
    floor_seconds = 1.0
    steady = True

    def __init__(self, *, backups=100):
        self._backups = backups
        self.views = []

    def threshold(self, view):
        self.views.append(view)
        return 10.0

    def copies(self, view):
        return 2

    def backups(self, view):
        return self._backups


class Halves:
    """Odd tasks read half as much as even ones."""

    def nbytes(self, index):
        return 50 if index[0] % 2 else 100


def monitor_of(rule, *, tasks=20, sizes=None, history=None, starts=None, kills=True):
    return AttemptMonitor(
        rule,
        StageResult(name="s", tasks=tasks),
        history=DurationStatistics() if history is None else history,
        like=CopyLedger(),
        sizes=sizes,
        starts=starts or WorkerStarts(),
        slots=lambda: 8,
        kills=kills,
        metered=False,
        attempts=4,
    )


def running(monitor, *attempts):
    monitor.attempts.update({attempt.id: attempt for attempt in attempts})
    monitor.started_at = sum(attempt.started for attempt in monitor.attempts.values())


def slow(monitor, now, *, draining=True):
    return [a.task for a in monitor.slow(now, elapsed_seconds=now, draining=draining)]


def succeed(monitor, durations):
    for seconds in durations:
        monitor.succeeded(Outcome(1, Status.SUCCEEDED, "w", 1.0, seconds), 0)


def test_attempts_beyond_the_threshold_are_slow_oldest_first():
    monitor = monitor_of(FixedAge())
    running(monitor, *(Attempt(n, n, started=float(n)) for n in range(5)))
    assert slow(monitor, 9.9) == []
    assert slow(monitor, 12.0) == [0, 1, 2]


def test_no_more_get_a_backup_than_the_rule_allows_beside_those_that_have_one():
    monitor = monitor_of(FixedAge(backups=3))
    running(monitor, *(Attempt(n, n) for n in range(5)))
    monitor.copies.sent += 1
    monitor.backups.append(0)
    assert slow(monitor, 10.0) == [1]
    lost_before_it_started = Outcome(9, Status.LOST)
    monitor.copies.ended_with(Attempt(9, 9), lost_before_it_started, 10.0)
    assert slow(monitor, 10.0) == [1, 2]


def test_what_is_being_stopped_or_is_complete_or_has_its_backup_gets_none():
    monitor = monitor_of(FixedAge())
    stopped = Attempt(1, 1, timed_out=True)
    loser = Attempt(2, 2, task_record=Task({2: None}, complete=True))
    has_one = Attempt(3, 3, task_record=Task({3: None, 9: None}))
    tried_again = Attempt(5, 5, task_record=Task({5: None}))
    running(monitor, stopped, loser, has_one, tried_again)
    assert slow(monitor, 100.0) == [5]


def test_smaller_tasks_are_slow_sooner():
    monitor = monitor_of(FixedAge(), sizes=TaskSizes(Halves(), (20,), 100))
    running(monitor, *(Attempt(n, n) for n in range(4)))
    assert slow(monitor, 5.0) == [1, 3]
    assert monitor.next_check(draining=True) == 5.0 + CHECK_SECONDS
    running(monitor, Attempt(1, 1, started=4.0), Attempt(3, 3, started=4.0))
    slow(monitor, 5.0)
    assert monitor.next_check(draining=True) == 9.0


def test_the_next_check_is_when_an_attempt_may_be_slow_or_soon_once_the_stage_has_changed():
    monitor = monitor_of(FixedAge())
    running(monitor, Attempt(1, 1, started=3.0))
    assert monitor.next_check(draining=True) == CHECK_SECONDS
    slow(monitor, 4.0)
    assert monitor.next_check(draining=True) == 13.0
    assert monitor.next_check(draining=False) == 4.0 + CHECK_SECONDS


def test_without_backups_there_is_nothing_to_check():
    monitor = monitor_of(Off())
    running(monitor, Attempt(1, 1))
    assert slow(monitor, 1e6) == []
    assert monitor.next_check(draining=True) == math.inf


def test_a_rule_that_looks_at_the_clock_is_asked_again_and_again():
    rule = FixedAge()
    rule.steady = False
    monitor = monitor_of(rule)
    monitor.task_completed(7.0, by_backup=False)
    running(monitor, Attempt(1, 1))
    slow(monitor, 1.0)
    assert monitor.next_check(draining=True) == 1.0 + CHECK_SECONDS
    assert rule.views[-1].completions.quantile(1.0) == 7.0


def test_durations_of_other_stages_stand_in_until_there_are_enough_of_the_stage_itself():
    history = DurationStatistics([5.0] * 30)
    monitor = monitor_of(FixedAge(), history=history)
    succeed(monitor, [1.0] * (EVIDENCE - 1))
    assert monitor.known_durations is history
    succeed(monitor, [1.0])
    assert monitor.known_durations is monitor.statistics


def test_what_is_learned_is_shared_early_only_where_nothing_was_known():
    for history in (DurationStatistics(), DurationStatistics([5.0])):
        known = history.count
        monitor = monitor_of(FixedAge(), history=history)
        succeed(monitor, [1.0] * EVIDENCE)
        monitor._figures.completed = EVIDENCE
        monitor.task_completed(1.0, by_backup=False)
        assert history.count == (known or EVIDENCE)


def test_rules_see_how_backups_fared():
    rule = FixedAge()
    monitor = monitor_of(rule)
    succeed(monitor, [2.0, 4.0, 6.0, 8.0])
    for won in (True, False):
        original, copy = Attempt(1, 1), Attempt(2, 1, started=10.0)
        original.task_record = copy.task_record = Task({1: original, 2: copy}, complete=not won)
        monitor.copies.sent += 1
        monitor.copies.started(copy, 10.0)
        status = Status.SUCCEEDED if won else Status.CANCELLED
        monitor.copies.ended_with(copy, Outcome(2, status, "w", 1.0, 5.0), 15.0)
    runs = Attempt(3, 3, started=14.0, task_record=Task({}))
    monitor.copies.sent += 1
    monitor.copies.started(runs, 14.0)
    slow(monitor, 15.0)
    view = rule.views[-1]
    assert (view.running_backups, view.copies.won, view.copies.vain_seconds) == (1, 1, 5.0)
    assert (view.copies.won_seconds, view.copies.overtaken_seconds) == (5.0, 15.0)
    assert view.copies.running_seconds == 1.0
    assert view.copies.expected == pytest.approx(2 * math.log(2)), "half of all run for longer"
    assert view.like.won == 0, "those of other stages, without the stage's own"


def test_the_work_so_far_is_what_has_ended_and_what_runs():
    rule = FixedAge()
    monitor = monitor_of(rule)
    succeed(monitor, [2.0, 4.0])
    running(monitor, Attempt(1, 1, started=3.0), Attempt(2, 2, started=5.0))
    slow(monitor, 6.0)
    assert rule.views[-1].work_seconds == pytest.approx(6.0 + 3.0 + 1.0)


def test_the_work_is_worker_time_where_durations_are_those_of_whole_tasks():
    rule = FixedAge()
    monitor = monitor_of(rule, sizes=TaskSizes(Halves(), (20,), 100))
    for task, seconds in ((0, 4.0), (1, 2.0)):
        monitor.succeeded(Outcome(1, Status.SUCCEEDED, "w", 1.0, seconds), task)
    slow(monitor, 6.0)
    view = rule.views[-1]
    assert view.statistics.total_seconds == 8.0
    assert (view.work_seconds, view.mean_share) == (6.0, 0.75)


class Trial(FixedAge):
    """Backups are stopped after five seconds, or half the age of what they are to overtake."""

    def decide(self, view):
        return BackupDecision(
            age_seconds=self.threshold(view),
            copies=2,
            backups=self.backups(view),
            stop_seconds=5.0,
            stop_share=0.5,
        )


def test_a_backup_that_has_run_in_vain_is_stopped_unless_it_is_the_only_attempt_of_its_task():
    monitor = monitor_of(Trial())
    firsts = [Attempt(n, n, started=0.0) for n in range(3)]
    copies = [Attempt(10 + n, n, started=started) for n, started in enumerate((8.0, 30.0, 8.0))]
    for first, copy in zip(firsts, copies, strict=True):
        first.task_record = copy.task_record = Task({first.id: first, copy.id: copy})
        monitor.copies.started(copy, copy.started)
    del copies[2].task_record.alive[2]
    running(monitor, *firsts[:2], *copies)
    slow(monitor, 12.0)
    assert monitor.in_vain(12.9) == []
    assert monitor.next_check(draining=True) == 13.0
    assert monitor.in_vain(44.9) == [copies[0]]
    copies[0].given_up = True
    assert monitor.in_vain(45.0) == [copies[1]]


class Yielding(FixedAge):
    """Backups of tasks younger than twenty seconds leave their slots to other tasks."""

    def decide(self, view):
        return BackupDecision(
            age_seconds=self.threshold(view),
            copies=2,
            backups=self.backups(view),
            stop_seconds=100.0,
            yields_below_seconds=20.0,
        )


def test_the_youngest_backups_leave_their_slots_where_other_tasks_wait_for_some():
    monitor = monitor_of(Yielding())
    firsts = [Attempt(n, n, started=float(started)) for n, started in enumerate((0, 11, 12))]
    copies = [Attempt(10 + n, n, started=21.0 + n) for n in range(3)]
    monitor.copies.for_idle_slots.update(range(3))
    for first, copy in zip(firsts, copies, strict=True):
        first.task_record = copy.task_record = Task({first.id: first, copy.id: copy})
        monitor.copies.started(copy, copy.started)
    running(monitor, *firsts, *copies)
    slow(monitor, 25.0)
    assert monitor.in_vain(25.0, idle_slots=0) == []
    assert monitor.in_vain(25.0, idle_slots=-1) == [copies[2]]
    assert monitor.in_vain(25.0, idle_slots=-9) == [copies[2], copies[1]]
    assert monitor.next_check(draining=True, idle_slots=-1) == 25.0 + CHECK_SECONDS


def test_backups_that_took_no_idle_slot_keep_theirs_where_other_tasks_wait():
    monitor = monitor_of(Yielding())
    first, copy = Attempt(1, 1, started=12.0), Attempt(11, 1, started=21.0)
    first.task_record = copy.task_record = Task({1: first, 11: copy})
    monitor.copies.started(copy, 21.0)
    running(monitor, first, copy)
    slow(monitor, 25.0)
    assert monitor.in_vain(25.0, idle_slots=-9) == []


def test_a_task_whose_backup_was_given_up_is_to_be_older_before_it_has_another():
    monitor = monitor_of(FixedAge())
    running(monitor, Attempt(1, 1, task_record=Task(vain_backups=1)), Attempt(2, 2, started=1.0))
    monitor.attempts[1].task_record.alive[1] = monitor.attempts[1]
    assert slow(monitor, 11.0) == [2]
    assert slow(monitor, 15.0) == [1, 2]


def test_tasks_that_grow_along_the_stage_are_slow_at_greater_ages():
    monitor = monitor_of(FixedAge(), tasks=100)
    for task in range(50):
        outcome = Outcome(task, Status.SUCCEEDED, "w", 1.0, 5.0 + 0.2 * task)
        monitor.succeeded(outcome, task)
    running(monitor, Attempt(1, 90), Attempt(2, 25))
    assert slow(monitor, 11.0) == [25]
    assert slow(monitor, 40.0) == [90, 25]


def test_nothing_is_stopped_where_attempts_cannot_be():
    monitor = monitor_of(Trial(), kills=False)
    copy = Attempt(9, 0, started=1.0)
    copy.task_record = Task({0: Attempt(0, 0), 9: copy})
    monitor.copies.started(copy, 1.0)
    slow(monitor, 50.0)
    assert monitor.in_vain(50.0) == []


def test_small_stages_share_their_durations_one_by_one():
    history = DurationStatistics([5.0] * 12)
    monitor = monitor_of(FixedAge(), tasks=8, history=history)
    succeed(monitor, [1.0] * 5)
    assert history.count == 17
    assert monitor.known_durations is history, "eight are too few to know more than others do"
    monitor.share_durations()
    assert history.count == 17


def test_durations_are_those_of_whole_tasks():
    monitor = monitor_of(FixedAge(), sizes=TaskSizes(Halves(), (20,), 100))
    half = Outcome(1, Status.SUCCEEDED, "w", 1.0, 5.0, read_bytes=50)
    assert monitor.succeeded(half, 1) == 10.0
    assert monitor.succeeded(half._replace(read_bytes=0), 1) == 10.0


def test_what_was_stopped_before_it_wrote_is_as_large_as_it_was_to_be():
    rule = FixedAge()
    monitor = monitor_of(rule, sizes=TaskSizes(Halves(), (20,), 100))
    monitor.stopped(Outcome(1, Status.CANCELLED, "w", 1.0, 8.0, read_bytes=50), 0)
    monitor.stopped(Outcome(2, Status.CANCELLED, "w", 1.0, 8.0, read_bytes=50), 1)
    slow(monitor, 1.0)
    seen = rule.views[-1].restart_model.stopped
    assert (seen.least_seconds, seen.total_seconds) == (8.0, 24.0)


def test_a_worker_takes_as_long_to_start_as_the_quickest_did():
    starts = WorkerStarts()
    assert starts.cold_start_seconds == 0.0
    for worker, delay in (("a", 7.0), ("b", 3.0), ("c", 9.0)):
        assert worker not in starts.workers
        starts.add(worker, delay)
        assert worker in starts.workers
    assert starts.cold_start_seconds == 3.0


def test_a_task_that_has_failed_as_often_as_it_may_gets_no_further_backup_than_the_rule_adds():
    monitor = monitor_of(FixedAge())
    ages = [Attempt(i, i, 0.0, task_record=Task(alive={i: None}, failures=i)) for i in range(6)]
    running(monitor, *ages)
    assert slow(monitor, 20.0) == [0, 1, 2, 3]
