"""Tasks on Apache Spark: on this machine, or on a cluster of Spark's own, YARN or Kubernetes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from asyncexec.backends.adapters.calls import CallsBackend
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.extras import need
from asyncexec.backends.options import (
    environment,
    mapping,
    memory_bytes,
    optional_text,
    path,
    seconds,
    text,
    whole_number,
)
from asyncexec.backends.spark_workers.pool import WorkerSettings
from asyncexec.backends.spark_workers.session import Session, Settings, is_local
from asyncexec.backends.spark_workers.system import SparkSystem
from asyncexec.errors import OptionError

_NAME = "spark"
_BATCH_LIMIT = 512
# A worker that dies is noticed at once; one whose machine goes silent, by this time.
_FAR_LOSS_SECONDS = 30.0
_WITH_SESSION = ("master", "app_name", "conf", "py_modules", "python", "cpus")


class SparkBackend(CallsBackend):
    """Run tasks on Spark's executors.

    Spark places workers, one for each slot, and each serves the driver over a connection of its own for as long as
    there is work: what starts and ends is known at once, a task that is cancelled is killed, and a task costs a
    fraction of what a job of Spark's costs. The executors must reach the driver, as Spark asks of them anyway.

    Parameters
    ----------
    session : SparkSession or SparkContext, optional
        Yours, which stays open; what is settled when a session is made cannot be set here then.
    master : str
        Where Spark runs: ``"local[4]"``, ``"spark://host:7077"``, ``"yarn"``, ``"k8s://…"``.
    app_name : str
        Under which Spark lists it.
    conf : mapping of str to str, optional
        Any of Spark's settings.
    max_workers : int, optional
        How many tasks run at once; default: what Spark has room for when it has started.
    cpus : int
        Cores for each worker (``spark.task.cpus``).
    memory : int or str, optional
        How much memory a task may hold (``2_000_000_000`` or ``"2GB"``): one that asks for more gets a ``MemoryError``.
        Workers on Linux only.
    env_vars : mapping of str to str, optional
        Environment variables of the workers.
    py_modules : sequence of str
        Files (``.py``, ``.zip``) and package directories that workers import from.
    python : str, optional
        The workers' interpreter; default: this one on this machine, ``PYSPARK_PYTHON`` elsewhere.
    port : int
        Where the driver listens for workers; 0 for any free port.
    start_timeout : float
        Seconds that Spark may take to start a worker.
    idle_timeout : float
        Seconds without work after which a worker gives its place in Spark to others.

    Raises
    ------
    OptionError
        If an option is not what it should be, or cannot be set on a session that was lent.
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
    )

    def __init__(
        self,
        *,
        session: Any = None,
        master: str = "local[*]",
        app_name: str = "asyncexec",
        conf: Mapping[str, str] | None = None,
        max_workers: int | None = None,
        cpus: int = 1,
        memory: int | str | None = None,
        env_vars: Mapping[str, str] | None = None,
        py_modules: Sequence[str] = (),
        python: str | None = None,
        port: int = 0,
        start_timeout: float = 300.0,
        idle_timeout: float = 60.0,
    ) -> None:
        need(_NAME, "spark", "pyspark")
        settings = Settings(
            master=text(master, executor=_NAME, option="master"),
            app_name=text(app_name, executor=_NAME, option="app_name"),
            conf=_settings_of(conf),
            env_vars=environment(env_vars, executor=_NAME),
            py_modules=_existing(py_modules),
            python=optional_text(python, executor=_NAME, option="python"),
            cpus=whole_number(cpus, executor=_NAME, option="cpus"),
        )
        workers = WorkerSettings(
            most=None
            if max_workers is None
            else whole_number(max_workers, executor=_NAME, option="max_workers"),
            memory_bytes=memory_bytes(memory, executor=_NAME, option="memory"),
            env_vars=settings.env_vars,
            port=whole_number(port, executor=_NAME, option="port", least=0),
            start_seconds=seconds(start_timeout, executor=_NAME, option="start_timeout"),
            idle_seconds=seconds(idle_timeout, executor=_NAME, option="idle_timeout"),
        )
        if session is not None:
            _check_lent(session, settings)
        local = is_local(settings.master if session is None else _master(session))
        capabilities = Capabilities(
            name=_NAME,
            kills=True,
            local=local,
            isolated=True,
            measures_memory=True,
            guarantees_memory=workers.memory_bytes is not None,
            batch_limit=_BATCH_LIMIT,
            loss_seconds=self.features.loss_seconds if local else _FAR_LOSS_SECONDS,
            native_retry=self.features.native_retry,
            call_seconds=self.features.call_seconds,
            worker_bytes=workers.memory_bytes,
        )
        owned = Session(settings) if session is None else Session(None, session)
        self._spark = SparkSystem(owned, workers, capabilities)
        super().__init__(self._spark)

    def avoid(self, workers: Collection[str]) -> None:
        """Give these workers nothing more until told otherwise; what they have not begun goes to others."""
        self._spark.avoid(workers)
        self._dispatch()


def _check_lent(session: Any, settings: Settings) -> None:
    if not hasattr(getattr(session, "sparkContext", session), "parallelize"):
        raise OptionError(
            f"executor {_NAME!r}: session must be a SparkSession or a SparkContext, not {session!r}; "
            f"a Spark Connect session has no RDDs, which this needs"
        )
    default = Settings(master="local[*]")
    for name in _WITH_SESSION:
        if getattr(settings, name) != getattr(default, name):
            raise OptionError(
                f"executor {_NAME!r}: {name} is settled when a session is made; set it there, "
                f"or leave session out"
            )


def _master(session: Any) -> str:
    return str(getattr(session, "sparkContext", session).master)


def _settings_of(conf: object) -> dict[str, str]:
    given = mapping(conf, executor=_NAME, option="conf")
    for name, value in given.items():
        if not isinstance(value, str):
            # Not the value: it may be a secret.
            raise OptionError(f"executor {_NAME!r}: conf must map names to text; {name!r} does not")
    return given


def _existing(modules: Sequence[str]) -> tuple[str, ...]:
    if isinstance(modules, str | bytes) or not isinstance(modules, Sequence):
        raise OptionError(
            f"executor {_NAME!r}: py_modules must be a list of paths, not {modules!r}"
        )
    paths = tuple(path(each, executor=_NAME, option="each of py_modules") for each in modules)
    for each in paths:
        if "://" not in each and not Path(each).exists():
            raise OptionError(f"executor {_NAME!r}: py_modules: there is no {each!r}")
    return paths
