"""What a small plan costs when so many are run at once on one engine, also when they wait for each other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from benchmarks.array_contenders import ALLOWED, cubeds_own
from benchmarks.case import Case, Contender, Figures, Measure, Prepare, Target
from benchmarks.contenders import WORKERS, noop

TASKS = 10
MOST = 1_000

type OnePlan = Callable[[], Awaitable[Any]]


async def at_once(one: OnePlan, count: int, total: int) -> Figures:
    """Runs `total` plans, `count` at a time; CPU time is that of all threads of the process."""
    from tests.loopwatch import Heartbeat

    async with Heartbeat() as beats:
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(total // count):
            await asyncio.gather(*(one() for _ in range(count)))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {
        "cpu_us_per_plan": cpu / total * 1e6,
        "us_per_plan": wall / total * 1e6,
        "lag_p99_ms": beats.lateness_seconds(0.99) * 1e3,
    }


@contextmanager
def plans(
    count: int,
    *,
    quick: bool,
    executor: str = "threads",
    engine_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> Iterator[Measure]:
    """Plans on an engine that stays open, `count` at a time."""
    import asyncexec as ax

    plan = ax.Plan.map(noop, range(TASKS), **options)
    with asyncio.Runner() as runner:
        workers = {"max_workers": WORKERS}
        engine = ax.Engine(executor, executor_options=workers, **(engine_options or {}))
        runner.run(engine.__aenter__())
        try:
            total = count if quick and count > 10 else MOST
            yield lambda: runner.run(at_once(lambda: engine.execute(plan), count, total))
        finally:
            runner.run(engine.__aexit__(None, None, None))


def ours(name: str, count: int, *, reference: bool = False, **options: Any) -> Contender:
    def prepare(quick: bool) -> Any:  # noqa: FBT001 - the form of every preparation
        return plans(count, quick=quick, **options)

    return Contender(name=name, ours=True, reference=reference, prepare=prepare)


@contextmanager
def bare_asyncio(count: int) -> Iterator[Measure]:
    """`gather` over `run_in_executor` in place of a plan."""
    with ThreadPoolExecutor(WORKERS) as pool, asyncio.Runner() as runner:

        async def one() -> Any:
            loop = asyncio.get_running_loop()
            tasks = [loop.run_in_executor(pool, noop, item) for item in range(TASKS)]
            return await asyncio.gather(*tasks)

        yield lambda: runner.run(at_once(one, count, MOST))


@contextmanager
def dask_threads(count: int) -> Iterator[Measure]:
    """Graphs of Dask on its threads; each blocks, so that a thread waits for it."""
    import dask

    def graph() -> Any:
        delayed = [dask.delayed(noop)(i) for i in range(TASKS)]
        return dask.compute(
            *delayed, scheduler="threads", num_workers=WORKERS, optimize_graph=False
        )

    with asyncio.Runner() as runner:
        yield lambda: runner.run(at_once(lambda: asyncio.to_thread(graph), count, MOST))


@contextmanager
def cubed_threads(count: int) -> Iterator[Measure]:
    """Arrays of Cubed of as many chunks, computed on its threads; each blocks, so that a thread waits for it."""
    import cubed
    import cubed.array_api as xp

    spec = cubed.Spec(allowed_mem=ALLOWED)
    runs_on = cubeds_own("threads")

    def array() -> Any:
        return xp.negative(xp.ones((TASKS,), chunks=(1,), spec=spec)).compute(executor=runs_on)

    with asyncio.Runner() as runner:
        yield lambda: runner.run(at_once(lambda: asyncio.to_thread(array), count, count))


def peer(name: str, prepare: Callable[[], Any]) -> Contender:
    prepared: Prepare = lambda _: prepare()  # noqa: E731 - as the others write it in place
    return Contender(name=name, prepare=prepared)


CASE = Case(
    name="many_plans",
    about=f"plans of {TASKS} tasks that do nothing, {WORKERS} workers, so many at once on one engine",
    figure="cpu_us_per_plan",
    better="less is better; ratios against 10 at once on threads, so 1.00 is flat",
    contenders=(
        ours("10 at once", 10, reference=True),
        ours("100 at once", 100),
        ours("1,000 at once", MOST),
        ours(
            "10, memory for one",
            10,
            engine_options={"memory": "1GB"},
            memory="1GB",
        ),
        ours("1,000, memory for one", MOST, engine_options={"memory": "1GB"}, memory="1GB"),
        ours(
            "1,000, a resource for one",
            MOST,
            engine_options={"resources": {"licences": 1}},
            resources={"licences": 1},
        ),
        ours("10 on processes", 10, executor="processes"),
        ours("1,000 on processes", MOST, executor="processes"),
        peer("asyncio and a pool, 10", lambda: bare_asyncio(10)),
        peer("asyncio and a pool, 1,000", lambda: bare_asyncio(MOST)),
        peer("Dask, threads, 10", lambda: dask_threads(10)),
        peer("Cubed, threads, 10", lambda: cubed_threads(10)),
    ),
    targets=(
        Target(of="1,000 at once", figure="cpu_us_per_plan", at_most=1.2, against="10 at once"),
        Target(
            of="1,000, memory for one",
            figure="cpu_us_per_plan",
            at_most=1.2,
            against="10, memory for one",
        ),
        Target(
            of="1,000 on processes",
            figure="cpu_us_per_plan",
            at_most=1.2,
            against="10 on processes",
        ),
        Target(of="1,000 at once", figure="lag_p99_ms", at_most=20),
    ),
)
