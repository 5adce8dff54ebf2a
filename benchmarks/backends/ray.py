"""Ray's own tasks, as its manual shows them, beside the `ray` executor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.backends.protocol import Run, noop

WORKERS = 2


@contextmanager
def bare() -> Iterator[Run]:
    import ray

    ray.init(address="local", num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    remote = ray.remote(noop)
    try:
        yield lambda tasks: len(ray.get([remote.remote(item) for item in range(tasks)])) and None
    finally:
        ray.shutdown()


OURS = ("ray", {"cpus": WORKERS})
