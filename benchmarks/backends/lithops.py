"""Lithops' own `map` and `get_result` on this machine, beside the `lithops` executor."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.backends.protocol import Run, noop

WORKERS = 2
CONFIG = {
    "lithops": {"backend": "localhost", "storage": "localhost", "monitoring_interval": 0.05},
    "localhost": {"version": 1, "runtime": sys.executable, "worker_processes": WORKERS},
}


@contextmanager
def bare() -> Iterator[Run]:
    import lithops

    with lithops.FunctionExecutor(config=CONFIG, log_level=None) as executor:

        def run(tasks: int) -> None:
            executor.map(noop, range(tasks))
            executor.get_result(show_progressbar=False)

        yield run


OURS = ("lithops", {"config": CONFIG, "max_workers": WORKERS})
