"""The jobs: what each computes, in the words of each contender, and what a chunk of it costs at least."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.field_jobs import loops
from benchmarks.field_jobs.fields import Layout, Size

MONTHS = 12

type Arrays = Sequence[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FieldJob:
    """One job.

    Attributes
    ----------
    reads : dict
        The arrays that it reads, and how often each has to be decoded: a mean is known only at the end, and arrays are
        larger than what a worker may hold.
    expression : callable
        `expression(xp, *arrays)` for the engine, and for Cubed where there is no other; returns the list of results.
    dask, cubed : callable
        The same for them; without `cubed`, it cannot.
    by_hand : callable
        `by_hand(inputs, target, run)`, a loop over chunks in `run`, a pool's map.
    target : callable or None
        The layout of what is stored.
    """

    name: str
    about: str
    reads: dict[str, int]
    expression: Callable[..., list[Any]]
    dask: Callable[..., list[Any]]
    by_hand: Callable[..., list[Any]]
    cubed: Callable[..., list[Any]] | None = None
    target: Callable[[Size], Layout] | None = None
    rtol: float = 1e-4
    elsewhere: bool = field(default=False)


def months(x: Any) -> np.ndarray:
    return np.arange(x.shape[0]) % MONTHS


def quadratic(xp: Any, u: Any, v: Any) -> list[Any]:
    return [xp.mean(a * b, axis=0) for a, b in ((u, u), (v, v), (u, v))]


def climatology(xp: Any, u: Any) -> list[Any]:
    found, _ = xp.groupby_reduce(
        u, months(u), func="mean", axis=0, expected_groups=np.arange(MONTHS)
    )
    return [found]


def climatology_by_flox(u: Any, **options: Any) -> list[Any]:
    import flox

    last = (
        u.transpose((1, 2, 0))
        if hasattr(u, "transpose")
        else options.pop("xp").permute_dims(u, (1, 2, 0))
    )
    options.pop("xp", None)
    found, _ = flox.groupby_reduce(
        last, months(u), axis=-1, func="mean", expected_groups=np.arange(MONTHS), **options
    )
    return [found]


def climatology_by_cubed(xp: Any, u: Any) -> list[Any]:
    return climatology_by_flox(u, method="map-reduce", xp=xp)


def standardised(xp: Any, u: Any) -> list[Any]:
    return [(u - xp.mean(u, axis=0)) / xp.std(u, axis=0)]


def like(name: str) -> Callable[[Size], Layout]:
    return lambda size: size.layouts[name]


def columns(size: Size) -> Layout:
    return Layout(shape=size.layouts["u"].shape, chunks=size.columns)


def column_chunks(x: Any) -> tuple[int, ...]:
    return (x.shape[0], *(-(-n // 8) for n in x.shape[1:]))


JOBS = (
    FieldJob(
        name="field_sum",
        about="sum of u",
        reads={"u": 1},
        expression=lambda xp, u: [xp.sum(u)],
        cubed=lambda xp, u: [xp.sum(u, dtype=xp.float64)],
        dask=lambda u: [u.sum(dtype="f8")],
        by_hand=loops.sum_of,
    ),
    FieldJob(
        name="field_quadratic_means",
        about="means of u * u, v * v and u * v over time",
        reads={"u": 1, "v": 1},
        expression=quadratic,
        cubed=quadratic,
        dask=lambda u, v: [(a * b).mean(axis=0) for a, b in ((u, u), (v, v), (u, v))],
        by_hand=loops.quadratic_means,
    ),
    FieldJob(
        name="field_elementwise",
        about="sqrt(u * u + v * v), stored",
        reads={"u": 1, "v": 1},
        expression=lambda xp, u, v: [xp.sqrt(u * u + v * v)],
        cubed=lambda xp, u, v: [xp.sqrt(u * u + v * v)],
        dask=lambda u, v: [np.sqrt(u * u + v * v)],
        by_hand=loops.elementwise,
        target=like("u"),
    ),
    FieldJob(
        name="field_anomaly",
        about="u less its mean over time, stored",
        reads={"u": 2},
        expression=lambda xp, u: [u - xp.mean(u, axis=0)],
        cubed=lambda xp, u: [u - xp.mean(u, axis=0)],
        dask=lambda u: [u - u.mean(axis=0)],
        by_hand=loops.anomaly,
        target=like("u"),
    ),
    FieldJob(
        name="field_rechunk",
        about="u from chunks of all space to chunks of all times, stored",
        reads={"u": 1},
        expression=lambda _, u: [u.rechunk(column_chunks(u))],
        cubed=lambda _, u: [u.rechunk(column_chunks(u))],
        dask=lambda u: [u.rechunk(column_chunks(u))],
        by_hand=loops.rechunk,
        target=columns,
        rtol=0,
    ),
    FieldJob(
        name="field_mean_last_axis",
        about="mean of u over its last axis",
        reads={"u": 1},
        expression=lambda xp, u: [xp.mean(u, axis=2)],
        cubed=lambda xp, u: [xp.mean(u, axis=2)],
        dask=lambda u: [u.mean(axis=2)],
        by_hand=loops.mean_last_axis,
    ),
    FieldJob(
        name="field_variance",
        about="variance of u over all axes",
        reads={"u": 1},
        expression=lambda xp, u: [xp.var(u)],
        cubed=lambda xp, u: [xp.var(u)],
        dask=lambda u: [u.var(dtype="f8")],
        by_hand=loops.variance,
        rtol=1e-3,
    ),
    FieldJob(
        name="field_standardised",
        about="(u - mean) / deviation over time, stored",
        reads={"u": 2},
        expression=standardised,
        cubed=standardised,
        dask=lambda u: [(u - u.mean(axis=0)) / u.std(axis=0)],
        by_hand=loops.standardised,
        target=like("u"),
        rtol=1e-3,
    ),
    FieldJob(
        name="field_climatology",
        about="mean of each of twelve months of u",
        reads={"u": 1},
        expression=climatology,
        cubed=climatology_by_cubed,
        dask=climatology_by_flox,
        by_hand=loops.climatology,
    ),
    FieldJob(
        name="field_matmul",
        about="a @ b of two matrices, stored",
        reads={"a": 1, "b": 1},
        expression=lambda xp, a, b: [xp.matmul(a, b)],
        cubed=lambda xp, a, b: [xp.matmul(a, b)],
        dask=lambda a, b: [a @ b],
        by_hand=loops.matmul,
        target=like("a"),
        rtol=1e-3,
    ),
    FieldJob(
        name="field_shards",
        about="s + 1 from shards of 25 MB to the same, stored",
        reads={"s": 1},
        expression=lambda _, s: [s + 1],
        cubed=lambda _, s: [s + 1],
        dask=lambda s: [s + 1],
        by_hand=loops.shards,
        target=like("s"),
    ),
    FieldJob(
        name="field_bucket",
        about="mean over time of small chunks in a bucket, 30 ms before each answer",
        reads={"w": 1},
        expression=lambda xp, w: [xp.mean(w, axis=0)],
        cubed=lambda xp, w: [xp.mean(w, axis=0)],
        dask=lambda w: [w.mean(axis=0)],
        by_hand=loops.mean_over_time,
        elsewhere=True,
    ),
)
