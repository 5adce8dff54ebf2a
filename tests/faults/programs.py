"""Small programs over arrays, each with what NumPy makes of the same; their kernels note each attempt in a folder."""

import pathlib
import time
import uuid
from dataclasses import dataclass
from functools import partial

import numpy as np

import asyncexec as ax
import asyncexec.array as xp
from tests.faults.executors import WORKERS

SHAPE, CHUNKS = (24, 18), (4, 6)
# Whole numbers: sums of them are the same in whatever order.
DATA = np.random.default_rng(5).integers(0, 1000, SHAPE).astype("f8")


@dataclass(frozen=True, kw_only=True)
class Adds:
    """A kernel that adds an amount in its own time."""

    folder: str
    name: str
    amount: float = 1.0
    seconds: float = 0.004

    def __call__(self, block):
        note(self.folder, self.name)
        time.sleep(self.seconds)
        return block + self.amount


def note(folder, name):
    """Note that an attempt at a task has come to the kernel of that name."""
    context = ax.get_run_context()
    words = (context.stage, context.task, name, context.run_id, context.attempt, uuid.uuid4().hex)
    pathlib.Path(folder, "calls", "~".join(map(str, words))).touch()


def attempts(folder):
    """Return how many attempts were noted for each task and kernel."""
    counted = {}
    for path in pathlib.Path(folder, "calls").iterdir():
        stage, task, name, *_ = path.name.split("~")
        counted.setdefault((stage, task, name), set()).add(path.name.rpartition("~")[0])
    return {task: len(found) for task, found in counted.items()}


def made_again(folder):
    """Return how many tasks were computed once more than needed, each as often as it was."""
    return sum(attempts(folder).values()) - len(attempts(folder))


def end_of_functions(folder):
    """Return how many tasks were computed again for a value that was returned: the next run begins anew, and its count.

    0 while there are values for a further run. Those of a run that is complete go with its end.
    """
    if list(folder.glob("work/asyncexec-values-*")) or not attempts(folder):
        return 0
    assert len(attempts(folder)) == NOTED_CALLS
    again = made_again(folder)
    for path in (folder / "calls").iterdir():
        path.unlink()
    return again


def made_again_at_most(program, kills):
    """Return how many tasks killed drivers may cost: what ran, and values that had not come to the journal yet."""
    return kills * WORKERS * (4 if program == FUNCTIONS else 2)


def _anomaly(x, first, last):
    y = xp.map_blocks(first, x, dtype="f8")
    mean = xp.mean(y, axis=0)
    return [y - xp.mean(y), xp.map_blocks(last, mean, dtype="f8")]


def _anomaly_by_numpy(x, amount):
    y = x + amount
    return [y - y.mean(), y.mean(axis=0) + amount]


def _running_sum(x, first, last):
    y = xp.rechunk(xp.map_blocks(first, x, dtype="f8"), (SHAPE[0], 3))
    y = xp.rechunk(xp.map_blocks(np.cumsum, y, axis=0, dtype="f8"), CHUNKS)
    return [xp.map_blocks(last, y, dtype="f8")]


def _running_sum_by_numpy(x, amount):
    return [np.cumsum(x + amount, axis=0) + amount]


def _scaled(x, first, last):
    y = xp.map_blocks(first, x, dtype="f8")
    most = xp.max(y, axis=1, keepdims=True)
    return [xp.map_blocks(last, xp.permute_dims(y * most, (1, 0)), dtype="f8"), most]


def _scaled_by_numpy(x, amount):
    most = (x + amount).max(axis=1, keepdims=True)
    return [((x + amount) * most).T + amount, most]


def _moved(x, first, last):
    y = xp.map_blocks(first, x, dtype="f8")
    y = xp.concat([xp.flip(y, axis=0), xp.roll(y, 5, axis=1)], axis=1)
    return [xp.map_blocks(last, y, dtype="f8")]


def _moved_by_numpy(x, amount):
    y = x + amount
    return [np.concatenate([y[::-1], np.roll(y, 5, axis=1)], axis=1) + amount]


PROGRAMS = {
    "anomaly": (_anomaly, _anomaly_by_numpy),
    "running sum": (_running_sum, _running_sum_by_numpy),
    "scaled": (_scaled, _scaled_by_numpy),
    "moved": (_moved, _moved_by_numpy),
}
FUNCTIONS = "functions"
ITEMS = 20
NOTED_CALLS = 2 * ITEMS
"""The calls of the plan of functions that are noted: those of its two stages of many tasks."""


def expected(name, amount=1.0):
    return PROGRAMS[name][1](DATA, amount)


def storing(name, folder, *, amount=1.0, overwrite=False, wrap=None):
    """Return what stores the arrays of a program in ``folder``, from ``x.zarr`` there."""
    folder = pathlib.Path(folder)
    spec = ax.Spec(work_dir=folder / "work", allowed_mem="200MB")
    kernels = [Adds(folder=str(folder), name=kernel, amount=amount) for kernel in ("first", "last")]
    if wrap is not None:
        kernels = [wrap(kernel) for kernel in kernels]
    found = PROGRAMS[name][0](xp.from_zarr(folder / "x.zarr", spec=spec), *kernels)
    places = [folder / f"y{number}.zarr" for number in range(len(found))]
    return xp.store(found, places, overwrite=overwrite)


def functions(folder, *, amount=1.0, wrap=None):
    """Return a plan of functions, some of whose values are large."""
    first, last = (
        Adds(folder=str(folder), name=name, amount=amount, seconds=0.03)
        for name in ("first", "last")
    )
    if wrap is not None:
        first, last = wrap(first), wrap(last)
    return ax.Plan.map(partial(_row, first), range(ITEMS)).then(last).reduce(_total)


def _row(first, item):
    # Every fourth is larger than what is kept in the journal itself.
    return first(np.full(20_000 if item % 4 == 0 else 10, float(item)))


def _total(rows):
    return float(sum(row.sum() for row in rows))


def total(amount=1.0):
    """Return the value of the plan of functions."""
    return float(sum((n + 2 * amount) * (20_000 if n % 4 == 0 else 10) for n in range(ITEMS)))
