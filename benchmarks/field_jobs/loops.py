"""The jobs as one would write them by hand: a loop over the chunks of Zarr arrays in a pool of threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.array_contenders import blocks

type Run = Callable[..., Any]


def _blocks(x: Any) -> list[tuple[slice, ...]]:
    return list(blocks(x.shape, x.shards or x.chunks))


def _total(run: Run, part: Callable[[tuple[slice, ...]], Any], over: list[Any]) -> Any:
    """Add what `part` makes of each block, as it comes."""
    total: Any = None
    for found in run(part, over):
        total = found if total is None else [a + b for a, b in zip(total, found, strict=True)]
    return total


def sum_of(inputs: list[Any], _: Any, run: Run) -> list[Any]:
    (u,) = inputs
    return list(_total(run, lambda block: [u[block].sum(dtype=np.float64)], _blocks(u)))


def quadratic_means(inputs: list[Any], _: Any, run: Run) -> list[Any]:
    u, v = inputs

    def part(block: tuple[slice, ...]) -> list[Any]:
        x, y = u[block], v[block]
        return [(a * b).sum(axis=0, dtype=np.float64) for a, b in ((x, x), (y, y), (x, y))]

    return [total / u.shape[0] for total in _total(run, part, _blocks(u))]


def mean_over_time(inputs: list[Any], _: Any, run: Run) -> list[Any]:
    (u,) = inputs
    (total,) = _total(run, lambda block: [u[block].sum(axis=0, dtype=np.float64)], _blocks(u))
    return [total / u.shape[0]]


def elementwise(inputs: list[Any], out: Any, run: Run) -> list[Any]:
    u, v = inputs

    def part(block: tuple[slice, ...]) -> None:
        x, y = u[block], v[block]
        out[block] = np.sqrt(x * x + y * y)

    list(run(part, _blocks(out)))
    return []


def anomaly(inputs: list[Any], out: Any, run: Run) -> list[Any]:
    (u,) = inputs
    (mean,) = mean_over_time(inputs, None, run)
    least = mean.astype(u.dtype)

    def part(block: tuple[slice, ...]) -> None:
        out[block] = u[block] - least

    list(run(part, _blocks(out)))
    return []


def standardised(inputs: list[Any], out: Any, run: Run) -> list[Any]:
    (u,) = inputs

    def sums(block: tuple[slice, ...]) -> list[Any]:
        x = u[block].astype(np.float64)
        return [x.sum(axis=0), np.square(x, out=x).sum(axis=0)]

    total, squares = _total(run, sums, _blocks(u))
    mean = total / u.shape[0]
    deviation = np.sqrt(squares / u.shape[0] - mean * mean).astype(u.dtype)
    least = mean.astype(u.dtype)

    def part(block: tuple[slice, ...]) -> None:
        out[block] = (u[block] - least) / deviation

    list(run(part, _blocks(out)))
    return []


def rechunk(inputs: list[Any], out: Any, run: Run) -> list[Any]:
    """All in memory, which a loop may take: a quarter of the columns at a time would read everything four times."""
    (u,) = inputs
    whole = np.empty(u.shape, u.dtype)

    def read(block: tuple[slice, ...]) -> None:
        whole[block] = u[block]

    def write(block: tuple[slice, ...]) -> None:
        out[block] = whole[block]

    list(run(read, _blocks(u)))
    list(run(write, _blocks(out)))
    return []


def mean_last_axis(inputs: list[Any], _: Any, run: Run) -> list[Any]:
    (u,) = inputs
    found = np.empty(u.shape[:2])

    def part(block: tuple[slice, ...]) -> None:
        found[block[0], block[1]] = u[block].mean(axis=2, dtype=np.float64)

    list(run(part, _blocks(u)))
    return [found]


def variance(inputs: list[Any], _: Any, run: Run) -> list[Any]:
    (u,) = inputs

    def sums(block: tuple[slice, ...]) -> list[Any]:
        # Less about what they are, so that squares do not swallow the difference.
        x = u[block].astype(np.float64) - 20
        return [x.size, x.sum(), np.square(x, out=x).sum()]

    count, total, squares = _total(run, sums, _blocks(u))
    return [squares / count - (total / count) ** 2]


def climatology(inputs: list[Any], _: Any, run: Run) -> list[Any]:
    (u,) = inputs
    months = np.arange(u.shape[0]) % 12

    def part(block: tuple[slice, ...]) -> list[Any]:
        x = u[block]
        of = months[block[0]]
        return [np.stack([x[of == m].sum(axis=0, dtype=np.float64) for m in range(12)], axis=-1)]

    (total,) = _total(run, part, _blocks(u))
    return [total / np.bincount(months, minlength=12)]


def matmul(inputs: list[Any], out: Any, run: Run) -> list[Any]:
    a, b = inputs

    def part(block: tuple[slice, ...]) -> None:
        out[block] = a[block[0], :] @ b[:, block[1]]

    list(run(part, _blocks(out)))
    return []


def shards(inputs: list[Any], out: Any, run: Run) -> list[Any]:
    (s,) = inputs

    def part(block: tuple[slice, ...]) -> None:
        out[block] = s[block] + 1

    list(run(part, _blocks(out)))
    return []
