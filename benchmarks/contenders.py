"""Ways of running a plain function many times, each as something that can be measured again and again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

from benchmarks.case import Figures, Measure

WORKERS = 2


def noop(item: int) -> int:
    return item


def per_task(seconds: float, tasks: int) -> Figures:
    return {"us_per_task": seconds / tasks * 1e6, "tasks_per_s": tasks / seconds}


def timed(tasks: int, work: Callable[[], Any]) -> Measure:
    """Measures `work`, whose result must be what `noop` makes of `range(tasks)`."""

    def measure() -> Figures:
        start = time.perf_counter()
        result = list(work())  # some are lazy
        seconds = time.perf_counter() - start
        assert result == list(range(tasks)), "the results are wrong"
        return per_task(seconds, tasks)

    return measure


@contextmanager
def engine_map(
    executor: str, tasks: int, *, observed: bool = False, **options: Any
) -> Iterator[Measure]:
    """Runs `Plan.map` on an engine that stays open between runs."""
    import asyncexec as ax

    observers = [lambda _: None] if observed else []
    with asyncio.Runner() as runner:
        engine = ax.Engine(executor, executor_options={"max_workers": WORKERS}, **options)
        runner.run(engine.__aenter__())
        plan = ax.Plan.map(noop, range(tasks))

        async def work() -> Any:
            return (await engine.execute(plan, observers=observers)).value

        try:
            yield timed(tasks, lambda: runner.run(work()))
        finally:
            runner.run(engine.__aexit__(None, None, None))


@contextmanager
def pool_map(pool: Executor, tasks: int, *, chunksize: int = 1) -> Iterator[Measure]:
    with pool:
        yield timed(tasks, lambda: pool.map(noop, range(tasks), chunksize=chunksize))


@contextmanager
def loop_executor(pool: Executor, tasks: int) -> Iterator[Measure]:
    """`loop.run_in_executor`, gathered."""
    with pool, asyncio.Runner() as runner:

        async def work() -> list[int]:
            loop = asyncio.get_running_loop()
            return await asyncio.gather(
                *(loop.run_in_executor(pool, noop, i) for i in range(tasks))
            )

        yield timed(tasks, lambda: runner.run(work()))


@contextmanager
def dask_delayed(scheduler: str, tasks: int) -> Iterator[Measure]:
    """`dask.delayed` without optimization, on one of Dask's local schedulers."""
    import dask

    def work() -> Any:
        delayed = [dask.delayed(noop)(i) for i in range(tasks)]
        return dask.compute(
            *delayed, scheduler=scheduler, num_workers=WORKERS, optimize_graph=False
        )

    yield timed(tasks, work)


@contextmanager
def distributed_map(tasks: int, *, processes: bool) -> Iterator[Measure]:
    """`Client.map` and `Client.gather` on a local cluster of Dask distributed."""
    from distributed import Client, LocalCluster

    workers, threads = (WORKERS, 1) if processes else (1, WORKERS)
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=threads,
            processes=processes,
            dashboard_address=None,
            silence_logs=50,
        ) as cluster,
        Client(cluster) as client,
    ):

        def work() -> Any:
            return client.gather(client.map(noop, range(tasks), pure=False))

        yield timed(tasks, work)
