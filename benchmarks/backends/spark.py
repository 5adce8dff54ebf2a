"""Spark's `parallelize(…, 8).map(…).collect()` beside the `spark` executor, both on `local[2]`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.backends.protocol import Run

MASTER = "local[2]"
PARTS = 8


@contextmanager
def bare() -> Iterator[Run]:
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master(MASTER)
    for name, value in {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
    }.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    context = session.sparkContext

    def run(tasks: int) -> None:
        values = context.parallelize(range(tasks), PARTS).map(lambda item: item).collect()
        assert values == list(range(tasks))

    try:
        yield run
    finally:
        session.stop()


OURS = ("spark", {"master": MASTER})
