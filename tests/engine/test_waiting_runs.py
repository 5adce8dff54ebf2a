"""A run that waits holds little: of a thousand, the garbage collector goes through everything again and again."""

import asyncio
import gc
import threading

import asyncexec as ax
from tests.scheduler.workbench import Workbench

WAITING = 200


def in_the_heap():
    """Return how many objects the garbage collector goes through."""
    gc.collect()
    gc.collect()
    return len(gc.get_objects())


async def all_wait(engine, plan, count):
    """Start so many runs, each awaited by a task; return them when each has been opened, and waits."""
    opened = engine._life._driver._dispatch._handles
    before = len(opened)
    tasks = [asyncio.create_task(engine.execute(plan)) for _ in range(count)]
    while len(opened) < before + count:
        await asyncio.sleep(0.01)
    return tasks


async def test_a_run_that_waits_holds_few_objects():
    held = threading.Event()
    resources = {"licences": 1}
    plan = ax.Plan.map(abs, range(10), resources=resources)
    options = {"executor_options": {"max_workers": 1}, "resources": resources}
    async with ax.Engine("threads", **options) as engine:
        await engine.execute(plan)  # what is made once in a process
        first = engine.start(ax.Plan.map(lambda _: held.wait(), [0], resources=resources))
        tasks = await all_wait(engine, plan, 20)
        before = in_the_heap()
        tasks += await all_wait(engine, plan, WAITING)
        each = (in_the_heap() - before) / WAITING
        held.set()
        await asyncio.gather(first, *tasks)
    assert each <= 83, each


def chain(stages):
    plan = ax.Plan.map(abs, [1])
    for _ in range(stages - 1):
        plan = plan.then(abs)
    return plan


def test_a_stage_that_waits_holds_few_objects_and_one_that_is_complete_no_more():
    plans = [chain(20), chain(20 + WAITING)]
    benches = []
    counts = [in_the_heap()]
    for plan in plans:
        benches.append(Workbench(plan))
        counts.append(in_the_heap())
    some, more = counts[1] - counts[0], counts[2] - counts[1]
    assert (more - some) / WAITING <= 12
    bench, before = benches[1], in_the_heap()
    bench.finish()
    bench.batches.clear()
    bench.kinds()
    assert in_the_heap() - before <= 1.2 * WAITING
