"""Functions of arrays beside those of Dask and Cubed, and beside NumPy with all data in memory."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import zarr

from benchmarks.array_contenders import Job, Place, cubed_job, dask_job, engine_job, hand_job
from benchmarks.case import Case, Contender, Measure, Target

MONTHS = 12
WINDOW = 7
COLUMNS = 200


def in_memory(function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Any:
    def work(where: Place, _: Callable[..., Any]) -> np.ndarray:
        x, y = (zarr.open_array(path, mode="r")[...] for path in where.sources)
        return function(x, y)

    return work


def labels(x: Any) -> np.ndarray:
    return np.arange(x.shape[0]) % MONTHS


def climatology(x: np.ndarray, _: np.ndarray) -> np.ndarray:
    return np.stack([x[month::MONTHS].mean(axis=0) for month in range(MONTHS)], axis=-1)


def grouped_by_dask(x: Any, _: Any) -> Any:
    import flox

    found, _groups = flox.groupby_reduce(
        x.T, labels(x), axis=-1, func="mean", expected_groups=np.arange(MONTHS)
    )
    return found


def grouped(xp: Any, x: Any, _: Any) -> Any:
    found, _groups = xp.groupby_reduce(
        x, labels(x), func="mean", axis=0, expected_groups=np.arange(MONTHS)
    )
    return found


def rolling_by_dask(x: Any, _: Any) -> Any:
    import dask.array as da

    return da.lib.stride_tricks.sliding_window_view(x, WINDOW, axis=0).mean(axis=-1)


def quantile_by_dask(x: Any, _: Any) -> Any:
    import dask.array as da

    return da.quantile(x.rechunk({0: -1}), 0.9, axis=0)


def tall_by_dask(x: Any, _: Any) -> Any:
    import dask.array as da

    return abs(da.linalg.qr(x[:, :COLUMNS].rechunk({1: -1}))[1])


def tensordot_by_dask(x: Any, y: Any) -> Any:
    import dask.array as da

    return da.tensordot(x, y, axes=((0,), (0,)))


def job(
    name: str,
    about: str,
    numpys: Callable[[np.ndarray, np.ndarray], np.ndarray],
    expression: Callable[[Any, Any, Any], Any],
    dask: Callable[[Any, Any], Any],
) -> Job:
    return Job(
        name=name,
        about=about,
        expected=numpys,
        expression=expression,
        dask=dask,
        by_hand=in_memory(numpys),
        stores=False,
    )


JOBS = (
    job(
        "array_tensordot",
        "sums of products over the first axes",
        lambda x, y: np.tensordot(x, y, axes=((0,), (0,))),
        lambda xp, x, y: xp.tensordot(x, y, axes=((0,), (0,))),
        tensordot_by_dask,
    ),
    job(
        "array_sort",
        "x sorted along the first axis",
        lambda x, _: np.sort(x, axis=0),
        lambda xp, x, _: xp.sort(x, axis=0),
        lambda x, _: x.rechunk({0: -1}).map_blocks(np.sort, axis=0),
    ),
    job(
        "array_cumulative",
        "sums of all rows up to each",
        lambda x, _: np.cumsum(x, axis=0),
        lambda xp, x, _: xp.cumulative_sum(x, axis=0),
        lambda x, _: x.cumsum(axis=0),
    ),
    job(
        "array_groupby",
        "means of 12 groups of rows that come again and again",
        climatology,
        grouped,
        grouped_by_dask,
    ),
    job(
        "array_quantile",
        "the 0.9 quantile of each column",
        lambda x, _: np.quantile(x, 0.9, axis=0),
        lambda xp, x, _: xp.quantile(x, 0.9, axis=0),
        quantile_by_dask,
    ),
    job(
        "array_qr",
        "the factor R of a tall matrix",
        lambda x, _: abs(np.linalg.qr(x[:, :COLUMNS]).R),
        lambda xp, x, _: xp.abs(xp.linalg.qr(x[:, :COLUMNS]).R),
        tall_by_dask,
    ),
    job(
        "array_rolling",
        "means of 7 rows around each",
        lambda x, _: np.lib.stride_tricks.sliding_window_view(x, WINDOW, axis=0).mean(axis=-1),
        lambda xp, x, _: xp.mean(xp.sliding_window_view(x, WINDOW, axis=0), axis=-1),
        rolling_by_dask,
    ),
)

IN_CUBED = {"array_tensordot", "array_cumulative", "array_qr"}


def case_of(job: Job) -> Case:
    def prepared(by: Callable[..., AbstractContextManager[Measure]]) -> Any:
        return lambda quick: by(job, quick=quick)

    contenders = [
        Contender(
            name="engine, threads",
            ours=True,
            prepare=lambda quick: engine_job(job, "threads", quick=quick),
        ),
        Contender(name="NumPy, in memory", reference=True, prepare=prepared(hand_job)),
        Contender(name="Dask array, threads", prepare=prepared(dask_job)),
    ]
    if job.name in IN_CUBED:
        contenders.append(Contender(name="Cubed, threads", prepare=prepared(cubed_job)))
    return Case(
        name=job.name,
        about=job.about,
        figure="seconds",
        better="less is better",
        contenders=contenders,
        targets=(
            Target(
                of="engine, threads", figure="seconds", at_most=1.0, against="Dask array, threads"
            ),
        ),
        repeat=5,
    )


CASES = tuple(case_of(each) for each in JOBS)
