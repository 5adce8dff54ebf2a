"""How late the host's event loop answers while a job runs beside it."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.case import Case, Contender, Figures, Measure, Target
from benchmarks.contenders import WORKERS, noop

type Work = Callable[[Any], Awaitable[None]]
"""What runs meanwhile, given an engine (None where nothing runs)."""


@contextmanager
def beating(work: Work, executor: str | None = None, *, quick: bool) -> Iterator[Measure]:
    """Measures lateness while `work(engine)` runs again and again; without an executor, while nothing does."""
    import asyncexec as ax
    from tests.loopwatch import Heartbeat

    seconds = 1.0 if quick else 3.0
    with asyncio.Runner() as runner:
        engine = None
        if executor is not None:
            engine = ax.Engine(executor, executor_options={"max_workers": WORKERS})
            runner.run(engine.__aenter__())

        async def measured() -> Figures:
            until = time.perf_counter() + seconds
            async with Heartbeat() as beats:
                while time.perf_counter() < until:
                    await work(engine)
            return {
                "p50_ms": beats.lateness_seconds(0.5) * 1e3,
                "p99_ms": beats.lateness_seconds(0.99) * 1e3,
                "worst_ms": beats.lateness_seconds(1.0) * 1e3,
                "beats": float(len(beats.late_seconds)),
            }

        try:
            yield lambda: runner.run(measured())
        finally:
            if engine is not None:
                runner.run(engine.__aexit__(None, None, None))


async def nothing(_: object) -> None:
    await asyncio.sleep(0.5)


def noops(*, quick: bool) -> Work:
    import asyncexec as ax

    plan = ax.Plan.map(noop, range(10_000 if quick else 100_000))

    async def work(engine: Any) -> None:
        await engine.execute(plan)

    return work


def arrays(*, quick: bool) -> Work:
    """Mean of an elementwise expression of two arrays, in chunks of 2 MB through Zarr."""
    import asyncexec.array as xp
    from asyncexec.array import Spec

    size = 2_000 if quick else 6_000

    async def work(engine: Any) -> None:
        with tempfile.TemporaryDirectory() as folder:
            spec = Spec(work_dir=folder, allowed_mem="500MB")
            a = xp.ones((size, size), chunks=(500, 500), spec=spec)
            b = xp.ones((size, size), chunks=(500, 500), spec=spec)
            rechunked = xp.rechunk(a + b, (250, 1000))
            await engine.execute(xp.mean(rechunked * rechunked, axis=0))

    return work


CASE = Case(
    name="heartbeat",
    about="lateness of 1 ms sleeps on the loop that runs the engine",
    figure="p99_ms",
    better="less is better",
    contenders=(
        Contender(
            name="nothing runs", reference=True, prepare=lambda quick: beating(nothing, quick=quick)
        ),
        Contender(
            name="no-ops, threads",
            ours=True,
            prepare=lambda quick: beating(noops(quick=quick), "threads", quick=quick),
        ),
        Contender(
            name="no-ops, processes",
            ours=True,
            prepare=lambda quick: beating(noops(quick=quick), "processes", quick=quick),
        ),
        Contender(
            name="arrays, threads",
            ours=True,
            prepare=lambda quick: beating(arrays(quick=quick), "threads", quick=quick),
        ),
        Contender(
            name="arrays, processes",
            ours=True,
            prepare=lambda quick: beating(arrays(quick=quick), "processes", quick=quick),
        ),
    ),
    targets=(
        Target(of="arrays, processes", figure="p99_ms", at_most=10),
        Target(of="arrays, threads", figure="p99_ms", at_most=50),
    ),
    repeat=3,
)
