"""One account of all values that are kept, and what follows when they take more than their budget."""

from asyncexec.events.outcome import Encoded, ValueHandle
from asyncexec.plan.plan import Plan
from asyncexec.scheduler.admission import AdmissionBudget
from asyncexec.scheduler.value_account import ValueAccount
from tests.scheduler.test_result_store import Store
from tests.scheduler.workbench import Workbench


def one(x):
    return x


class Spilling(Store):
    def __init__(self):
        super().__init__()
        self.said = []

    def spill(self, now):
        self.said.append(now)


def handle(key, nbytes, *, on_disk=False):
    return ValueHandle("here", str(key), nbytes, on_disk)


def test_each_value_is_counted_once_where_it_is():
    account = ValueAccount(100)
    first, second = handle(1, 60), handle(2, 1000, on_disk=True)
    for value in (first, first, second):
        account.add(value)
    assert (account.memory_bytes, account.disk_bytes, account.is_full) == (60, 1000, False)
    account.add(handle(3, 60))
    assert account.is_full
    account.remove([first, second, handle(4, 5)])
    account.remove([first])
    assert (account.memory_bytes, account.disk_bytes, account.peak_bytes) == (60, 0, 120)


def test_without_a_budget_there_is_always_room():
    account = ValueAccount()
    account.add(handle(1, 10**15))
    assert not account.must_wait


def test_a_store_with_a_place_on_disk_is_asked_to_use_it_while_memory_is_full():
    account, store = ValueAccount(100), Spilling()
    account.open(store)
    account.add(handle(1, 80))
    account.add(handle(2, 80))
    assert account.is_full
    assert not account.must_wait
    account.add(handle(3, 80, on_disk=True))
    account.remove([handle(1, 80)])
    account.remove([handle(2, 80)])
    assert store.said == [True, False]


class Chunks:
    used_bytes = 0


def test_tasks_values_and_chunks_have_one_budget_where_they_are_in_one_memory():
    budget = AdmissionBudget(100, value_bytes=80, values_share_memory=True)
    budget.check(Plan.map(one, [1], memory=30))
    budget.values.open(store := Spilling())
    budget.intermediates = chunks = Chunks()
    budget.take(30, {})
    budget.values.add(handle(1, 50))
    assert not store.said
    assert not budget.fits_memory(30), "30 for the task that runs and 50 for the value leave 20"
    assert budget.room(10, {}, 5) == 2
    chunks.used_bytes = 15
    assert budget.room(5, {}, 5) == 1
    assert not budget.fits_memory(10)
    budget.values.add(handle(2, 6))
    assert store.said == [True], "chunks and values leave less than the largest task needs"
    budget.give_back(30, {})
    assert budget.fits_memory(30), "a task alone never waits for what is held"
    budget.take(30, {})
    assert budget.peak_bytes == 30 + 56 + 15


def test_values_elsewhere_take_nothing_of_the_memory_of_tasks():
    budget = AdmissionBudget(100, value_bytes=80)
    budget.take(30, {})
    budget.values.add(handle(1, 80))
    assert budget.fits_memory(70)
    assert not budget.values.is_full


def bench_with(store, nbytes, plan):
    budget = AdmissionBudget(value_bytes=nbytes)
    budget.values.open(store)
    return Workbench(plan, value_store=store, budget=budget, slots=4)


def end(bench, store, job):
    bench.end(job, value=store.keep(job.attempt))  # Of 100 bytes.


def test_tasks_that_only_add_values_go_one_at_a_time_while_memory_is_full():
    store = Store()
    plan = Plan.map(one, range(20), name="make").then(one, name="use").reduce(len)
    bench = bench_with(store, 250, plan)
    first = bench.send(4)
    for job in first[:3]:
        end(bench, store, job)
    assert bench.budget.values.must_wait
    readers = bench.send()
    assert {bench.jobs[job.attempt][0] for job in readers} == {"use"}
    for job in [*readers, first[3]]:
        bench.end(job, value=1)
    assert not bench.budget.values.memory_bytes
    while not bench.run.finished:
        for job in bench.send():
            end(bench, store, job)
        # At most what was sent before it was full, and then one at a time.
        assert bench.budget.values.memory_bytes <= 250 + 8 * 100 + 20 * 100
    assert bench.budget.values.memory_bytes == 100  # The result's.
    bench.state.values.close()
    assert not store.values
    assert not bench.budget.values.memory_bytes


def test_a_source_goes_on_alone_where_nothing_else_can_run():
    store = Store()
    bench = bench_with(store, 150, Plan.map(one, range(8), name="make"))
    for job in bench.send():
        end(bench, store, job)
    sent = []
    while jobs := bench.send():
        sent.append(len(jobs))
        for job in jobs:
            end(bench, store, job)
    assert set(sent) <= {1}
    assert bench.run.finished


def test_figures_say_what_was_kept_spilled_and_moved():
    bench = Workbench(Plan.map(one, range(3)), value_store=Store(), slots=3)
    values = [handle(1, 100), handle(2, 50, on_disk=True), Encoded(b"x" * 7)]
    for job, value in zip(bench.send(), values, strict=True):
        bench.end(job, value=value)
    figures = bench.run.stages[0].figures
    assert (figures.kept_bytes, figures.spilled_bytes, figures.moved_bytes) == (150, 50, 7)
