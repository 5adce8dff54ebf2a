"""The memory that operations on arrays are projected to take, beside what their tasks held.

``python -m benchmarks.array_memory`` runs each on one worker process, on two arrays of two chunks of 210 MB that
cannot be compressed. A figure is of the stage that held the most: what a task of it was projected to take, what is
reserved for Python and its modules included, and the most that the worker held while it ran.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import asyncexec as ax
import asyncexec.array as xp

SIDE, QUICK_SIDE = 5120, 1600
"""The side of a chunk of float64: 210 MB, and 20 MB."""
BELOW, ABOVE = 1.0, 2.0
"""The projected figure ought to be so many times the measured one, at least and at most."""

OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "copy": lambda a, _: a,
    "sqrt(a * a + b * b)": lambda a, b: xp.sqrt(a * a + b * b),
    "where(a > b, a, -1)": lambda a, b: xp.where(a > b, a, -1.0),
    "a.T + 1": lambda a, _: a.T + 1,
    "a[::-1, ::2]": lambda a, _: a[::-1, ::2],
    "take of every other column": lambda a, _: xp.take(a, np.arange(0, a.shape[1], 2), axis=1),
    "concat([a, b])": lambda a, b: xp.concat([a, b], axis=0),
    "sum(a * b)": lambda a, b: xp.sum(a * b),
    "mean(a, axis=0)": lambda a, _: xp.mean(a, axis=0),
    "nanvar(a, axis=1)": lambda a, _: xp.nanvar(a, axis=1),
    "a - mean(a, axis=1)": lambda a, _: a - xp.mean(a, axis=1, keepdims=True),
    "quantile(a, 0.5, axis=0)": lambda a, _: xp.quantile(a, 0.5, axis=0),
    "sort(a, axis=0)": lambda a, _: xp.sort(a, axis=0),
    "cumulative_sum(a, axis=1)": lambda a, _: xp.cumulative_sum(a, axis=1),
    "groupby_reduce by 12 labels": lambda a, _: xp.groupby_reduce(
        a, np.arange(a.shape[1]) % 12, func="mean", axis=1
    )[0],
    "a @ b.T": lambda a, b: a @ b.T,
    "fft(a)": lambda a, _: xp.fft.fft(a[:, : a.shape[0]]),
    "rechunk to tall": lambda a, _: xp.rechunk(a, (a.shape[0], a.shape[1] // 64)),
    "map_blocks(hypot, a, b)": lambda a, b: xp.map_blocks(np.hypot, a, b, dtype=a.dtype),
    "pad(a, 1)": lambda a, _: xp.pad(a, 1),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a stage of an operation was projected to take, and what it held."""

    operation: str
    projected: int
    measured: int

    @property
    def ratio(self) -> float:
        """The projected figure, as a multiple of the measured one."""
        return self.projected / self.measured

    @property
    def row(self) -> str:
        """The row of the table."""
        mark = "" if BELOW <= self.ratio <= ABOVE else " (!)"
        figures = f"{self.projected / 1e6:,.0f} MB | {self.measured / 1e6:,.0f} MB"
        return f"| `{self.operation}` | {figures} | {self.ratio:.2f}{mark} |"


def main() -> None:
    """Measure every operation, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.array_memory", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="chunks of 20 MB instead of 210")
    parser.add_argument("--only", nargs="+", choices=OPERATIONS, help="these operations alone")
    given = parser.parse_args()
    side = QUICK_SIDE if given.quick else SIDE
    print("| operation | projected | measured | times |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="array-memory-") as folder:
        operands = written(Path(folder), side)
        for name in given.only or OPERATIONS:
            # Made before any loop runs, as some evaluate how long their result is.
            plan = xp.store(
                [OPERATIONS[name](*operands)], [Path(folder, "result.zarr")], overwrite=True
            )
            print(asyncio.run(measured(name, plan)).row, flush=True)


def written(folder: Path, side: int) -> tuple[xp.Array, xp.Array]:
    """Return two arrays on disk, of two chunks each."""
    spec = ax.Spec(work_dir=folder / "work", allowed_mem=200_000_000 + 64 * side**2 * 8)
    rng = np.random.default_rng(0)
    found = []
    for name in "ab":
        place = folder / f"{name}.zarr"
        data = rng.random((side, 2 * side))
        xp.store([xp.from_array(data, chunks=side, spec=spec)], [place]).compute(executor="threads")
        found.append(xp.from_zarr(place, spec=spec))
    return found[0], found[1]


async def measured(name: str, plan: Any) -> Outcome:
    """Return the figures of the stage that held the most, on a worker process of its own."""
    async with ax.Engine(executor="processes", executor_options={"max_workers": 1}) as engine:
        result = await engine.execute(plan)
    most = max(result.stages, key=lambda stage: stage.peak_bytes)
    return Outcome(name, most.projected_bytes, most.peak_bytes)


if __name__ == "__main__":
    main()
