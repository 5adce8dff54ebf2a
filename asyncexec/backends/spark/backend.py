"""The ``spark`` executor: tasks on Apache Spark, on this machine or on a cluster (standalone, YARN, Kubernetes)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import ClassVar

from asyncexec.backends.adapters.calls import CallsBackend
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.extras import require_extra
from asyncexec.backends.option_fields import takes_options
from asyncexec.backends.spark.options import SparkOptions
from asyncexec.backends.spark.session import SparkConnection
from asyncexec.backends.spark.system import SparkSystem
from asyncexec.plan.locality import Locality

_NAME = "spark"
_BATCH_LIMIT = 512
# For what comes before and after the start, which has a bound of its own and a better error.
SPARE_SECONDS = 10.0
# A worker that dies is noticed at once; a machine that goes silent, within this time.
_FAR_LOSS_SECONDS = 30.0


class SparkBackend(CallsBackend):
    """Run tasks on Spark's executors.

    Spark places workers, one for each slot, and each serves the driver over a connection of its own as long as there is
    work: starts and ends are known at once, a cancelled task is killed, and a task costs a fraction of a Spark job. The
    executors must reach the driver, as Spark requires anyway.

    Its options are the fields of :class:`SparkOptions`.

    Raises
    ------
    OptionError
        If the value of an option is not allowed, or it cannot be set on an existing session.
    MissingExtraError
        If PySpark is not installed.
    """

    features: ClassVar[Capabilities] = Capabilities(
        name=_NAME,
        kills=True,
        isolated=True,
        measures_memory=True,
        batch_limit=_BATCH_LIMIT,
        loss_seconds=1.0,
        native_retry="tasks up to spark.task.maxFailures times: set to 1, and a repeated worker is turned away",
        call_seconds=0.001,
        overlaps=True,
    )

    @takes_options(SparkOptions)
    def __init__(self, options: SparkOptions) -> None:
        require_extra(_NAME, "pyspark")
        capabilities = replace(
            self.features,
            locality=Locality.SAME_HOST if options.local else Locality.ELSEWHERE,
            guarantees_memory=options.memory is not None,
            loss_seconds=self.features.loss_seconds if options.local else _FAR_LOSS_SECONDS,
            worker_bytes=options.memory_bytes,
            opening_seconds=options.start_timeout + SPARE_SECONDS,
            opening_advice="Check that its master runs and can be reached from here, or wait longer (start_timeout)",
        )
        self._spark = SparkSystem(SparkConnection(options), options, capabilities)
        super().__init__(self._spark)

    def avoid(self, workers: Collection[str]) -> None:
        """Give these workers no more attempts until the next call; those that they have not started go to others."""
        self._spark.avoid(workers)
        self._dispatch()
