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


def test_a_further_stage_of_a_chain_takes_few_calls_to_run():
    def run(stages):
        bench = Workbench(chain(stages))
        return calls(bench.finish)[1]

    further = each(run(100), run(300), 200)
    assert sum(further.values()) <= 80, further


def test_a_further_stage_of_a_chain_takes_few_calls_to_prepare():
    def prepare(stages):
        plan = chain(stages)
        return calls(lambda: Workbench(plan))[1]

    further = each(prepare(100), prepare(300), 200)
    assert sum(further.values()) <= 74, further


@pytest.mark.parametrize("ready", [20, 400])
def test_what_a_batch_takes_does_not_depend_on_the_tasks_that_are_ready(ready):
    bench = Workbench(ax.Plan.map(abs, range(ready)))
    jobs, made = calls(lambda: bench.send(1))
    assert len(jobs) == 1
    assert made.total() <= 25, made
