"""MPI's own pool, whose workers it spawns, beside the `futures` executor on it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path

from benchmarks.backends.protocol import Run, noop

WORKERS = 2


def pool() -> Executor:
    from mpi4py.futures import MPIPoolExecutor

    # Where MPI comes as a wheel, its `mpiexec` is beside the interpreter.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return MPIPoolExecutor(max_workers=WORKERS)


@contextmanager
def bare() -> Iterator[Run]:
    with pool() as executor:
        yield lambda tasks: len(list(executor.map(noop, range(tasks)))) and None


OURS = ("futures", {"executor": pool})
