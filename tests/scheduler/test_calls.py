"""What the scheduler does for a batch, in calls of its functions: without threads or a clock, so always the same.

The bounds leave some room. A change that needs more than that is slower for everybody: see where the calls are made
before raising them.
"""

import sys
from collections import Counter
from pathlib import Path

import pytest

import asyncexec as ax
from tests.scheduler.workbench import Workbench

PACKAGE = str(Path(ax.__file__).parent)


def calls(function):
    """Return the result of ``function``, and how often each function of the package was called for it."""
    made = Counter()

    def note(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            made[frame.f_code.co_qualname] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        return function(), made
    finally:
        sys.setprofile(before)


def chain(stages):
    plan = ax.Plan.map(abs, [1])
    for _ in range(stages - 1):
        plan = plan.then(abs)
    return plan


def each(few, many, units):
    return {name: round(n / units, 1) for name, n in (many - few).items() if n >= units}


def test_a_further_batch_of_one_task_takes_few_calls():
    def run(batches):
        bench = Workbench(ax.Plan.map(abs, range(batches)))
        return calls(bench.finish)[1]

    further = each(run(100), run(300), 200)
    assert sum(further.values()) <= 41, further


def test_a_further_stage_of_a_chain_takes_few_calls_to_prepare_and_to_run():
    """What a stage needs only when its tasks run is made then, and not for all that wait."""

    def prepare_and_run(stages):
        plan = chain(stages)
        bench, prepared = calls(lambda: Workbench(plan))
        return prepared, calls(bench.finish)[1]

    (some, some_run), (more, more_run) = prepare_and_run(100), prepare_and_run(300)
    prepared, ran = each(some, more, 200), each(some_run, more_run, 200)
    assert sum(prepared.values()) <= 49, prepared
    assert sum(ran.values()) <= 100, ran


@pytest.mark.parametrize("ready", [20, 400])
def test_what_a_batch_takes_does_not_depend_on_the_tasks_that_are_ready(ready):
    bench = Workbench(ax.Plan.map(abs, range(ready + 1)))
    bench.send(1)
    jobs, made = calls(lambda: bench.send(1))
    assert len(jobs) == 1
    assert made.total() <= 25, made
