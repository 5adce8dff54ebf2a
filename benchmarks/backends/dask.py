"""Dask's `client.map` and `gather` on a local cluster, beside the `dask` executor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.backends.protocol import Run, noop

WORKERS = 2


@contextmanager
def bare() -> Iterator[Run]:
    from distributed import Client, LocalCluster

    cluster = LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client:

        def run(tasks: int) -> None:
            results = client.gather(client.map(noop, range(tasks), pure=False))
            assert results == list(range(tasks))

        yield run


OURS = ("dask", {"max_workers": WORKERS})
