"""The same Cubed plans on Cubed's own executors and on this engine; Cubed's tasks do the work in both."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from benchmarks.array_contenders import ALLOWED, Job, cubed_job, cubeds_own
from benchmarks.case import Case, Contender, Figures, Measure, Prepare, Target
from benchmarks.cases.array_jobs import JOBS
from benchmarks.contenders import WORKERS


def ours(name: str) -> Any:
    from asyncexec.integrations.cubed import AsyncexecExecutor

    return AsyncexecExecutor(name, max_workers=WORKERS)


EXECUTORS: dict[str, tuple[Callable[[], Any], bool]] = {
    "asyncexec, threads": (partial(ours, "threads"), True),
    "Cubed, threads": (partial(cubeds_own, "threads"), False),
    "asyncexec, processes": (partial(ours, "processes"), True),
    "Cubed, processes": (partial(cubeds_own, "processes"), False),
}


@contextmanager
def small_tasks(executor_of: Callable[[], Any], *, quick: bool) -> Iterator[Measure]:
    """Two operations and a sum that are not fused, over 400 blocks (49) of 8 kB."""
    import cubed
    import cubed.array_api as xp

    side = 7 if quick else 20
    data = np.random.default_rng(0).random((side * 32, side * 32))
    expected = (-np.sqrt(data)).sum(axis=0)
    with tempfile.TemporaryDirectory() as folder:
        source, scratch = f"{folder}/x.zarr", Path(folder, "scratch")
        zarr.create_array(source, data=data, chunks=(32, 32))
        spec = cubed.Spec(work_dir=str(scratch), allowed_mem=ALLOWED)
        executor = executor_of()

        def measure() -> Figures:
            shutil.rmtree(scratch, ignore_errors=True)
            x = cubed.from_zarr(source, spec=spec)
            y = xp.sum(xp.negative(xp.sqrt(x)), axis=0)
            start = time.perf_counter()
            value = y.compute(executor=executor, optimize_graph=False)
            seconds = time.perf_counter() - start
            np.testing.assert_allclose(value, expected)
            return {"seconds": seconds}

        yield measure


def of_job(job: Job) -> Callable[[Callable[[], Any]], Prepare]:
    return lambda executor_of: lambda quick: cubed_job(job, quick=quick, executor_of=executor_of)


def of_small_tasks(executor_of: Callable[[], Any]) -> Prepare:
    return lambda quick: small_tasks(executor_of, quick=quick)


def case(name: str, about: str, prepare: Callable[[Callable[[], Any]], Prepare]) -> Case:
    return Case(
        name=name,
        about=about,
        figure="seconds",
        better="less is better",
        contenders=tuple(
            Contender(
                name=label,
                ours=is_ours,
                reference=label == "Cubed, threads",
                prepare=prepare(executor_of),
            )
            for label, (executor_of, is_ours) in EXECUTORS.items()
        ),
        targets=tuple(
            Target(
                of=f"asyncexec, {where}", figure="seconds", at_most=1.0, against=f"Cubed, {where}"
            )
            for where in ("threads", "processes")
        ),
        repeat=5,
    )


CASES = (
    *(case(f"cubed_{job.name}", f"Cubed plan: {job.about}", of_job(job)) for job in JOBS),
    case("cubed_small_tasks", "Cubed plan: -sqrt(x) summed, 8 kB blocks", of_small_tasks),
)
