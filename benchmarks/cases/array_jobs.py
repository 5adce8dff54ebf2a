"""Array jobs through Zarr: an expression and a reduction, an expression stored, rows made columns, a product."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import zarr

from benchmarks.array_contenders import (
    CHUNK,
    Job,
    Place,
    blocks,
    cubed_job,
    dask_job,
    engine_job,
    hand_job,
)
from benchmarks.case import Case, Contender, Target

ROWS, COLUMNS = (100, 4_000), (4_000, 100)


def opened(where: Place) -> tuple[Any, Any]:
    x, y = (zarr.open_array(path, mode="r") for path in where.sources)
    return x, y


def reduce_by_hand(where: Place, run: Callable[..., Any]) -> np.ndarray:
    x, y = opened(where)
    sums = np.zeros(x.shape[1])

    def one(block: tuple[slice, ...]) -> tuple[slice, np.ndarray]:
        return block[1], (x[block] * y[block] + x[block]).sum(axis=0)

    for columns, part in run(one, list(blocks(x.shape, (CHUNK, CHUNK)))):
        sums[columns] += part
    return sums / x.shape[0]


def store_by_hand(where: Place, run: Callable[..., Any]) -> None:
    x, y = opened(where)
    out = zarr.create_array(where.target, shape=x.shape, chunks=(CHUNK, CHUNK), dtype=x.dtype)

    def one(block: tuple[slice, ...]) -> None:
        a, b = x[block], y[block]
        out[block] = np.sqrt(a * a + b * b) - a

    list(run(one, list(blocks(x.shape, (CHUNK, CHUNK)))))


def transpose_by_hand(where: Place, run: Callable[..., Any]) -> None:
    """Bands of whole chunks high and whole output chunks wide fit in memory, so one pass does."""
    x, _ = opened(where)
    width = min(COLUMNS[1], x.shape[1])
    out = zarr.create_array(where.target, shape=x.shape, chunks=(x.shape[0], width), dtype=x.dtype)

    def one(block: tuple[slice, ...]) -> None:
        band = x[block]
        out[block] = band + 1

    list(run(one, list(blocks(x.shape, (x.shape[0], CHUNK)))))


def multiply_by_hand(where: Place, run: Callable[..., Any]) -> None:
    """Whole rows by whole columns, in blocks of two chunks a side: each chunk is read as often as there are blocks."""
    x, y = opened(where)
    side = 2 * CHUNK
    out = zarr.create_array(where.target, shape=x.shape, chunks=(side, side), dtype=x.dtype)

    def one(block: tuple[slice, ...]) -> None:
        out[block] = x[block[0], :] @ y[:, block[1]]

    list(run(one, list(blocks(x.shape, (side, side)))))


def column_chunks(x: Any) -> tuple[int, int]:
    return (x.shape[0], min(COLUMNS[1], x.shape[1]))


JOBS = (
    Job(
        name="array_reduce",
        about="mean of x * y + x over the first axis",
        expected=lambda x, y: (x * y + x).mean(axis=0),
        expression=lambda xp, x, y: xp.mean(x * y + x, axis=0),
        dask=lambda x, y: (x * y + x).mean(axis=0),
        by_hand=reduce_by_hand,
        stores=False,
    ),
    Job(
        name="array_store",
        about="sqrt(x * x + y * y) - x, stored",
        expected=lambda x, y: np.sqrt(x * x + y * y) - x,
        expression=lambda xp, x, y: xp.sqrt(x * x + y * y) - x,
        dask=lambda x, y: np.sqrt(x * x + y * y) - x,
        by_hand=store_by_hand,
        stores=True,
    ),
    Job(
        name="array_rechunk",
        about="x + 1 from square chunks to columns, stored",
        expected=lambda x, _: x + 1,
        expression=lambda _, x, __: (x + 1).rechunk(column_chunks(x)),
        dask=lambda x, _: (x + 1).rechunk(column_chunks(x)),
        by_hand=transpose_by_hand,
        stores=True,
    ),
    Job(
        name="array_matmul",
        about="x @ y, stored",
        expected=lambda x, y: x @ y,
        expression=lambda xp, x, y: xp.matmul(x, y),
        dask=lambda x, y: x @ y,
        by_hand=multiply_by_hand,
        stores=True,
    ),
)


def case_of(job: Job) -> Case:
    return Case(
        name=job.name,
        about=job.about,
        figure="seconds",
        better="less is better",
        contenders=(
            Contender(
                name="engine, threads",
                ours=True,
                prepare=lambda quick: engine_job(job, "threads", quick=quick),
            ),
            Contender(
                name="engine, processes",
                ours=True,
                prepare=lambda quick: engine_job(job, "processes", quick=quick),
            ),
            Contender(
                name="by hand, threads",
                reference=True,
                prepare=lambda quick: hand_job(job, quick=quick),
            ),
            Contender(name="Dask array, threads", prepare=lambda quick: dask_job(job, quick=quick)),
            Contender(name="Cubed, threads", prepare=lambda quick: cubed_job(job, quick=quick)),
        ),
        targets=(
            Target(of="engine, threads", figure="seconds", at_most=1.3, against="by hand, threads"),
            # Over all jobs (geometric mean) it ought to be 1 / 1.3; on none should it be slower.
            Target(
                of="engine, threads", figure="seconds", at_most=1.0, against="Dask array, threads"
            ),
            Target(of="engine, threads", figure="seconds", at_most=0.5, against="Cubed, threads"),
        ),
        repeat=5,
    )


CASES = tuple(case_of(job) for job in JOBS)
