"""What a workflow costs beside its functions: per stage of a chain, and per item of a mapped stage."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.case import Case, Contender, Figures, Measure, Target
from benchmarks.contenders import WORKERS

STAGES = 20


def items(*, quick: bool) -> int:
    return 500 if quick else 5_000


def first(n: int) -> int:
    return n


def following(value: int) -> int:
    return value + 1


def numbers(n: int) -> list[int]:
    return list(range(n))


def doubled(number: int) -> int:
    return 2 * number


async def doubled_in_loop(number: int) -> int:
    return 2 * number


def timed(chain: Callable[[int], Any], mapped: Callable[[int], Any], many: int) -> Measure:
    """Measures a chain of stages, and a map over `many` items; both are given their size."""

    def measure() -> Figures:
        start = time.perf_counter()
        last = chain(STAGES)
        middle = time.perf_counter()
        values = mapped(many)
        end = time.perf_counter()
        assert last == 2 * STAGES - 1, "the chain's result is wrong"
        assert list(values) == [2 * i for i in range(many)], "the map's result is wrong"
        return {
            "us_per_stage": (middle - start) / STAGES * 1e6,
            "us_per_item": (end - middle) / many * 1e6,
        }

    return measure


def call_chain(n: int) -> int:
    value = first(n)
    for _ in range(STAGES - 1):
        value = following(value)
    return value


@contextmanager
def calls(many: int) -> Iterator[Measure]:
    """The functions, called."""
    yield timed(call_chain, lambda n: [doubled(i) for i in numbers(n)], many)


@contextmanager
def task_group(many: int) -> Iterator[Measure]:
    """A task of the event loop for every call."""

    async def chain(n: int) -> int:
        value = first(n)
        for _ in range(STAGES - 1):
            value = await asyncio.create_task(asyncio.to_thread(following, value))
        return value

    async def mapped(n: int) -> list[int]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(doubled_in_loop(i)) for i in numbers(n)]
        return [task.result() for task in tasks]

    with asyncio.Runner() as runner:
        yield timed(lambda n: runner.run(chain(n)), lambda n: runner.run(mapped(n)), many)


@contextmanager
def workflow(executor: str, many: int) -> Iterator[Measure]:
    """Workflows on an engine that stays open; what is timed includes their layout as a plan."""
    import asyncexec as ax
    from asyncexec.workflow import StageSpec, Workflow

    stages: list[Any] = [StageSpec.of(first, name="s0")]
    stages += [
        StageSpec.of(following, name=f"s{i}", inputs={"value": f"s{i - 1}"})
        for i in range(1, STAGES)
    ]
    chain = Workflow("chain", stages)
    function = doubled_in_loop if executor == "asyncio" else doubled
    mapped = Workflow(
        "mapped", [StageSpec.of(numbers), StageSpec.of(function, name="each", map_on="numbers")]
    )
    options = {"max_workers": WORKERS} if executor == "threads" else {}
    with asyncio.Runner() as runner:
        engine = ax.Engine(executor, executor_options=options)
        runner.run(engine.__aenter__())

        def run(flow: Any) -> Callable[[int], Any]:
            async def execute(n: int) -> Any:
                return (await engine.execute(flow(n=n))).value

            return lambda n: runner.run(execute(n))

        try:
            yield timed(run(chain), run(mapped), many)
        finally:
            runner.run(engine.__aexit__(None, None, None))


@contextmanager
def dask_delayed(many: int) -> Iterator[Measure]:
    """`dask.delayed` on Dask's scheduler of threads; the number of items is known when the graph is made."""
    import dask

    options = {"scheduler": "threads", "num_workers": WORKERS, "optimize_graph": False}

    def chain(n: int) -> Any:
        value = dask.delayed(first)(n)
        for _ in range(STAGES - 1):
            value = dask.delayed(following)(value)
        return dask.compute(value, **options)[0]

    def mapped(n: int) -> Any:
        return dask.compute(*(dask.delayed(doubled)(i) for i in range(n)), **options)

    yield timed(chain, mapped, many)


@contextmanager
def prefect(many: int) -> Iterator[Measure]:
    """Prefect's tasks in a flow, where it is installed; each is recorded in its database."""
    from prefect import flow, task

    following_task, doubled_task = task(following), task(doubled)

    @flow(log_prints=False)
    def chain(n: int) -> int:
        value = first(n)
        for _ in range(STAGES - 1):
            value = following_task(value)
        return value

    @flow(log_prints=False)
    def mapped(n: int) -> list[int]:
        return [future.result() for future in doubled_task.map(numbers(n))]

    yield timed(chain, mapped, many)


CASE = Case(
    name="workflow_overhead",
    about=f"a chain of {STAGES} stages, and a stage mapped over items, of functions that do nothing",
    figure="us_per_item",
    better="less is better",
    repeat=5,
    contenders=(
        Contender(
            name="engine, threads",
            ours=True,
            prepare=lambda quick: workflow("threads", items(quick=quick)),
        ),
        Contender(
            name="engine, asyncio",
            ours=True,
            prepare=lambda quick: workflow("asyncio", items(quick=quick)),
        ),
        Contender(name="calls", prepare=lambda quick: calls(items(quick=quick))),
        Contender(
            name="asyncio.TaskGroup",
            reference=True,
            prepare=lambda quick: task_group(items(quick=quick)),
        ),
        Contender(name="Dask threads", prepare=lambda quick: dask_delayed(items(quick=quick))),
        Contender(name="Prefect", prepare=lambda _: prefect(100)),
    ),
    targets=tuple(
        Target(of=of, figure=figure, at_most=1.0, against="Dask threads")
        for of in ("engine, threads", "engine, asyncio")
        for figure in ("us_per_item", "us_per_stage")
    ),
)
