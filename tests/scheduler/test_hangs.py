"""A task that seems to hang gets a backup before its attempt is stopped: it may only be long."""

import pytest

from asyncexec.backends.contract import AttemptSpec
from asyncexec.errors import TaskTimeoutError
from asyncexec.events.outcome import Status
from asyncexec.plan.plan import Plan
from asyncexec.plan.relations import identity
from asyncexec.plan.stage import Read, Stage
from asyncexec.policies.retry import Retry
from asyncexec.policies.timeout import Timeout
from asyncexec.straggler import Off, TwoPhase
from asyncexec.straggler.late import Late
from tests.scheduler.workbench import Workbench

# Rules by whose ages no task here is slow.
PATIENT = [TwoPhase(floor_seconds=1e6), Late(floor_seconds=1e6)]


def one_that_goes_on(rule, *, tasks=20, slots=10, kills=True, seconds=1.0, **policies):
    """A run of which the first attempt goes on when all others have ended, each in so many seconds."""
    plan = Plan.map(abs, range(tasks), name="long")
    retry = Retry(attempts=3, base_seconds=0.0)
    bench = Workbench(plan, slots=slots, kills=kills, straggler=rule, retry=retry, **policies)
    first, *others = bench.send()
    bench.start(first, worker="first")
    for job in others:
        bench.start(job)
        bench.end(job, seconds=seconds)
    return bench, first


@pytest.mark.parametrize("kills", [True, False])
@pytest.mark.parametrize("rule", PATIENT, ids=repr)
def test_a_task_that_seems_to_hang_has_a_backup_and_its_own_attempt_still_counts(rule, kills):
    bench, first = one_that_goes_on(rule, kills=kills)
    bench.pass_time(75.0)
    (backup,) = bench.send()
    bench.start(backup, worker="second")
    bench.pass_time(30.0)
    assert (backup.task, bench.cancelled()) == (first.task, [])
    bench.end(first, seconds=105.0)
    assert bench.cancelled() == [backup.attempt]
    assert bench.run.left == 0


def test_of_two_attempts_that_seem_to_hang_the_younger_is_stopped_and_the_older_goes_on():
    bench, first = one_that_goes_on(PATIENT[1])
    bench.pass_time(65.0)
    (backup,) = bench.send()
    bench.start(backup, worker="second")
    bench.pass_time(115.0)
    assert bench.cancelled() == []
    bench.pass_time(15.0)
    assert bench.cancelled() == [backup.attempt]
    bench.end(backup, Status.CANCELLED, seconds=130.0)
    bench.pass_time(15.0)
    bench.end(first, seconds=210.0)
    assert bench.run.left == 0


@pytest.mark.parametrize("rule", PATIENT, ids=repr)
def test_an_attempt_that_seems_to_hang_is_stopped_where_its_backup_never_starts(rule):
    bench, first = one_that_goes_on(rule)
    bench.pass_time(65.0)
    assert len(bench.send()) == 1
    bench.pass_time(45.0)
    assert bench.cancelled() == []
    bench.pass_time(20.0)
    assert bench.cancelled() == [first.attempt]


def test_backups_given_up_do_not_count_as_failures_where_nothing_is_taken_for_hung():
    bench, first = one_that_goes_on(TwoPhase(floor_seconds=70.0), timeout=Timeout(hangs=False))
    bench.pass_time(75.0)
    (backup,) = bench.send()
    bench.start(backup, worker="second")
    bench.pass_time(300.0)
    assert bench.cancelled() == [backup.attempt]
    stage = bench.run.stages[0]
    record = stage.record_of(stage.running.monitor.attempts[first.attempt])
    assert (record.vain_backups, record.failures) == (1, 0)


def test_a_task_all_of_whose_attempts_hang_fails_when_they_are_used_up():
    bench, _ = one_that_goes_on(PATIENT[1])
    started = 1
    while bench.run.error is None:
        for attempt in bench.cancelled():
            bench.end(AttemptSpec(attempt, 0), Status.CANCELLED, seconds=60.0)
        bench.pass_time(5.0)
        for job in bench.send():
            bench.start(job, worker="another")
            started += 1
        assert bench.now < 3_600.0
    assert isinstance(bench.run.error, TaskTimeoutError)
    assert started == 4  # attempts=3, and a backup


def test_a_task_whose_backups_are_given_up_one_after_the_other_is_stopped_in_the_end():
    bench, first = one_that_goes_on(PATIENT[0])
    started = 1
    while first.attempt not in (unwanted := bench.cancelled()):
        for attempt in unwanted:
            bench.end(AttemptSpec(attempt, first.task), Status.CANCELLED, seconds=45.0)
        bench.pass_time(5.0)
        for job in bench.send():
            bench.start(job, worker="another")
            started += 1
        assert bench.now < 600.0
    assert (started, bench.now) == (4, pytest.approx(485.0, abs=15.0))


