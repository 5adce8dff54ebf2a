"""The connection to Spark, started here or given by the user; its methods block."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from asyncexec.backends.spark.errors_of_start import explained, first_lines
from asyncexec.backends.spark.options import SparkOptions, is_local
from asyncexec.errors import BackendError, ConfigurationError

END_SECONDS = 10.0

# PySpark has one JVM and one context in a process: what an earlier start has left is cleaned up before the next.
_STARTING = threading.Lock()

_DEFAULTS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # The engine retries and makes backups; Spark must not do so again.
    "spark.task.maxFailures": "1",
    "spark.speculation": "false",
    # The engine reports a killed worker; Spark's log would add pages of Java.
    "spark.log.level": "FATAL",
}
_LOOPBACK = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}


def spark_conf(options: SparkOptions) -> dict[str, str]:
    """Return Spark's settings: the defaults, changed by the user's."""
    return {
        **_DEFAULTS,
        **(_LOOPBACK if options.local else {}),
        "spark.task.cpus": str(options.cpus),
        **(options.conf or {}),
        "spark.master": options.master,
        "spark.app.name": options.app_name,
    }


class SparkConnection:
    """A SparkContext: one that is started and ended here, or the user's, which is left open."""

    def __init__(self, options: SparkOptions) -> None:
        self._options = options
        self._context: Any = getattr(options.session, "sparkContext", options.session)
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch: str | None = None
        self._interrupted = False

    @property
    def context(self) -> Any:
        """The SparkContext."""
        return self._context

    @property
    def host(self) -> str:
        """The host at which workers reach the driver."""
        return str(self._context.getConf().get("spark.driver.host"))

    @property
    def bind_address(self) -> str:
        """The address on which the driver listens."""
        return str(self._context.getConf().get("spark.driver.bindAddress", self.host))

    @property
    def paths(self) -> tuple[str, ...]:
        """The driver's import paths, for workers on this machine."""
        return tuple(map(str, sys.path)) if is_local(self._context.master) else ()

    @property
    def workers(self) -> int:
        """The number of workers that fit at once, as far as Spark knows now."""
        cpus = int(self._context.getConf().get("spark.task.cpus", "1"))
        return int(self._context.defaultParallelism) // cpus

    def open(self) -> None:
        """Start Spark.

        Raises ConfigurationError if this process has a Spark session already, and BackendError if it does not start.
        """
        self._interrupted = False
        if self._options.session is None:
            with _STARTING:
                self._start()

    def interrupt(self) -> None:
        """Make :meth:`open` raise soon, in whatever thread it runs: a JVM that was started here is killed."""
        self._interrupted = True
        if self._process is not None:
            self._process.kill()

    def run(self, work: Callable[[], None], group: str) -> None:
        """Call ``work`` in a Spark task, and wait for its end; called in a thread of its own.

        Raises BackendError if Spark cannot run it, or the worker dies.
        """
        context = self._context
        context.setJobGroup(group, "asyncexec worker", interruptOnCancel=True)
        task = context.parallelize([0], 1).mapPartitions(partial(_run_in_partition, work))
        # The result of the task is not unpickled here: results come only through the worker's own connection.
        task._bypass_serializer = True  # noqa: SLF001 - as Spark's own partitionBy does
        try:
            task.collect()
        except Exception as error:
            raise BackendError(f"executor 'spark': a worker ended: {first_lines(error)}") from error
        finally:
            _drop_connection(context)

    def stop(self, group: str) -> None:
        """Cancel the jobs of a job group."""
        with contextlib.suppress(Exception):  # The context may be gone with all its jobs.
            self._context.cancelJobGroup(group)

    def close(self) -> None:
        """End Spark with its JVM, if it was started here."""
        if self._options.session is not None:
            return
        context, self._context = self._context, None
        if context is not None:
            with contextlib.suppress(Exception):  # A JVM that has died cannot be stopped.
                context.stop()
        self._end_gateway()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _start(self) -> None:
        from pyspark import SparkConf, SparkContext

        if SparkContext._active_spark_context is not None:  # noqa: SLF001 - SparkSession looks there as well
            raise ConfigurationError(
                "executor 'spark': this process has a Spark session already, and Spark allows one. "
                "Lend it: executor_options={'session': spark}"
            )
        conf = SparkConf(loadDefaults=False)
        for name, value in spark_conf(self._options).items():
            conf.set(name, value)
        is_ours = SparkContext._gateway is None  # noqa: SLF001 - True if the JVM is started, and so ended, here
        try:
            # The JVM first, so that it can be killed while it looks for its master.
            SparkContext._ensure_initialized(conf=conf)  # noqa: SLF001 - there is no public way
            if is_ours:
                self._process = getattr(SparkContext._gateway, "proc", None)  # noqa: SLF001 - see above
            if not self._interrupted:
                self._context = SparkContext(conf=conf)
                self._prepare_workers()
        except Exception as error:  # noqa: BLE001 - raised below; its text cannot be read once the JVM has ended
            message = explained(
                error
            )  # The text comes from the JVM, so it is read while there is one.
            self.close()
            raise BackendError(
                f"executor 'spark' cannot start Spark on {self._options.master!r}: {message}"
            ) from None
        if self._interrupted:
            self.close()
            raise BackendError("executor 'spark': its start was given up")

    def _prepare_workers(self) -> None:
        context, options = self._context, self._options
        variables = options.env_vars or {}
        context.environment.update(variables)
        if options.local:
            paths = [variables.get("PYTHONPATH", ""), *map(str, sys.path)]
            context.environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        if options.python is not None:
            context.pythonExec = options.python
        elif options.local:
            context.pythonExec = sys.executable
        for module in self._packed(map(str, options.py_modules)):
            context.addPyFile(module)

    def _packed(self, modules: Iterable[str]) -> Iterable[str]:
        """Return the files of the modules; package directories are zipped."""
        for module in modules:
            if not Path(module).is_dir():
                yield module
                continue
            if self._scratch is None:
                self._scratch = tempfile.mkdtemp(prefix="asyncexec-spark-")
            package = Path(module).resolve()
            target = str(Path(self._scratch) / package.name)
            yield shutil.make_archive(target, "zip", package.parent, package.name)

    def _end_gateway(self) -> None:
        from pyspark import SparkContext

        gateway, process = SparkContext._gateway, self._process  # noqa: SLF001 - PySpark keeps its JVM for ever
        if process is None:
            return
        if gateway is not None and process.poll() is None:
            with contextlib.suppress(Exception):
                gateway.shutdown()
        if process.stdin is not None:
            process.stdin.close()  # The JVM takes this for the end of its driver.
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        SparkContext._gateway = SparkContext._jvm = None  # noqa: SLF001 - so that another can be started
        self._process = None


def _run_in_partition(work: Callable[[], None], items: Iterable[Any]) -> list[bytes]:
    """Do the work of a Spark task; Spark reuses a Python worker only if its input was read to the end."""
    for _ in items:
        pass
    work()
    return []


def _drop_connection(context: Any) -> None:
    """Close this thread's connection to the JVM, which ends its thread there."""
    with contextlib.suppress(Exception):
        connection = context._jvm._gateway_client.get_thread_connection()  # noqa: SLF001 - as pyspark's own threads do
        if connection is not None:
            connection.close()
