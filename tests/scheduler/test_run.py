"""What a run decides, attempt by attempt, on a clock that the test moves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from asyncexec.errors import (
    PlanTimeoutError,
    PoisonTaskError,
    RetryBudgetError,
    StageTimeoutError,
    TaskFailedError,
    TaskMemoryError,
    TaskTimeoutError,
)
from asyncexec.events.outcome import Outcome, Status
from asyncexec.plan.plan import Plan
from asyncexec.plan.relations import All, identity
from asyncexec.plan.stage import Read, Stage
from asyncexec.policies.retry import Retry
from asyncexec.policies.timeout import Timeout
from asyncexec.scheduler.admission import AdmissionBudget
from asyncexec.straggler.late import Late
from asyncexec.straggler.two_phase import TwoPhase

from .workbench import MEMORY, PERMANENT, Workbench, with_memory


def chain(tasks: int, *names: str) -> Plan:
    """A chain of one-to-one stages."""
    stages = [Stage(name=names[0], kernel=max, shape=(tasks,))]
    for name in names[1:]:
        stages.append(
            Stage(
                name=name,
                kernel=max,
                shape=(tasks,),
                inputs=(Read(stages[-1].name, identity((tasks,))),),
            )
        )
    return Plan(tuple(stages))


def test_no_more_than_two_batches_a_slot_are_in_flight() -> None:
    bench = Workbench(Plan.map(abs, range(100)), slots=3)
    assert len(bench.send()) == 6


def test_the_deepest_stage_goes_first() -> None:
    bench = Workbench(chain(10, "a", "b", "c"))
    first, *_ = bench.send()
    bench.end(first)
    (third,) = bench.send()
    assert bench.jobs[third.attempt] == ("b", first.task)
    bench.end(third)
    (fourth,) = bench.send()
    assert bench.jobs[fourth.attempt] == ("c", first.task)


def test_barriers_keep_a_stage_back_until_what_it_reads_is_complete() -> None:
    bench = Workbench(chain(4, "a", "b"), slots=8, barriers=True)
    jobs = bench.send()
    assert len(jobs) == 4
    for job in jobs[:3]:
        bench.end(job)
    assert not bench.send()
    bench.end(jobs[3])
    assert {bench.jobs[j.attempt][0] for j in bench.send()} == {"b"}


def test_no_more_attempts_are_in_flight_than_the_user_said() -> None:
    bench = Workbench(Plan.map(abs, range(100)), slots=8, batch=64, most_in_flight=5)
    jobs = bench.send()
    assert len(jobs) == 5
    for job in jobs[:3]:
        bench.end(job, seconds=1e-6)
    again = bench.send()
    assert len(again) == 3
    for job in (*jobs[3:], *again):
        bench.end(job)
    bench.finish()


def test_stages_that_go_one_at_a_time_do_not_overlap() -> None:
    plan = Plan((Stage(name="a", kernel=max, shape=(3,)), Stage(name="b", kernel=max, shape=(3,))))
    bench = Workbench(plan, slots=8, one_stage_at_a_time=True)
    first = bench.send()
    assert len({bench.jobs[j.attempt][0] for j in first}) == 1
    assert len(first) == 3
    for job in first[:2]:
        bench.end(job)
    assert not bench.send()
    bench.end(first[2])
    assert len(bench.send()) == 3


def test_messages_that_are_dear_carry_more_work() -> None:
    def largest(call_seconds: float) -> int:
        bench = Workbench(
            Plan.map(abs, range(100_000)), slots=1, batch=10_000, call_seconds=call_seconds
        )
        for _ in range(20):
            for job in bench.send():
                bench.end(job, seconds=0.01)
        return max(len(b.jobs) for b in bench.batches)

    assert 9 <= largest(0.0) <= 10
    assert 400 <= largest(0.5) <= 500


def test_messages_that_are_dear_do_not_get_smaller_than_is_worth_their_cost() -> None:
    bench = Workbench(Plan.map(abs, range(1_000)), slots=2, batch=10_000, call_seconds=0.5)
    while jobs := bench.send():
        for job in jobs:
            bench.end(job, seconds=0.01)
    sizes = [len(b.jobs) for b in bench.batches]
    assert sum(sizes) == 1_000
    assert all(size >= 45 for size in sizes[4:-1]), sizes


def test_nobody_looks_for_slow_attempts_where_none_can_be_slow_yet() -> None:
    bench = Workbench(Plan.map(abs, range(20)), slots=20, straggler=TwoPhase())
    jobs = bench.send()
    for job in jobs:
        bench.start(job)
    for job in jobs[:12]:
        bench.end(job, seconds=1000.0)
    bench.now = 1000.0
    ticks = 0
    while (deadline := bench.run.next_deadline(bench.now)) is not None and deadline < 1249.0:
        bench.now = max(bench.now, deadline)
        bench.run.tick(bench.now)
        ticks += 1
    assert ticks <= 3
    bench.pass_time(5.0 + 1250.0 - bench.now)
    assert len(bench.send()) == 1, "a trial, of one of those a quarter over the median"


def test_a_task_that_goes_alone_is_not_held_up_by_deeper_stages() -> None:
    bench = Workbench(chain(6, "a", "b"), slots=2, retry=Retry(base_seconds=0.0))
    first, second, *rest = bench.send()
    bench.end(first, Status.LOST, worker="")  # beside others: it goes alone
    bench.end(second)  # its reader is ready now, and deeper
    for _ in range(50):
        for job in rest:
            bench.end(job)
        bench.pass_time(0.1)
        rest = bench.send()
    assert bench.run.finished
    assert bench.run.left == 0


def test_what_a_new_worker_takes_to_come_up_is_seen_and_kept_in_mind() -> None:
    bench = Workbench(Plan.map(abs, range(20)), slots=20, straggler=TwoPhase())
    jobs = bench.send()
    bench.now = 7.0
    for number, job in enumerate(jobs):
        bench.start(job, worker=f"w{number}")
    for job in jobs[1:]:
        bench.end(job, seconds=0.5)
    bench.pass_time(7.5)
    assert bench.send(most=1) == []
    bench.pass_time(1.0)
    assert len(bench.send(most=1)) == 1


def test_twins_that_end_in_one_instant_are_one_completion() -> None:
    """One event, and so one line in a history."""
    bench = Workbench(Plan.map(abs, range(20)), slots=20, straggler=TwoPhase())
    jobs = bench.send()
    for job in jobs:
        bench.start(job)
    for job in jobs[1:]:
        bench.end(job, seconds=1.0)
    bench.pass_time(5.0)
    (backup,) = bench.send(most=1)
    assert backup.task == jobs[0].task
    bench.start(backup, worker="other")
    bench.kinds()
    both = [Outcome(a.attempt, Status.SUCCEEDED, "w", 1.0, 6.0, value=0) for a in (backup, jobs[0])]
    bench.run.report(both, bench.now)
    assert bench.run.finished
    assert bench.run.stages[0].figures.completed == 20
    kinds = bench.kinds()
    assert kinds.count("TaskSucceeded") == 1
    assert kinds.count("AttemptEnded") == 2
    assert bench.run.stages[0].running.monitor.won_backups == 1


def hanging(**policies: object) -> tuple[Workbench, object]:
    """A run of which one attempt goes on when the others have taken a second each."""
    bench = Workbench(Plan.map(abs, range(20), name="hung"), slots=10, **policies)
    jobs = bench.send()
    for job in jobs:
        bench.start(job)
    for job in jobs[1:]:
        bench.end(job, seconds=1.0)
    return bench, jobs[0]


def test_an_attempt_that_runs_far_longer_than_others_is_taken_for_hung_after_a_minute() -> None:
    bench, job = hanging(retry=Retry(attempts=3, base_seconds=0.0))
    for minutes in (1, 2, 4):
        bench.pass_time(60.0 * minutes - 15.0)
        assert bench.cancelled() == []
        bench.pass_time(30.0)
        assert bench.cancelled() == [job.attempt]
        bench.end(job, Status.CANCELLED, seconds=60.0 * minutes)
        bench.pass_time(1.0)
        if minutes < 4:
            (job,) = bench.send()
            bench.start(job)
    assert isinstance(bench.run.error, TaskTimeoutError)
    assert "taken for hung after 240 s" in str(bench.run.error)
    assert "Timeout(hangs=False)" in str(bench.run.error)


@pytest.mark.parametrize(
    "policies", [{"timeout": Timeout(hangs=False)}, {"timeout": Timeout(task=1e6)}]
)
def test_nothing_is_taken_for_hung_where_that_was_not_wanted(policies: dict[str, object]) -> None:
    bench, _ = hanging(**policies)
    bench.pass_time(36_000.0)
    assert bench.cancelled() == []


def test_nothing_is_taken_for_hung_that_must_not_be_repeated() -> None:
    bench = Workbench(Plan.map(abs, range(20), idempotent=False), slots=10)
    jobs = bench.send()
    for job in jobs:
        bench.start(job)
    for job in jobs[1:]:
        bench.end(job, seconds=1.0)
    bench.pass_time(36_000.0)
    assert bench.cancelled() == []


def fast(plan: Plan, **options: object) -> Workbench:
    """A run that has found its tasks to be short."""
    bench = Workbench(plan, slots=1, batch=64, **options)
    for job in bench.send():
        bench.end(job, seconds=1e-6)
    bench.batches.clear()
    return bench


def test_what_failed_in_a_batch_that_tells_nothing_goes_alone() -> None:
    bench = fast(Plan.map(abs, range(1000)), tells_progress=False, retry=Retry(base_seconds=0.0))
    batch = bench.send(most=1)
    assert len(batch) == 64
    for job in batch[:3]:
        bench.fail(job)
    for job in batch[3:]:
        bench.end(job, seconds=1e-6)
    bench.pass_time(0.0)
    bench.batches.clear()
    bench.send()
    bench.budget.batches = bench.budget.slots_taken = 0
    bench.send()
    assert [len(b.jobs) for b in bench.batches[:4]] == [1, 1, 1, 64]


@pytest.mark.parametrize("tells_progress, size", [(False, 1), (True, 64)])
def test_what_must_not_be_repeated_shares_no_batch_that_tells_nothing(
    tells_progress: bool, size: int
) -> None:
    bench = fast(Plan.map(abs, range(1000), idempotent=False), tells_progress=tells_progress)
    bench.send()
    assert max(len(b.jobs) for b in bench.batches) == size


def test_batches_grow_with_measured_speed_and_shrink_at_the_end() -> None:
    bench = Workbench(Plan.map(abs, range(10_000)), slots=2, batch=256)
    jobs = bench.send()
    assert len(jobs) == 4, "nothing is known of a stage at first"
    for job in jobs:
        bench.end(job, seconds=1e-5)
    sizes = []
    while not bench.run.finished:
        for job in bench.send():
            bench.end(job, seconds=1e-5)
        sizes = [len(batch.jobs) for batch in bench.batches]
    assert max(sizes) == 256
    assert sizes[-1] == 1


def test_slow_tasks_travel_one_by_one() -> None:
    bench = Workbench(Plan.map(abs, range(50)), slots=1, batch=256)
    while not bench.run.finished:
        for job in bench.send():
            bench.end(job, seconds=0.2)
    assert all(len(batch.jobs) == 1 for batch in bench.batches)


def test_memory_in_flight_never_exceeds_the_budget() -> None:
    budget = AdmissionBudget(memory_bytes=250)
    bench = Workbench(with_memory(Plan.map(abs, range(20)), 100), slots=8, budget=budget)
    assert len(bench.send()) == 2
    for job in list(bench.jobs):
        bench.end(bench.batches[0].jobs[0]._replace(attempt=job))
    bench.finish()
    assert budget.peak_bytes <= 250
    assert budget.used_bytes == 0


def test_a_stage_that_waits_for_a_resource_lets_others_pass() -> None:
    gpu = Stage(name="gpu", kernel=max, shape=(4,), resources={"gpus": 1})
    cpu = Stage(name="cpu", kernel=max, shape=(4,))
    bench = Workbench(Plan((gpu, cpu)), slots=4, budget=AdmissionBudget(resources={"gpus": 1}))
    stages = [bench.jobs[job.attempt][0] for job in bench.send()]
    assert sorted(stages) == ["cpu"] * 4 + ["gpu"]


def test_a_failed_task_is_tried_again_after_a_while_off_its_slot() -> None:
    bench = Workbench(Plan.map(abs, [5]), retry=Retry(attempts=3, base_seconds=1.0))
    (job,) = bench.send()
    bench.fail(job)
    assert bench.budget.batches == 0, "a waiting task holds nothing"
    bench.pass_time(1.0)
    (again,) = bench.send()
    assert again.task == job.task
    bench.end(again, value=5)
    assert bench.run.finished
    assert bench.run.error is None
    assert bench.state.values.results() == {"abs": [5]}
    assert bench.kinds().count("RetryScheduled") == 1


def test_a_task_out_of_attempts_fails_the_plan_and_says_where() -> None:
    bench = Workbench(Plan.map(abs, [5, 6], name="p"), retry=2)
    job, other = bench.send()
    bench.start(other)
    bench.fail(job, worker="w7")
    bench.pass_time(30)
    (again,) = bench.send()
    bench.fail(again, worker="w8")
    error = bench.run.error
    assert isinstance(error, TaskFailedError)
    assert (error.plan, error.stage, error.index, error.attempt, error.worker) == (
        "p",
        "p",
        (0,),
        2,
        "w8",
    )
    assert "ConnectionError: reset" in str(error)
    assert bench.cancelled() == [other.attempt], "work that is running is stopped"
    assert not bench.run.finished, "until it has stopped, the run has not"
    bench.end(other, Status.CANCELLED)
    assert bench.run.finished


def test_a_permanent_failure_is_not_tried_again() -> None:
    bench = Workbench(Plan.map(abs, [5]))
    (job,) = bench.send()
    bench.fail(job, PERMANENT)
    assert isinstance(bench.run.error, TaskFailedError)


def test_an_exception_without_a_message_is_told_by_its_name() -> None:
    bench = Workbench(Plan.map(abs, [5]), retry=1)
    (job,) = bench.send()
    bench.fail(job, PERMANENT._replace(message=""))
    assert "attempt 1, worker w: ValueError." in str(bench.run.error)


def test_what_never_started_is_charged_to_nobody() -> None:
    bench = Workbench(Plan.map(abs, [5]), retry=1)
    for _ in range(5):
        (job,) = bench.send()
        bench.end(job, Status.LOST, started_at=0.0)
    bench.finish()
    assert bench.run.error is None
    assert "RetryScheduled" not in bench.kinds(), "what never started did not fail"


def test_what_never_starts_while_nothing_else_is_done_fails_in_the_end() -> None:
    bench = Workbench(Plan.map(abs, [5]), retry=1)
    losses = 0
    while bench.run.error is None:
        (job,) = bench.send()
        bench.end(job, Status.LOST, started_at=0.0)
        losses += 1
    assert losses == 21


def test_a_busy_service_may_refuse_a_task_for_as_long_as_it_does_others() -> None:
    bench = Workbench(Plan.map(abs, range(100)), slots=1, retry=1)
    refused, other = bench.send()
    for _ in range(98):
        bench.end(refused, Status.LOST, started_at=0.0)
        bench.end(other)
        again = bench.send()
        refused = next(job for job in again if job.task == refused.task)
        other = next(job for job in again if job.task != refused.task)
    bench.end(other)
    bench.end(refused)
    assert bench.run.error is None
    assert bench.run.finished


def test_a_task_that_kills_two_workers_is_poison() -> None:
    bench = Workbench(Plan.map(abs, [5]), retry=10)
    for worker in ("w1", "w2"):
        bench.pass_time(60)
        (job,) = bench.send()
        bench.end(job, Status.LOST, worker=worker)
    assert isinstance(bench.run.error, PoisonTaskError)


@pytest.mark.parametrize("kept", [False, True])
def test_a_task_that_has_killed_two_workers_is_poison_although_a_backup_of_it_runs(
    kept: bool,
) -> None:
    stage = Stage(name="s", kernel=abs, shape=(20,), on_failure="keep" if kept else "fail")
    bench = Workbench(Plan((stage,)), slots=20, retry=10, straggler=Late())
    jobs = bench.send()
    for job in jobs:
        bench.start(job)
    bench.pass_time(1.0)
    for job in jobs[1:]:
        bench.end(job, seconds=1.0)
    bench.pass_time(30.0)
    (second,) = bench.send()
    bench.start(second, worker="w2")
    bench.end(jobs[0], Status.LOST, worker="w1")
    third = bench.send()
    while not third:
        bench.pass_time(30.0)
        third = bench.send()
    bench.end(second, Status.LOST, worker="w2")
    if kept:
        assert bench.cancelled() == [third[0].attempt]
        bench.end(third[0], Status.CANCELLED)
        assert bench.run.error is None
        assert bench.run.finished
    else:
        assert isinstance(bench.run.error, PoisonTaskError)


def test_out_of_memory_is_tried_once_more_alone() -> None:
    bench = Workbench(Plan.map(abs, range(6)), slots=2)
    jobs = bench.send()
    bench.fail(jobs[0], MEMORY)
    bench.pass_time(0)
    assert not bench.send(), "nothing new starts before the lonely attempt"
    for job in jobs[1:]:
        bench.end(job)
    (alone,) = bench.send()
    assert alone.task == jobs[0].task
    bench.fail(alone, MEMORY)
    assert isinstance(bench.run.error, TaskMemoryError)


def test_out_of_memory_once_is_survived_alone() -> None:
    bench = Workbench(Plan.map(abs, range(6)), slots=2)
    bench.fail(bench.send(1)[0], MEMORY)
    bench.pass_time(0)
    bench.finish()
    assert bench.run.error is None


def test_a_task_over_its_timeout_is_stopped_and_tried_again() -> None:
    bench = Workbench(Plan.map(abs, [5]), timeout=10.0, retry=2)
    (job,) = bench.send()
    bench.pass_time(100)
    assert not bench.cancelled(), "the clock starts when the attempt starts on a worker"
    bench.start(job)
    bench.pass_time(9.9)
    assert not bench.cancelled()
    bench.pass_time(0.2)
    assert bench.cancelled() == [job.attempt]
    bench.end(job, Status.CANCELLED)
    bench.pass_time(30)
    (again,) = bench.send()
    bench.start(again)
    bench.pass_time(10.1)
    bench.end(again, Status.CANCELLED)
    assert isinstance(bench.run.error, TaskTimeoutError)
    assert "10 s" in str(bench.run.error)


def test_success_at_the_moment_of_the_timeout_is_success() -> None:
    bench = Workbench(Plan.map(abs, [5]), timeout=10.0)
    (job,) = bench.send()
    bench.start(job)
    bench.pass_time(10.1)
    bench.end(job)
    assert bench.run.finished
    assert bench.run.error is None


def test_stage_and_plan_timeouts_end_the_run() -> None:
    bench = Workbench(Plan.map(abs, [5]), timeout=Timeout(stage=5.0))
    bench.send()
    bench.pass_time(6)
    assert isinstance(bench.run.error, StageTimeoutError)
    bench = Workbench(Plan.map(abs, [5]), timeout=Timeout(plan=5.0))
    bench.pass_time(6)
    assert isinstance(bench.run.error, PlanTimeoutError)


def slow_one(kills: bool = True) -> tuple[Workbench, int]:
    """A stage of which all but one attempt ended after a second."""
    bench = Workbench(Plan.map(abs, range(20)), slots=4, kills=kills, straggler=TwoPhase())
    jobs = bench.send()
    slow = jobs[0]
    bench.start(slow)
    done = jobs[1:]
    while len(done) < 20:
        for job in done:
            if job.attempt in bench.jobs:
                bench.start(job)
                bench.pass_time(0.01)
                bench.end(job, seconds=1.0)
        new = bench.send()
        if not new:
            break
        done = [*done, *new]
    return bench, slow.attempt


def test_a_slow_task_gets_a_backup_and_the_first_success_wins() -> None:
    bench, slow = slow_one()
    bench.pass_time(10)
    (backup,) = bench.send()
    assert bench.jobs[backup.attempt] == bench.jobs[slow]
    bench.start(backup, "other")
    bench.end(backup, value="first")
    assert bench.cancelled() == [slow]
    assert not bench.run.finished, "losers are drained before the run ends"
    bench.end(backup._replace(attempt=slow), Status.CANCELLED)
    assert bench.run.finished
    kinds = bench.kinds()
    assert kinds.count("BackupStarted") == 1
    assert kinds.count("TaskSucceeded") == 20


def test_a_backup_is_to_run_apart_from_what_it_is_for() -> None:
    bench, _ = slow_one()
    bench.pass_time(10)
    bench.send()
    *firsts, backup = bench.batches
    assert backup.apart_from == {"w"}
    assert all(not batch.apart_from for batch in firsts)


def test_a_loser_that_is_slow_to_stop_gets_no_backup() -> None:
    bench, slow = slow_one()
    bench.pass_time(10)
    (backup,) = bench.send()
    bench.start(backup, "other")
    bench.end(backup, value="first")
    bench.pass_time(10)
    assert not bench.send()
    bench.end(backup._replace(attempt=slow), value="late")
    assert bench.run.finished
    assert bench.run.left == 0


def test_two_attempts_that_end_in_the_same_instant_are_one_completion() -> None:
    bench, slow = slow_one()
    bench.pass_time(10)
    (backup,) = bench.send()
    bench.end(backup, value="first")
    bench.end(backup._replace(attempt=slow), value="second")
    bench.end(backup, value="again")
    assert bench.run.finished
    assert bench.state.values.results()["abs"][backup.task] == "first"
    assert bench.kinds().count("TaskSucceeded") == 20


def test_a_failed_original_waits_for_its_backup() -> None:
    bench, slow = slow_one()
    bench.pass_time(10)
    (backup,) = bench.send()
    bench.fail(backup._replace(attempt=slow))
    bench.pass_time(60)
    assert not bench.send()
    bench.end(backup)
    assert bench.run.finished
    assert bench.run.error is None


def test_what_may_not_be_repeated_gets_no_backup_and_no_retry() -> None:
    plan = Plan((replace(Plan.map(abs, range(20)).stages[0], idempotent=False),))
    bench = Workbench(plan, slots=4, straggler=TwoPhase())
    jobs = bench.send()
    for job in jobs:
        bench.start(job)
    for job in jobs[1:]:
        bench.end(job, seconds=1.0)
    while more := bench.send():
        for job in more:
            bench.end(job, seconds=1.0)
    bench.pass_time(100)
    assert not bench.send()
    bench.fail(jobs[0])
    assert isinstance(bench.run.error, TaskFailedError)
    assert "not idempotent" in str(bench.run.error)


def test_a_plan_that_fails_in_bulk_runs_out_of_retries() -> None:
    bench = Workbench(
        Plan.map(abs, range(1000)), slots=8, retry=Retry(attempts=50, budget=0.05, base_seconds=0.0)
    )
    for turn in range(100_000):
        if bench.run.stopping:
            break
        jobs = bench.send()
        for job in jobs:
            if turn % 2:
                bench.end(job)
            else:
                bench.fail(job)
        bench.pass_time(1)
    assert isinstance(bench.run.error, RetryBudgetError)


def test_reports_of_unknown_attempts_change_nothing() -> None:
    bench = Workbench(Plan.map(abs, [5]))
    (job,) = bench.send()
    bench.end(job._replace(attempt=999))
    assert not bench.run.finished
    bench.end(job)
    bench.end(job)
    assert bench.run.finished


def test_values_are_let_go_of_when_everybody_has_read_them() -> None:
    bench = Workbench(chain(50, "a", "b", "c"), slots=2)
    held = []
    while not bench.run.finished:
        for job in bench.send():
            bench.end(job, value="x")
            held.append(
                sum(len(kept) for kept in bench.state.values._kept if isinstance(kept, dict))
            )
    assert max(held) <= 8, "what is held follows the frontier, not the plan"
    assert held[-1] == 0
    assert bench.state.values.results() == {"c": ["x"] * 50}


def test_a_reduction_gets_all_values_in_order() -> None:
    source = Stage(name="a", kernel=max, shape=(5,))
    total = Stage(name="b", kernel=max, shape=(), inputs=(Read("a", All((5,), ()), many=True),))
    bench = Workbench(Plan((source, total)))
    while True:
        jobs = bench.send()
        if bench.batches[-1].program.stage == "b":
            break
        for job in reversed(jobs):
            bench.end(job, value=job.task * 10)
    assert jobs[0].inputs[0].values == (0, 10, 20, 30, 40)


def test_a_plan_without_tasks_is_complete_at_once() -> None:
    bench = Workbench(Plan.map(abs, []))
    assert bench.run.finished
    assert bench.state.values.results() == {"abs": []}


def test_stopping_cancels_everything_in_flight_and_starts_nothing() -> None:
    bench = Workbench(chain(10, "a", "b"))
    jobs = bench.send()
    bench.fail(jobs[0])
    bench.run.stop()
    assert sorted(bench.cancelled()) == sorted(j.attempt for j in jobs[1:])
    bench.pass_time(100)
    assert not bench.send()
    for job in jobs[1:]:
        bench.end(job, Status.CANCELLED)
    assert bench.run.finished
    assert bench.budget.batches == 0


@pytest.mark.parametrize("tasks", [10, 1000])
def test_what_is_held_follows_the_frontier(tasks: int) -> None:
    bench = Workbench(chain(tasks, "a", "b", "c"), slots=2)
    most = 0
    while not bench.run.finished:
        for job in bench.send():
            bench.end(job)
            most = max(most, sum(s.queue.count for s in bench.state._readiness.stages[1:]))
    assert most <= 4