def test_a_task_that_seems_to_hang_while_others_wait_has_a_backup_if_they_go_on():
    bench, first = one_that_goes_on(PATIENT[0], tasks=200, slots=2)
    while (jobs := bench.send()) and first.task not in [job.task for job in jobs]:
        for job in jobs:
            bench.start(job)
        bench.pass_time(5.0)
        assert bench.now < 90.0
        for job in jobs:
            bench.end(job, seconds=1.0)
    assert bench.run.left > 100
    assert bench.cancelled() == []


class TwoThatGoOn:
    """A run on four slots, two of which go on with their first tasks, while others wait for the rest."""

    def __init__(self):
        self.bench = Workbench(Plan.map(abs, range(4000)), slots=4, straggler=PATIENT[0])
        sent = self.bench.send()
        self.first, self.others, self.backups = sent[:2], sent[2:], []
        for job in self.first:
            self.bench.start(job, worker="first")

    def pass_time(self, until):
        tasks = {job.task for job in self.first}
        while self.bench.now < until:
            for job in self.others[:2]:
                self.bench.start(job)
            self.bench.pass_time(1.0)
            for job in self.others[:2]:
                self.bench.end(job, seconds=1.0)
            self.others = self.others[2:]
            sent = self.bench.send()
            self.backups += [job for job in sent if job.task in tasks]
            self.others += [job for job in sent if job.task not in tasks]
            for attempt in self.bench.cancelled():
                self.bench.end(AttemptSpec(attempt, 0), Status.CANCELLED, seconds=20.0)


@pytest.mark.parametrize("wins", [True, False])
def test_while_tasks_wait_for_slots_one_that_seems_to_hang_has_a_backup_until_that_has_ended(wins):
    run = TwoThatGoOn()
    run.pass_time(100.0)
    (backup,) = run.backups
    run.bench.start(backup, worker="second")
    if wins:
        run.bench.end(backup, seconds=1.0)
    run.pass_time(120.0)
    assert backup.attempt not in run.bench.jobs
    assert [job.task for job in run.backups] == [backup.task, 1 - backup.task]


def test_where_all_attempts_seem_to_hang_and_no_slot_is_idle_they_are_stopped():
    plan = Plan.map(abs, range(20), name="outage")
    bench = Workbench(plan, slots=2, straggler=PATIENT[0], retry=Retry(base_seconds=0.0))
    for _ in range(5):
        for job in bench.send():
            bench.start(job)
            bench.end(job, seconds=1.0)
    stuck = bench.send()
    for job in stuck:
        bench.start(job)
    bench.pass_time(75.0)
    assert sorted(bench.cancelled()) == sorted(job.attempt for job in stuck)


def test_what_seems_to_hang_is_not_stopped_where_attempts_of_another_stage_go_on():
    first = Stage(name="first", kernel=max, shape=(20,))
    then = Stage(name="then", kernel=min, shape=(20,), inputs=(Read("first", identity((20,))),))
    bench = Workbench(Plan((first, then)), slots=4, straggler=PATIENT[0])
    stuck, others = None, {}
    while bench.now < 110.0:
        for job in bench.send():
            bench.start(job)
            if bench.jobs[job.attempt][0] == "then":
                others[job] = bench.now
            elif stuck is None:
                stuck = job.attempt
            elif job.task != 0:
                bench.end(job, seconds=1.0)
        bench.pass_time(1.0)
        for job in [job for job, at in others.items() if bench.now >= at + 30.0]:
            del others[job]
            bench.end(job, seconds=30.0)
        assert stuck not in bench.cancelled()
    assert stuck is not None


def test_without_backups_what_seems_to_hang_is_stopped():
    bench, first = one_that_goes_on(Off())
    bench.pass_time(75.0)
    assert bench.send() == []
    assert bench.cancelled() == [first.attempt]
    bench.end(first, Status.CANCELLED, seconds=75.0)
    bench.pass_time(1.0)
    (again,) = bench.send()
    assert again.task == first.task


def waited_for_backup(bench, limit):
    """The time after which the task that goes on has a backup, to within 15 seconds; None if after the limit."""
    while bench.now < limit:
        bench.pass_time(15.0)
        for job in bench.send():
            bench.start(job, worker="second")
            return bench.now
    return None


@pytest.mark.parametrize("rule", PATIENT, ids=repr)
@pytest.mark.parametrize(
    "tasks, kills, earliest", [(20, True, 100.0), (20, False, 300.0), (400, False, 100.0)]
)
def test_a_backup_that_would_run_on_waits_longer_where_the_stage_cannot_pay_for_it(
    rule, tasks, kills, earliest
):
    bench, _ = one_that_goes_on(rule, tasks=tasks, slots=tasks, kills=kills, seconds=10.0)
    assert waited_for_backup(bench, 600.0) == pytest.approx(earliest + 7.5, abs=7.5)


def test_where_backups_run_on_a_third_attempt_waits_far_longer():
    bench, _ = one_that_goes_on(PATIENT[0], tasks=400, slots=400, kills=False, seconds=10.0)
    assert waited_for_backup(bench, 150.0)
    assert waited_for_backup(bench, 590.0) is None
    assert bench.cancelled() == []
