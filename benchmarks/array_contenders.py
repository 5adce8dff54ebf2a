"""Array jobs on Zarr, done by the engine, by Dask, by Cubed and by hand; every run's result is checked."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from benchmarks.case import Figures, Measure
from benchmarks.contenders import WORKERS

ALLOWED = "1GB"
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job's inputs are, what they hold, and where its output goes."""

    folder: Path
    x: np.ndarray
    y: np.ndarray

    @property
    def sources(self) -> tuple[str, str]:
        return str(self.folder / "x.zarr"), str(self.folder / "y.zarr")

    @property
    def target(self) -> str:
        return str(self.folder / "out.zarr")

    @property
    def scratch(self) -> str:
        return str(self.folder / "scratch")


@contextmanager
def place(*, quick: bool) -> Iterator[Place]:
    """Two arrays of 128 MB (8 MB for a quick run) of which compression makes little, in chunks of 2 MB."""
    size = 1_000 if quick else 4_000
    source = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        made = Place(Path(folder), source.random((size, size)), source.random((size, size)))
        for path, data in zip(made.sources, (made.x, made.y), strict=True):
            zarr.create_array(path, data=data, chunks=(CHUNK, CHUNK))
        yield made


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job in four languages; those that store return None and are checked by what they stored.

    `expression` is for namespaces that follow the Array API (ours and Cubed's), given arrays and the namespace.
    """

    name: str
    about: str
    expected: Callable[[np.ndarray, np.ndarray], np.ndarray]
    expression: Callable[[Any, Any, Any], Any]
    dask: Callable[[Any, Any], Any]
    by_hand: Callable[[Place, Callable[..., Any]], np.ndarray | None]
    stores: bool


def measured(job: Job, where: Place, work: Callable[[], Any]) -> Measure:
    expected = job.expected(where.x, where.y)

    def measure() -> Figures:
        shutil.rmtree(where.target, ignore_errors=True)
        start = time.perf_counter()
        value = work()
        seconds = time.perf_counter() - start
        if job.stores:
            value = zarr.open_array(where.target, mode="r")[...]
        np.testing.assert_allclose(value, expected, rtol=1e-9)
        return {"seconds": seconds}

    return measure


@contextmanager
def engine_job(job: Job, executor: str, *, quick: bool) -> Iterator[Measure]:
    import asyncexec as ax
    import asyncexec.array as xp

    with place(quick=quick) as where, asyncio.Runner() as runner:
        spec = ax.Spec(work_dir=where.scratch, allowed_mem=ALLOWED)
        engine = ax.Engine(executor, executor_options={"max_workers": WORKERS})
        runner.run(engine.__aenter__())

        async def work() -> Any:
            x, y = (xp.from_zarr(path, spec=spec) for path in where.sources)
            z = job.expression(xp, x, y)
            plan = xp.store([z], [where.target]) if job.stores else z
            return (await engine.execute(plan)).value

        try:
            yield measured(job, where, lambda: runner.run(work()))
        finally:
            runner.run(engine.__aexit__(None, None, None))


@contextmanager
def dask_job(job: Job, *, quick: bool) -> Iterator[Measure]:
    import dask.array as da

    with place(quick=quick) as where:

        def work() -> Any:
            x, y = (da.from_zarr(path) for path in where.sources)
            z = job.dask(x, y)
            options = {"scheduler": "threads", "num_workers": WORKERS}
            if job.stores:
                return da.to_zarr(z, where.target, compute=False).compute(**options)
            return z.compute(**options)

        yield measured(job, where, work)


def cubeds_own(name: str) -> Any:
    from cubed.runtime.create import create_executor

    return create_executor(name, {"max_workers": WORKERS})


@contextmanager
def cubed_job(
    job: Job, *, quick: bool, executor_of: Callable[[], Any] = lambda: cubeds_own("threads")
) -> Iterator[Measure]:
    import cubed
    import cubed.array_api as xp

    with place(quick=quick) as where:
        spec = cubed.Spec(work_dir=where.scratch, allowed_mem=ALLOWED)
        executor = executor_of()

        def work() -> Any:
            x, y = (cubed.from_zarr(path, spec=spec) for path in where.sources)
            z = job.expression(xp, x, y)
            if job.stores:
                return cubed.to_zarr(z, where.target, executor=executor)
            return z.compute(executor=executor)

        yield measured(job, where, work)


@contextmanager
def hand_job(job: Job, *, quick: bool) -> Iterator[Measure]:
    """A loop over blocks, in a pool of threads."""
    with place(quick=quick) as where, ThreadPoolExecutor(WORKERS) as pool:
        yield measured(job, where, lambda: job.by_hand(where, pool.map))


def blocks(shape: tuple[int, ...], size: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    for starts in itertools.product(*(range(0, n, s) for n, s in zip(shape, size, strict=True))):
        yield tuple(slice(a, a + s) for a, s in zip(starts, size, strict=True))
