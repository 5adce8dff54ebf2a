"""Whatever becomes of attempts, in whatever order: what always holds of a run, holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from asyncexec.backends.contract import AttemptSpec, Started
from asyncexec.errors import ExecutionError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.events.records import TaskSucceeded
from asyncexec.plan.box import unravel
from asyncexec.policies.retry import Retry
from asyncexec.scheduler.admission import AdmissionBudget
from asyncexec.straggler.two_phase import TwoPhase
from asyncexec.worker.attempt import decode
from tests.profiles import examples

from .random_plans import expected, inputs_of, plans
from .workbench import TRANSIENT, Workbench

BUDGET_BYTES = 100
WHICH = st.integers(0, 10**6)
WORKERS = st.sampled_from(["w1", "w2", "w3"])


@dataclass(frozen=True)
class Eager:
    """A backup for whatever has run for a second."""

    name: str = "eager"
    floor_seconds: float = 1.0

    def threshold(self, view):
        return 1.0

    def copies(self, view):
        return 3

    def backups(self, view):
        return 4


class Scheduler(RuleBasedStateMachine):
    """A run whose attempts end as Hypothesis likes."""

    @initialize(
        plan=plans(most_bytes=60),
        slots=st.integers(1, 3),
        batch=st.sampled_from([1, 4]),
        kills=st.booleans(),
        barriers=st.booleans(),
        straggler=st.sampled_from(["off", TwoPhase(), Eager()]),
    )
    def begin(self, *, plan, slots, batch, kills, barriers, straggler):
        self.plan = plan
        self.expected = expected(plan)
        self.budget = AdmissionBudget(BUDGET_BYTES)
        self.bench = Workbench(
            plan,
            slots=slots,
            batch=batch,
            kills=kills,
            budget=self.budget,
            barriers=barriers,
            retry=Retry(attempts=6, budget=None),
            timeout=300.0,
            straggler=straggler,
        )
        self.run = self.bench.run
        self.jobs: dict[int, AttemptSpec] = {}
        self.stages: dict[int, str] = {}
        self.started: set[int] = set()
        self.asked: set[int] = set()
        self.ended: list[Outcome] = []
        self.complete: set[tuple[str, int]] = set()
        self.mishaps: Counter[tuple[str, int]] = Counter()
        self.stopped = False

    # -- what a driver and a backend do

    @rule(most=st.integers(1, 6), starts=st.booleans())
    def send(self, most, starts):
        for job in self.bench.send(most):
            name, task = self.bench.jobs[job.attempt]
            assert not self.stopped
            assert (name, task) not in self.complete
            stage = self.plan.stage(name)
            for producer, tasks in inputs_of(stage, task):
                assert all((producer, t) in self.complete for t in tasks)
            value = stage.kernel(unravel(task, stage.shape), *map(decode, job.inputs))
            assert value == self.expected[name][task]
            self.check_copies(name, task, job.attempt)
            self.jobs[job.attempt] = job
            self.stages[job.attempt] = name
            if starts:
                self.started.add(job.attempt)
                self.bench.start(job, f"w{job.attempt % 3}")

    def check_copies(self, name, task, attempt):
        alive = [a for a, j in self.jobs.items() if (self.stages[a], j.task) == (name, task)]
        assert not alive or self.run._running[attempt].backup

    @precondition(lambda self: self.jobs)
    @rule(which=WHICH, worker=WORKERS)
    def start(self, which, worker):
        job = self.pick(which)
        if job.attempt not in self.started:
            self.started.add(job.attempt)
            self.bench.start(job, worker)

    @precondition(lambda self: self.jobs)
    @rule(which=WHICH, seconds=st.sampled_from([0.001, 0.5, 30.0]))
    def succeed(self, which, seconds):
        job = self.pick(which)
        task = (self.stages[job.attempt], job.task)
        value = self.expected[task[0]][task[1]]
        self.end(job, Status.SUCCEEDED, value=value, seconds=seconds)
        if not self.stopped:
            self.complete.add(task)

    @precondition(lambda self: self.jobs)
    @rule(which=WHICH)
    def fail(self, which):
        job = self.pick(which)
        if self.may_go_wrong(job, most=3):
            self.end(job, Status.FAILED, error=TRANSIENT)

    @precondition(lambda self: self.jobs)
    @rule(which=WHICH)
    def lose_a_worker(self, which):
        job = self.pick(which)
        if self.may_go_wrong(job, most=1):
            self.end(job, Status.LOST)

    @precondition(lambda self: self.jobs)
    @rule(which=WHICH)
    def lose_an_attempt_that_never_started(self, which):
        job = self.pick(which)
        if job.attempt not in self.started and self.may_go_wrong(job, most=3):
            self.end(job, Status.LOST, started_at=0.0, worker="")

    @precondition(lambda self: self.asked & self.jobs.keys())
    @rule(which=WHICH)
    def let_a_cancelled_attempt_end(self, which):
        asked = sorted(self.asked & self.jobs.keys())
        job = self.jobs[asked[which % len(asked)]]
        began = job.attempt in self.started
        self.end(job, Status.CANCELLED, started_at=1.0 if began else 0.0)

    @precondition(lambda self: self.ended)
    @rule(which=WHICH, status=st.sampled_from(list(Status)))
    def report_again_what_has_ended(self, which, status):
        old = self.ended[which % len(self.ended)]
        self.run.report([old._replace(status=status), Started(old.attempt, "w9")], self.bench.now)

    @rule(attempt=st.integers(10**9, 10**9 + 5))
    def report_what_nobody_sent(self, attempt):
        self.run.report([Outcome(attempt, Status.SUCCEEDED, started_at=1.0)], self.bench.now)

    @rule(seconds=st.sampled_from([0.05, 1.5, 1.5, 20.0, 400.0]))
    def pass_time(self, seconds):
        self.bench.pass_time(seconds)

    @precondition(lambda self: not self.stopped and len(self.ended) > 3)
    @rule(really=st.integers(0, 9))
    def stop(self, really):
        if really == 0:
            self.run.stop()
            self.stopped = True

    # -- what always holds

    @invariant()
    def memory_admitted_is_within_the_budget(self):
        assert 0 <= self.budget.used_bytes <= BUDGET_BYTES
        assert self.budget.batches <= 2 * self.bench.slots

    @invariant()
    def what_is_in_flight_is_known(self):
        assert self.run._running.keys() == self.jobs.keys()
        self.asked.update(self.bench.cancelled())
        assert self.run.left == self.plan.tasks - len(self.complete) or self.stopped

    @invariant()
    def nothing_goes_wrong_by_itself(self):
        self.stopped = self.stopped or self.run.stopping
        assert self.run.error is None or isinstance(self.run.error, ExecutionError)
        assert not self.run.stalled

    def teardown(self):
        if not hasattr(self, "run"):
            return
        for _ in range(1000):
            if self.run.finished:
                break
            self.send(100, starts=False)
            for job in list(self.jobs.values()):
                self.drain(job)
            self.what_is_in_flight_is_known()
            self.bench.pass_time(60.0)
        assert self.run.finished, "the run does not drain"
        assert self.budget.used_bytes == self.budget.batches == 0
        self.each_task_completed_once()

    def each_task_completed_once(self):
        events = self.run.event_buffer.events
        told = [(e.attempt.stage, e.attempt.task) for e in events if isinstance(e, TaskSucceeded)]
        assert len(told) == len(set(told))
        if not self.stopped:
            assert set(told) == self.complete
            assert self.bench.state.values.results() == self.expected

    def drain(self, job):
        if self.stopped or job.attempt in self.asked:
            self.end(job, Status.CANCELLED, started_at=float(job.attempt in self.started))
        else:
            task = (self.stages[job.attempt], job.task)
            self.end(job, Status.SUCCEEDED, value=self.expected[task[0]][task[1]])
            self.complete.add(task)

    # -- the test's own

    def pick(self, which):
        attempts = sorted(self.jobs)
        return self.jobs[attempts[which % len(attempts)]]

    def may_go_wrong(self, job, *, most):
        task = (self.stages[job.attempt], job.task)
        self.mishaps[task] += 1
        return self.mishaps[task] <= most

    def end(self, job, status, **fields):
        fields.setdefault("started_at", 1.0)
        fields.setdefault("worker", f"w{job.attempt}")
        del self.jobs[job.attempt]
        outcome = Outcome(job.attempt, status, **fields)
        self.ended.append(outcome)
        self.run.report([outcome], self.bench.now)


TestScheduler = Scheduler.TestCase
TestScheduler.settings = settings(max_examples=examples(150), stateful_step_count=60, deadline=None)
