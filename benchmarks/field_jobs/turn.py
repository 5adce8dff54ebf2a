"""One contender's turn at one job, in a process of its own: so that what it holds is nobody else's.

`python -m benchmarks.field_jobs.turn CONTENDER JOB FOLDER SIZE ENDPOINT` warms up on arrays of a few elements, says
`ready`, waits for a line, does the job, says how long it took, and keeps the result for whoever checks it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from benchmarks.contenders import WORKERS
from benchmarks.field_jobs.fields import FULL, QUICK, TINY, Layout, Place
from benchmarks.field_jobs.jobs import JOBS, FieldJob

ALLOWED = "1GB"
SIZES = {"full": FULL, "quick": QUICK, "tiny": TINY}

type Work = Callable[[FieldJob, Place], list[Any]]


def created(job: FieldJob, where: Place) -> Any:
    layout = stored(job, where)
    return zarr.create_array(
        where.target,
        shape=layout.shape,
        chunks=layout.chunks,
        shards=layout.shards,
        dtype=np.float32,
    )


def stored(job: FieldJob, where: Place) -> Layout:
    assert job.target is not None
    return job.target(where.size)


@contextmanager
def by_hand() -> Iterator[Work]:
    with ThreadPoolExecutor(WORKERS) as pool:

        def work(job: FieldJob, where: Place) -> list[Any]:
            inputs = [zarr.open_array(where.store(name), mode="r") for name in job.reads]
            target = None if job.target is None else created(job, where)
            return job.by_hand(inputs, target, pool.map)

        yield work


@contextmanager
def engine(executor: str) -> Iterator[Work]:
    import asyncexec as ax
    import asyncexec.array as xp

    with asyncio.Runner() as runner:
        opened = ax.Engine(executor, executor_options={"max_workers": WORKERS})
        runner.run(opened.__aenter__())

        async def work(job: FieldJob, where: Place) -> list[Any]:
            spec = ax.Spec(
                work_dir=where.scratch, allowed_mem=ALLOWED, storage_options=where.storage_options
            )
            local = ax.Spec(work_dir=where.scratch, allowed_mem=ALLOWED)
            chosen = spec if job.elsewhere else local
            found = job.expression(
                xp, *(xp.from_zarr(where.url(n), spec=chosen) for n in job.reads)
            )
            if job.target is None:
                return (
                    list((await opened.execute(xp.plan_of(*found))).value)
                    if len(found) > 1
                    else [(await opened.execute(found[0])).value]
                )
            shards = stored(job, where).shards
            options = {} if shards is None else {"shards": shards}
            await opened.execute(xp.store(found, [where.target], **options))
            return []

        try:
            yield lambda job, where: runner.run(work(job, where))
        finally:
            runner.run(opened.__aexit__(None, None, None))


@contextmanager
def dask_array(scheduler: str) -> Iterator[Work]:
    import dask
    import dask.array as da

    def work(job: FieldJob, where: Place) -> list[Any]:
        inputs = [zarr.open_array(where.store(name), mode="r") for name in job.reads]
        lazy = job.dask(*(da.from_array(x, chunks=x.shards or x.chunks) for x in inputs))
        if job.target is None:
            return list(dask.compute(*lazy))
        da.store(lazy, [created(job, where)], lock=False)
        return []

    if scheduler == "threads":
        with dask.config.set(scheduler="threads", num_workers=WORKERS):
            yield work
        return
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        yield work


@contextmanager
def cubed_array() -> Iterator[Work]:
    import cubed
    import cubed.array_api as xp
    from cubed.runtime.create import create_executor

    executor = create_executor("threads", {"max_workers": WORKERS})

    def work(job: FieldJob, where: Place) -> list[Any]:
        if job.cubed is None:
            raise ModuleNotFoundError(
                "of functions for it in Cubed", name="what Cubed needs for it"
            )
        spec = cubed.Spec(work_dir=where.scratch, allowed_mem=ALLOWED)
        inputs = [cubed.from_zarr(where.store(name), spec=spec) for name in job.reads]
        lazy = job.cubed(xp, *inputs)
        if job.target is None:
            return list(cubed.compute(*lazy, executor=executor))
        cubed.to_zarr(lazy[0], created(job, where), executor=executor)
        return []

    yield work


CONTENDERS: dict[str, Callable[[], AbstractContextManager[Work]]] = {
    "asyncexec, threads": lambda: engine("threads"),
    "asyncexec, processes": lambda: engine("processes"),
    "by hand, threads": by_hand,
    "Dask array, threads": lambda: dask_array("threads"),
    "Dask distributed": lambda: dask_array("distributed"),
    "Cubed, threads": cubed_array,
}


def main(contender: str, name: str, folder: str, size: str, endpoint: str) -> None:
    job = next(each for each in JOBS if each.name == name)
    where = Place(folder=Path(folder) / "arrays", size=SIZES[size], endpoint=endpoint)
    tiny = Place(folder=Path(folder) / "tiny", size=TINY, endpoint=endpoint)
    with CONTENDERS[contender]() as work:
        for place in (tiny, where):
            place.clear()
        work(job, tiny)
        print("ready", flush=True)
        sys.stdin.readline()
        begun = time.perf_counter()
        values = work(job, where)
        seconds = time.perf_counter() - begun
    np.savez(where.folder / "values.npz", *map(np.asarray, values))
    print(json.dumps({"seconds": seconds}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
