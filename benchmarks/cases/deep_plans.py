"""What a task costs in a plan of many stages: chains that are built link by link, and run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from benchmarks.array_contenders import ALLOWED, cubeds_own
from benchmarks.case import Case, Contender, Figures, Measure, Target
from benchmarks.contenders import WORKERS, noop

WIDTH = 10
SHORT, LONG = 250, 5_000
ITEMS = list(range(WIDTH))


def built_and_run(build: Callable[[], Any], run: Callable[[Any], Any], stages: int) -> Figures:
    """Measures the CPU time of both, that of all threads of the process."""
    before = time.process_time()
    chain = build()
    built = time.process_time()
    result = run(chain)
    ran = time.process_time()
    assert list(result) == ITEMS, "the results are wrong"
    return {
        "cpu_us_per_task": (ran - built) / (stages * WIDTH) * 1e6,
        "build_us_per_stage": (built - before) / stages * 1e6,
    }


@contextmanager
def chain(stages: int) -> Iterator[Measure]:
    """A chain made by `then`, on an engine that stays open."""
    import asyncexec as ax

    def build() -> Any:
        plan = ax.Plan.map(noop, ITEMS)
        for _ in range(stages - 1):
            plan = plan.then(noop)
        return plan

    with asyncio.Runner() as runner:
        engine = ax.Engine("threads", executor_options={"max_workers": WORKERS})
        runner.run(engine.__aenter__())

        async def work(plan: Any) -> Any:
            return (await engine.execute(plan)).value

        try:
            yield lambda: built_and_run(build, lambda plan: runner.run(work(plan)), stages)
        finally:
            runner.run(engine.__aexit__(None, None, None))


@contextmanager
def bare_asyncio(stages: int) -> Iterator[Measure]:
    """A coroutine for each item, which awaits one call in a pool after the other."""
    with ThreadPoolExecutor(WORKERS) as pool, asyncio.Runner() as runner:

        async def one(item: int) -> int:
            loop = asyncio.get_running_loop()
            for _ in range(stages):
                item = await loop.run_in_executor(pool, noop, item)
            return item

        async def work(_: Any) -> Any:
            return await asyncio.gather(*map(one, ITEMS))

        yield lambda: built_and_run(lambda: None, lambda plan: runner.run(work(plan)), stages)


@contextmanager
def dask_threads(stages: int) -> Iterator[Measure]:
    """Chains of `dask.delayed`, without optimization, on Dask's threads."""
    import dask

    def build() -> Any:
        links = [dask.delayed(item) for item in ITEMS]
        for _ in range(stages):
            links = [dask.delayed(noop)(link) for link in links]
        return links

    def run(links: Any) -> Any:
        return dask.compute(*links, scheduler="threads", num_workers=WORKERS, optimize_graph=False)

    yield lambda: built_and_run(build, run, stages)


@contextmanager
def cubed_threads(stages: int) -> Iterator[Measure]:
    """A chain of array operations of Cubed, not fused, on its threads."""
    import cubed
    import cubed.array_api as xp
    import numpy as np

    spec = cubed.Spec(allowed_mem=ALLOWED)
    runs_on = cubeds_own("threads")

    def build() -> Any:
        array = xp.asarray(np.arange(WIDTH), chunks=(1,), spec=spec)
        for _ in range(stages):
            array = xp.positive(array)
        return array

    yield lambda: built_and_run(
        build, lambda array: array.compute(executor=runs_on, optimize_graph=False), stages
    )


CASE = Case(
    name="deep_plans",
    about=f"chains of so many stages, {WIDTH} tasks each that do nothing, {WORKERS} threads",
    figure="cpu_us_per_task",
    better="less is better; ratios against the short chain, so 1.00 is flat",
    contenders=(
        Contender(
            name=f"{SHORT} stages", ours=True, reference=True, prepare=lambda _: chain(SHORT)
        ),
        Contender(name="1,000 stages", ours=True, prepare=lambda _: chain(1_000)),
        Contender(name="5,000 stages", ours=True, prepare=lambda _: chain(LONG)),
        Contender(name=f"asyncio and a pool, {SHORT}", prepare=lambda _: bare_asyncio(SHORT)),
        Contender(name=f"Dask, {SHORT} links", prepare=lambda _: dask_threads(SHORT)),
        Contender(name="Cubed, 20 stages", prepare=lambda _: cubed_threads(20)),
    ),
    targets=(
        Target(of="5,000 stages", figure="cpu_us_per_task", at_most=60),
        Target(
            of="5,000 stages",
            figure="cpu_us_per_task",
            at_most=1.2,
            against=f"{SHORT} stages",
        ),
        Target(of="5,000 stages", figure="build_us_per_stage", at_most=200),
    ),
    repeat=5,
)
