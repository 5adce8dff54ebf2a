"""The time for 10,000 tasks that wait for a tenth of a second, a thousand at once: a second, if waiting were all."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.case import Case, Contender, Figures, Measure, Target

NAP_SECONDS = 0.1
AT_ONCE = 1000


def tasks(*, quick: bool) -> int:
    return 2_000 if quick else 10_000


async def nap(item: int) -> int:
    await asyncio.sleep(NAP_SECONDS)
    return item


def timed(runner: asyncio.Runner, work: Any, many: int, at_once: int) -> Measure:
    """Measures `work()`, in seconds and as a multiple of the time that nothing but waiting takes."""
    ideal = many / at_once * NAP_SECONDS

    def measure() -> Figures:
        start = time.perf_counter()
        result = runner.run(work())
        seconds = time.perf_counter() - start
        assert result == list(range(many)), "the results are wrong"
        return {"seconds": seconds, "of_ideal": seconds / ideal}

    return measure


@contextmanager
def engine(executor: str, many: int, *, slots: int = 1, **options: Any) -> Iterator[Measure]:
    """Runs `Plan.map` of the coroutine function on an engine that stays open between runs."""
    import asyncexec as ax

    plan = ax.Plan.map(nap, range(many), concurrency=AT_ONCE)
    with asyncio.Runner() as runner:
        opened = ax.Engine(executor, executor_options=options)
        runner.run(opened.__aenter__())

        async def work() -> Any:
            return (await opened.execute(plan)).value

        try:
            yield timed(runner, work, many, slots * AT_ONCE)
        finally:
            runner.run(opened.__aexit__(None, None, None))


@contextmanager
def task_group(many: int) -> Iterator[Measure]:
    """`asyncio.TaskGroup`, with a semaphore for the limit."""

    async def work() -> list[int]:
        lanes = asyncio.Semaphore(AT_ONCE)

        async def limited(item: int) -> int:
            async with lanes:
                return await nap(item)

        async with asyncio.TaskGroup() as group:
            started = [group.create_task(limited(item)) for item in range(many)]
        return [task.result() for task in started]

    with asyncio.Runner() as runner:
        yield timed(runner, work, many, AT_ONCE)


CASE = Case(
    name="coroutines",
    about=f"a coroutine function that waits {NAP_SECONDS:g} s, {AT_ONCE:,} at once",
    figure="of_ideal",
    better="less is better, 1 is nothing but waiting",
    repeat=3,
    contenders=(
        Contender(
            name="engine, asyncio",
            ours=True,
            prepare=lambda quick: engine("asyncio", tasks(quick=quick)),
        ),
        Contender(
            name="engine, 1 thread",
            ours=True,
            prepare=lambda quick: engine("threads", tasks(quick=quick), max_workers=1),
        ),
        Contender(
            name="engine, 1 process",
            ours=True,
            prepare=lambda quick: engine("processes", tasks(quick=quick), max_workers=1),
        ),
        Contender(
            name="engine, 2 processes",
            ours=True,
            prepare=lambda quick: engine("processes", tasks(quick=quick), slots=2, max_workers=2),
        ),
        Contender(
            name="asyncio.TaskGroup",
            reference=True,
            prepare=lambda quick: task_group(tasks(quick=quick)),
        ),
    ),
    targets=tuple(
        Target(of=f"engine, {where}", figure="of_ideal", at_most=2.0)
        for where in ("asyncio", "1 thread", "1 process", "2 processes")
    ),
)
