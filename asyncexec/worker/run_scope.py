"""The data of a run that its tasks can ask for, wherever they run: plain data that travels with the program."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import cloudpickle

from asyncexec.errors import SerializationError

if TYPE_CHECKING:
    from asyncexec.worker.initializer import InitializesWorker, WorkerInitializer


def this_process() -> str:
    """Return a name of this process."""
    return process_here(os.getpid())


def process_here(number: int) -> str:
    """Return a name of a process of this machine: the machine's, and its number."""
    machine = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    return f"{machine}:{number}"


class LogSettings(NamedTuple):
    """The things said by tasks in other processes that the driver's logging wants.

    Attributes
    ----------
    levels : tuple of (str, int)
        The loggers that have a level of their own on the driver, ``""`` being the root.
    stdout, stderr : bool
        Whether what tasks print is wanted.
    driver : str
        The driver's process, in which some systems run their workers too, and where nothing is passed on.
    """

    levels: tuple[tuple[str, int], ...]
    stdout: bool
    stderr: bool
    driver: str = ""

    def level_of(self, logger: str) -> int:
        """Return the level from which records of a logger are wanted."""
        levels = dict(self.levels)
        while logger and logger not in levels:
            logger = logger.rpartition(".")[0]
        return levels.get(logger, 0)


class WarningFilter(NamedTuple):
    """One of the driver's warning filters.

    Attributes
    ----------
    action : str
    message, module : str
        Regular expressions; ``""`` for any.
    category : str or bytes
        The class as ``"module:name"``, or pickled by value where it is the driver's script that defines it.
    line : int
    """

    action: str
    message: str
    category: str | bytes
    module: str
    line: int


class DriverSettings(NamedTuple):
    """Settings of the driver's process that hold for tasks in other processes, too.

    Attributes
    ----------
    process : str
        The driver's process.
    levels : tuple of (str, int)
        The loggers that have a level of their own, ``""`` being the root.
    disabled : int
        The level up to which ``logging.disable`` has switched logging off.
    filters : tuple of WarningFilter
    """

    process: str
    levels: tuple[tuple[str, int], ...] = ()
    disabled: int = 0
    filters: tuple[WarningFilter, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RunScope:
    """The data of a run.

    Attributes
    ----------
    execution : str
        The execution's name in events.
    run_id, run_name : str
        The run's id, unique anywhere, and its name for people.
    plan, executor, namespace, workflow : str
    input : object
        What the workflow was called with.
    config : mapping of str to object
    extras : mapping of str to object
        What front ends and the engine add for their own code on workers.
    initializer : WorkerInitializer or None
        Called by every worker before its first task.
    logs : LogSettings or None
        What tasks in other processes say that is passed on to the driver; None for nothing.
    settings : DriverSettings or None
        The warning filters and logging levels that hold for its tasks.
    """

    execution: str = ""
    run_id: str = ""
    run_name: str = ""
    plan: str = ""
    executor: str = ""
    namespace: str = ""
    workflow: str = ""
    input: Any = None
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    extras: Mapping[str, Any] = field(default_factory=dict[str, Any])
    initializer: WorkerInitializer | None = None
    logs: LogSettings | None = None
    settings: DriverSettings | None = None

    def open(self) -> RunScope:
        """Return itself."""
        return self

    @cached_property
    def packed(self) -> PackedScope:
        """The same for workers in other processes, pickled once for all stages.

        Raises
        ------
        SerializationError
            If it cannot be pickled.
        """
        try:
            # What programs carry besides is left out.
            alone = replace(self, initializer=None, logs=None, settings=None)
            return PackedScope(cloudpickle.dumps(alone))
        except Exception as error:
            raise SerializationError(
                f"the context of plan {self.plan!r} (its input, config or what else was attached to it) cannot be "
                f"pickled, so it cannot be sent to a worker process: {error}. Attach plain data, or run on "
                f"executor='threads'"
            ) from error


class PackedScope:
    """A pickled :class:`RunScope`, which is unpickled when a task asks for it."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def open(self) -> RunScope:
        """Return the scope."""
        return self._scope

    @cached_property
    def _scope(self) -> RunScope:
        scope: RunScope = pickle.loads(self._data)  # noqa: S301 - from the driver
        return scope


class OpensScope(Protocol):
    """A run's data, perhaps still pickled."""

    def open(self) -> RunScope:
        """Return it."""
        ...


class StageScope(NamedTuple):
    """The data of a stage of a run, as its program carries it."""

    execution: str
    plan: str
    stage: str
    run: OpensScope
    logs: LogSettings | None = None
    """What the driver wants to know; None also in the driver's own process."""
    initializer: InitializesWorker | None = None
    settings: DriverSettings | None = None
