"""What it costs to add 1 to three elements: all that is not the work itself."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from benchmarks.array_contenders import ALLOWED, cubeds_own
from benchmarks.case import Case, Contender, Figures, Measure, Target
from benchmarks.contenders import WORKERS

THREE = np.arange(3.0)
EXPECTED = THREE + 1


def again_and_again(work: Callable[[], Any], *, quick: bool) -> Measure:
    """Measures the median of many computations; CPU time is that of all threads of the process."""
    times = 5 if quick else 50

    def once() -> tuple[float, float]:
        cpu, wall = time.process_time(), time.perf_counter()
        value = work()
        took = time.process_time() - cpu, time.perf_counter() - wall
        np.testing.assert_array_equal(value, EXPECTED)
        return took

    def measure() -> Figures:
        cpu, wall = zip(*(once() for _ in range(times)), strict=True)
        return {
            "cpu_ms": statistics.median(cpu) * 1e3,
            "wall_ms": statistics.median(wall) * 1e3,
        }

    return measure


@contextmanager
def fresh_engine(*, quick: bool) -> Iterator[Measure]:
    """`(x + 1).compute()`, which makes an engine and an event loop, and ends both."""
    import asyncexec.array as xp

    def work() -> Any:
        return (xp.asarray(THREE) + 1).compute()

    yield again_and_again(work, quick=quick)


@contextmanager
def open_engine(*, quick: bool) -> Iterator[Measure]:
    """`await engine.execute(x + 1)` on an engine that stays open."""
    import asyncexec as ax
    import asyncexec.array as xp

    with asyncio.Runner() as runner:
        engine = ax.Engine("threads", executor_options={"max_workers": WORKERS})
        runner.run(engine.__aenter__())

        async def work() -> Any:
            return (await engine.execute(xp.asarray(THREE) + 1)).value

        try:
            yield again_and_again(lambda: runner.run(work()), quick=quick)
        finally:
            runner.run(engine.__aexit__(None, None, None))


@contextmanager
def cubed(executor: str, *, quick: bool) -> Iterator[Measure]:
    import cubed
    import cubed.array_api as xp

    spec = cubed.Spec(allowed_mem=ALLOWED)
    runs_on = cubeds_own(executor)
    yield again_and_again(
        lambda: (xp.asarray(THREE, spec=spec) + 1).compute(executor=runs_on), quick=quick
    )


@contextmanager
def dask_threads(*, quick: bool) -> Iterator[Measure]:
    import dask.array as da

    yield again_and_again(
        lambda: (da.asarray(THREE) + 1).compute(scheduler="threads", num_workers=WORKERS),
        quick=quick,
    )


@contextmanager
def bare_asyncio(*, fresh: bool, quick: bool) -> Iterator[Measure]:
    """NumPy in `asyncio.to_thread`: on a loop of its own each time, or on one that stays open."""

    async def work() -> Any:
        return await asyncio.to_thread(np.add, THREE, 1)

    if fresh:
        yield again_and_again(lambda: asyncio.run(work()), quick=quick)
        return
    with asyncio.Runner() as runner:
        yield again_and_again(lambda: runner.run(work()), quick=quick)


CASE = Case(
    name="small_compute",
    about="adding 1 to three elements",
    figure="cpu_ms",
    better="less is better",
    contenders=(
        Contender(name="engine, fresh", ours=True, prepare=lambda quick: fresh_engine(quick=quick)),
        Contender(name="engine, open", ours=True, prepare=lambda quick: open_engine(quick=quick)),
        Contender(
            name="Cubed, threads",
            reference=True,
            prepare=lambda quick: cubed("threads", quick=quick),
        ),
        Contender(
            name="Cubed, one thread", prepare=lambda quick: cubed("single-threaded", quick=quick)
        ),
        Contender(name="Dask array, threads", prepare=lambda quick: dask_threads(quick=quick)),
        Contender(
            name="asyncio, fresh loop", prepare=lambda quick: bare_asyncio(fresh=True, quick=quick)
        ),
        Contender(
            name="asyncio, open loop", prepare=lambda quick: bare_asyncio(fresh=False, quick=quick)
        ),
    ),
    targets=(
        Target(of="engine, fresh", figure="cpu_ms", at_most=8),
        Target(of="engine, open", figure="cpu_ms", at_most=3),
        Target(of="engine, fresh", figure="cpu_ms", at_most=1, against="Cubed, threads"),
    ),
)
