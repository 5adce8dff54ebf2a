"""What has to be computed of a block of each input, as one would write it for speed: by NumPy, in memory that is there.

Each is called with the blocks of the inputs and with `Scratch`, which keeps its arrays from one block to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

SLAB = 64 * 1024
"""The elements that are taken at a time, so that what is made on the way stays in a core's own cache."""


class Scratch:
    """The arrays of one thread by name, made once."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}

    def __call__(self, name: str, shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
        found = self.arrays.get(name)
        if found is None or found.shape != shape:
            found = self.arrays[name] = np.zeros(shape, dtype)
        return found


type Kernel = Callable[..., Any]


def slabs(block: np.ndarray) -> Iterator[slice]:
    """Iterate over slices along the second axis."""
    width = max(1, SLAB * block.shape[1] // block.size)
    return (slice(start, start + width) for start in range(0, block.shape[1], width))


def sum_of(_: Scratch, u: np.ndarray) -> None:
    np.add.reduce(u, axis=None, dtype=np.float64)


def quadratic_means(scratch: Scratch, u: np.ndarray, v: np.ndarray) -> None:
    totals = [scratch(f"total {n}", u.shape[1:], np.float64) for n in range(3)]
    for at in slabs(u):
        x, y = u[:, at], v[:, at]
        for (a, b), total in zip(((x, x), (y, y), (x, y)), totals, strict=True):
            product = np.multiply(a, b, out=scratch(f"product {x.shape}", x.shape))
            total[at] += np.add.reduce(product, axis=0, dtype=np.float64)


def elementwise(scratch: Scratch, u: np.ndarray, v: np.ndarray) -> None:
    out = scratch("out", u.shape)
    for at in slabs(u):
        x, y = u[:, at], v[:, at]
        square = np.multiply(x, x, out=scratch(f"square {x.shape}", x.shape))
        other = np.multiply(y, y, out=scratch(f"other {x.shape}", x.shape))
        np.sqrt(np.add(square, other, out=square), out=out[:, at])


def mean_over_time(scratch: Scratch, u: np.ndarray) -> None:
    total = scratch("total", u.shape[1:], np.float64)
    total += np.add.reduce(u, axis=0, dtype=np.float64)


def anomaly(scratch: Scratch, u: np.ndarray) -> None:
    mean_over_time(scratch, u)
    np.subtract(u, scratch("mean", u.shape[1:]), out=scratch("out", u.shape))


def copied(scratch: Scratch, u: np.ndarray) -> None:
    np.copyto(scratch("out", u.shape), u)


def mean_last_axis(_: Scratch, u: np.ndarray) -> None:
    np.add.reduce(u, axis=-1, dtype=np.float64)


def _squares(scratch: Scratch, x: np.ndarray, mean: np.ndarray) -> np.ndarray:
    apart = np.subtract(x, mean, out=scratch(f"apart {x.shape}", x.shape, np.float64))
    return np.square(apart, out=apart)


def variance(scratch: Scratch, u: np.ndarray) -> None:
    mean = np.add.reduce(u, axis=None, dtype=np.float64) / u.size
    for at in slabs(u):
        np.add.reduce(_squares(scratch, u[:, at], mean), axis=None)


def standardised(scratch: Scratch, u: np.ndarray) -> None:
    totals = [scratch(f"total {n}", u.shape[1:], np.float64) for n in range(2)]
    means, roots = scratch("mean", u.shape[1:]), scratch("root", u.shape[1:])
    roots += 1
    out = scratch("out", u.shape)
    for at in slabs(u):
        x = u[:, at]
        mean = np.add.reduce(x, axis=0, dtype=np.float64)
        totals[0][at] += mean
        mean /= len(x)
        totals[1][at] += np.add.reduce(_squares(scratch, x, mean), axis=0)
        np.subtract(x, means[at], out=out[:, at])
        np.divide(out[:, at], roots[at], out=out[:, at])


def climatology(scratch: Scratch, u: np.ndarray) -> None:
    """Each month is one of the steps in time, or one of as many as there are."""
    totals = scratch("totals", (12, *u.shape[1:]), np.float64)
    for k, each in enumerate(u):
        totals[k % 12] += each


def matmul(scratch: Scratch, a: np.ndarray, b: np.ndarray) -> None:
    """Of the sixteen blocks of each, four pairs make one of the result."""
    out, product = scratch("out", a.shape), scratch("product", a.shape)
    for _ in range(4):
        out += np.matmul(a, b, out=product)


def plus_one(scratch: Scratch, s: np.ndarray) -> None:
    np.add(s, 1, out=scratch("out", s.shape))


KERNELS: dict[str, Kernel] = {
    "field_sum": sum_of,
    "field_quadratic_means": quadratic_means,
    "field_elementwise": elementwise,
    "field_anomaly": anomaly,
    "field_rechunk": copied,
    "field_mean_last_axis": mean_last_axis,
    "field_variance": variance,
    "field_standardised": standardised,
    "field_climatology": climatology,
    "field_matmul": matmul,
    "field_shards": plus_one,
    "field_bucket": mean_over_time,
}
