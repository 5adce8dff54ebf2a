"""The time of a small plan when so many are run at once on one engine."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.case import Case, Contender, Figures, Measure, Target
from benchmarks.contenders import WORKERS, noop

TASKS = 8


@contextmanager
def plans(at_once: int, total: int) -> Iterator[Measure]:
    """Runs `total` plans of a few tasks each, `at_once` at a time, on an engine that stays open."""
    import asyncexec as ax

    plan = ax.Plan.map(noop, range(TASKS))

    async def work(engine: Any) -> None:
        for _ in range(total // at_once):
            async with asyncio.TaskGroup() as group:
                for _ in range(at_once):
                    group.create_task(engine.execute(plan))

    with asyncio.Runner() as runner:
        engine = ax.Engine("threads", executor_options={"max_workers": WORKERS})
        runner.run(engine.__aenter__())

        def measure() -> Figures:
            start = time.perf_counter()
            runner.run(work(engine))
            return {"us_per_plan": (time.perf_counter() - start) / total * 1e6}

        try:
            yield measure
        finally:
            runner.run(engine.__aexit__(None, None, None))


CASE = Case(
    name="many_plans",
    about=f"plans of {TASKS} tasks that do nothing, {WORKERS} threads, so many at once on one engine",
    figure="us_per_plan",
    better="less is better; ratios against 10 at once, so 1.00 is flat",
    contenders=(
        Contender(name="10 at once", ours=True, reference=True, prepare=lambda _: plans(10, 1_000)),
        Contender(name="100 at once", ours=True, prepare=lambda _: plans(100, 1_000)),
        Contender(name="1,000 at once", ours=True, prepare=lambda _: plans(1_000, 1_000)),
    ),
    targets=(Target(of="1,000 at once", figure="us_per_plan", at_most=1.2, against="10 at once"),),
)
