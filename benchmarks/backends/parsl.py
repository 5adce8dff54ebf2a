"""Parsl's own pool on its high-throughput executor, beside the `futures` executor on it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from benchmarks.backends.protocol import Run, noop

WORKERS = 2


def pool() -> Executor:
    from parsl import Config, HighThroughputExecutor
    from parsl.concurrent import ParslPoolExecutor
    from parsl.providers import LocalProvider

    workers = HighThroughputExecutor(
        address="127.0.0.1",
        encrypted=False,
        max_workers_per_node=WORKERS,
        provider=LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1),
    )
    folder = tempfile.mkdtemp(prefix="parsl-")
    return ParslPoolExecutor(
        Config(executors=[workers], run_dir=folder, initialize_logging=False, strategy="none")
    )


@contextmanager
def bare() -> Iterator[Run]:
    with pool() as executor:
        yield lambda tasks: len(list(executor.map(noop, range(tasks)))) and None


OURS = ("futures", {"executor": pool, "max_workers": WORKERS})
