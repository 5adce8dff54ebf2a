"""loky beside the `futures` executor on it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from benchmarks.backends.protocol import Run, noop

WORKERS = 2


def pool() -> Executor:
    from loky import ProcessPoolExecutor

    return ProcessPoolExecutor(WORKERS)


@contextmanager
def bare() -> Iterator[Run]:
    executor = pool()
    try:
        yield lambda tasks: len(list(executor.map(noop, range(tasks)))) and None
    finally:
        executor.shutdown(kill_workers=True)


OURS = ("futures", {"executor": pool})
