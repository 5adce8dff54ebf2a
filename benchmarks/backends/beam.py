"""Beam's `Create | Map` beside the `beam` executor, both on the direct runner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.backends.protocol import Run, noop

WORKERS = 2


@contextmanager
def bare() -> Iterator[Run]:
    import apache_beam as beam

    def run(tasks: int) -> None:
        seen: list[int] = []
        with beam.Pipeline(runner="DirectRunner") as pipeline:
            results = pipeline | beam.Create(range(tasks)) | beam.Map(noop)
            # Beam hands no values back: counting them is the least that shows they are there.
            _ = results | beam.combiners.Count.Globally() | beam.Map(seen.append)

    yield run


OURS = ("beam", {"max_workers": WORKERS})
