"""The options of the executor ``spark``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

from asyncexec.backends.option_fields import check_options
from asyncexec.config.checks import (
    Count,
    CountFromZero,
    EnvVars,
    Memory,
    Places,
    Seconds,
    address,
    bytes_of,
    mapping,
)
from asyncexec.errors import OptionError

_NAME = "spark"
_OF_OWN_SESSIONS = ("master", "app_name", "conf", "py_modules", "python", "cpus")


_MASTERS = re.compile(
    r"local(\[([0-9]+|\*)(,\s*[0-9]+)?\])?"
    r"|local-cluster\[\s*[0-9]+\s*,\s*[0-9]+\s*,\s*[0-9]+\s*\]"
    r"|spark://.+:[0-9]+|yarn|k8s://.+"
)


def is_local(master: str) -> bool:
    """Return whether a master URL means this machine."""
    return master.startswith("local")


def _master(value: object, where: str) -> str:
    checked = address(value, where)
    if _MASTERS.fullmatch(checked) is None:
        raise OptionError(
            f"{where}={checked!r} is no master of Spark's. It is 'local', 'local[4]' or 'local[*]', "
            f"'spark://host:7077' (or several: 'spark://a:7077,b:7077'), 'yarn' or 'k8s://https://host:443'. "
            f"For another kind of cluster, make the session yourself, and give it as session"
        )
    return checked


def _session(value: object, where: str) -> object:
    if not hasattr(getattr(value, "sparkContext", value), "parallelize"):
        raise OptionError(
            f"{where} must be a SparkSession or a SparkContext, not {value!r}; "
            f"a Spark Connect session has no RDDs, which this needs"
        )
    return value


def _conf(value: object, where: str) -> dict[str, str]:
    given = mapping(value, where)
    for name, setting in given.items():
        if not isinstance(setting, str):
            # Not the value: it may be a secret.
            raise OptionError(f"{where} must map names to text; {name!r} does not")
    return given


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkOptions:
    """Options of the executor ``spark``."""

    session: Annotated[Any, _session] | None = None
    """A SparkSession or SparkContext of yours, which stays open; what is settled when a session is made cannot be set
    here then."""

    master: Annotated[str, _master] = "local[*]"
    """Where Spark runs: ``"local[4]"``, ``"spark://host:7077"``, ``"yarn"``, ``"k8s://…"``."""

    app_name: str = "asyncexec"
    """Under which Spark lists it."""

    conf: Annotated[Mapping[str, str], _conf] | None = field(default=None, repr=False)
    """Any of Spark's settings."""

    max_workers: Count | None = None
    """How many tasks run at once; default: what Spark has room for when it has started."""

    cpus: Count = 1
    """Cores for each worker (``spark.task.cpus``)."""

    memory: Memory | None = None
    """How much memory a task may hold (``2_000_000_000`` or ``"2GB"``): one that asks for more gets a ``MemoryError``.
    Workers on Linux only."""

    env_vars: EnvVars | None = field(default=None, repr=False)
    """Environment variables of the workers."""

    py_modules: Places = ()
    """Files (``.py``, ``.zip``) and package directories that workers import from."""

    python: str | None = None
    """The workers' interpreter; default: this one on this machine, ``PYSPARK_PYTHON`` elsewhere."""

    port: CountFromZero = 0
    """Where the driver listens for workers; 0 for any free port."""

    start_timeout: Seconds = 300.0
    """Seconds that Spark may take to start, and then to start a worker."""

    idle_timeout: Seconds = 60.0
    """Seconds without work after which a worker gives its place in Spark to others."""

    def __post_init__(self) -> None:
        check_options(self, executor=_NAME)
        if self.session is None:
            return
        for option in fields(self):
            given = getattr(self, option.name) or None
            if option.name in _OF_OWN_SESSIONS and given != (option.default or None):
                raise OptionError(
                    f"executor {_NAME!r}: {option.name} is settled when a session is made; set it there, "
                    f"or leave session out"
                )

    @property
    def local(self) -> bool:
        """True if workers run on this machine."""
        if self.session is None:
            return is_local(self.master)
        return is_local(str(getattr(self.session, "sparkContext", self.session).master))

    @property
    def memory_bytes(self) -> int | None:
        """The memory that a task may hold, in bytes."""
        return bytes_of(self.memory)
