"""submitit's `map_array` beside the `slurm` executor, on a cluster of one node started here.

A job for each no-op would take minutes, so the bare side cuts them by hand, into as many pieces as run at once.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import cloudpickle

from benchmarks.backends.protocol import Run, noop, on_engine
from tests.backends.systems.slurm_here import SlurmHere

WORKERS = 4


def piece(items: range) -> list[int]:
    return [noop(item) for item in items]


@contextmanager
def bare() -> Iterator[Run]:
    import submitit

    # A job finds functions by the names of their modules, and these it does not have.
    for name in (__name__, noop.__module__):
        cloudpickle.register_pickle_by_value(sys.modules[name])
    with SlurmHere(), tempfile.TemporaryDirectory() as folder:
        executor = submitit.SlurmExecutor(folder)
        executor.update_parameters(time=10)

        def run(tasks: int) -> None:
            pieces = [range(start, tasks, WORKERS) for start in range(min(WORKERS, tasks))]
            jobs = executor.map_array(piece, pieces)
            assert sum(len(job.result()) for job in jobs) == tasks

        yield run


@contextmanager
def ours() -> Iterator[Run]:
    with (
        SlurmHere(),
        tempfile.TemporaryDirectory() as folder,
        on_engine("slurm", {"max_workers": WORKERS, "folder": folder}) as run,
    ):
        yield run


OURS = ours
