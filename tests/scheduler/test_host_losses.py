"""Workers of a host that are lost together are one event for the run, however many attempts they take with them."""

import pytest

import asyncexec as ax
from asyncexec.errors import RetryBudgetError
from asyncexec.events.outcome import Status
from asyncexec.scheduler.host_losses import TOGETHER_SECONDS
from tests.scheduler.workbench import Workbench

TASKS = 12


def bench_on(hosts):
    """Return a run whose tasks have started, on workers of so many hosts, and their attempts by host."""
    retry = ax.Retry(attempts=5, base_seconds=0.001, budget=None)
    bench = Workbench(ax.Plan.map(abs, range(TASKS)), slots=TASKS, retry=retry)
    bench.run.retries.budget.allowed = 2
    attempts = {}
    for number, job in enumerate(bench.send()):
        host = f"host-{number % hosts}"
        bench.start(job, f"{host}:{number}")
        attempts.setdefault(host, []).append((job, f"{host}:{number}"))
    return bench, attempts


def lose(bench, attempts, *, apart=0.0):
    for job, worker in attempts:
        bench.end(job, Status.LOST, worker=worker)
        bench.pass_time(apart)


def test_a_lost_host_is_one_failure_of_the_backend_and_takes_one_retry_from_the_budget():
    bench, attempts = bench_on(hosts=3)
    for failures, host in enumerate(("host-1", "host-2"), start=1):
        lose(bench, attempts[host])
        assert bench.run.error is None
        assert bench.run.retries.circuit.failures == failures
    bench.pass_time(1.0)
    assert len({job.task for job in bench.send()}) == 2 * TASKS / 3


@pytest.mark.parametrize("hosts, apart", [(1, 0.0), (TASKS, 0.0), (3, TOGETHER_SECONDS + 1.0)])
def test_losses_that_no_host_explains_count_one_by_one(hosts, apart):
    bench, attempts = bench_on(hosts=hosts)
    lost = [each for of_host in attempts.values() for each in of_host][:3]
    lose(bench, lost[:2], apart=apart)
    assert bench.run.retries.circuit.failures == 2
    assert bench.run.error is None
    lose(bench, lost[2:])
    assert isinstance(bench.run.error, RetryBudgetError)
