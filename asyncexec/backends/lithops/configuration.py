"""From the options of the executor ``lithops`` to a configuration of Lithops, completed as Lithops does."""

from __future__ import annotations

import copy
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from asyncexec.backends.contract import Capabilities
from asyncexec.backends.lithops.options import ConfigLike, LithopsOptions
from asyncexec.errors import OptionError
from asyncexec.plan.locality import Locality

LOCALHOST = "localhost"
_MEGABYTE = 2**20
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What runs on Lithops need to know.

    Attributes
    ----------
    config : mapping
        What Lithops' executors are made with; it may hold secrets.
    place : str
        Lithops' name of the compute backend: "localhost", "aws_lambda" …
    executors : int
        How many of Lithops' executors to use: on this machine each runs one job at a time.
    calls : int
        How many calls each runs at once.
    memory_bytes : int or None
        Memory of one call, where Lithops sets it.
    options : LithopsOptions
    """

    config: Mapping[str, Any] = field(repr=False)
    place: str
    executors: int
    calls: int
    memory_bytes: int | None
    options: LithopsOptions

    @property
    def is_local(self) -> bool:
        """Whether jobs run on this machine."""
        return self.place == LOCALHOST

    def execution_timeout(self, tasks: int) -> int | None:
        """Return after how many seconds Lithops is to end a call of so many tasks; None: what its configuration says.

        It is the engine that ends tasks which take too long. This is for calls that only Lithops can end.
        """
        timeout = self.options.timeout
        if timeout is None or math.isinf(timeout):
            return None
        return math.ceil(timeout * tasks + 30.0)

    def job_arguments(self) -> dict[str, Any]:
        """Return keyword arguments of each ``map``."""
        modules = self.options.include_modules
        return {
            "extra_env": dict(self.options.env_vars or {}),
            "include_modules": None if modules is None else list(modules),
        }

    def capabilities(self, features: Capabilities) -> Capabilities:
        """Return ``features``, which are those on this machine, as they are where the jobs run."""
        limit = self.options.batch_limit
        here = replace(features, batch_limit=limit, worker_bytes=self.memory_bytes)
        if self.is_local:
            return here
        return replace(
            here,
            kills=False,
            locality=Locality.ELSEWHERE,
            metered=True,
            loss_seconds=None,
            call_seconds=1.0,
        )


def configuration_of(options: LithopsOptions) -> Configuration:
    """Complete the configuration the way Lithops does, with what this engine needs of it.

    Raises
    ------
    OptionError
        If Lithops does not take it.
    """
    chosen = _loaded(options.config)
    general = chosen["lithops"] = dict(chosen.get("lithops") or {})
    general.update(_given(backend=options.backend, storage=options.storage))
    if options.backend is not None:
        general.pop("mode", None)
    place = _place(chosen)
    section = chosen[place] = dict(chosen.get(place) or {})
    section.update(_given(runtime=options.runtime, runtime_memory=options.runtime_memory))
    _say_how(general, section, place)
    executors, workers = 1, options.max_workers
    if place == LOCALHOST:
        executors = workers or section.get("worker_processes") or os.cpu_count() or 1
        section["worker_processes"] = 1
    else:
        section.update(_given(max_workers=workers))
    completed = _completed(chosen)[place]
    memory = None if place == LOCALHOST else completed.get("runtime_memory")
    if memory is None and options.runtime_memory is not None:
        raise OptionError(
            f"executor 'lithops': on {place!r} Lithops does not set the memory of a "
            f"worker, so runtime_memory means nothing there"
        )
    return Configuration(
        config=chosen,
        place=place,
        executors=executors,
        calls=1 if place == LOCALHOST else _calls(completed, place),
        memory_bytes=None if memory is None else int(memory) * _MEGABYTE,
        options=options,
    )


def _given(**options: Any) -> dict[str, Any]:
    """Return those options of which something was said."""
    return {name: value for name, value in options.items() if value is not None}


def _loaded(config: ConfigLike | None) -> dict[str, Any]:
    """Return the configuration that is meant: Lithops looks for one where none is given."""
    from lithops.config import load_config

    if isinstance(config, Mapping):
        return copy.deepcopy(dict(config))
    path = None if config is None else Path(config)
    if path is not None and not path.is_file():
        raise OptionError(f"executor 'lithops': there is no configuration file {str(path)!r}")
    try:
        loaded: dict[str, Any] = load_config(None if path is None else str(path), log=False)
    except Exception as error:
        raise OptionError(
            f"executor 'lithops': its configuration cannot be read: {error}"
        ) from error
    return copy.deepcopy(loaded)


def _place(config: Mapping[str, Any]) -> str:
    """Return Lithops' compute backend; this machine where nothing is said."""
    from lithops.utils import get_default_backend

    general = config["lithops"]
    if not general.get("backend") and not general.get("mode"):
        general["backend"] = LOCALHOST
    mode = general.get("mode")
    named = general.get("backend") or (config.get(mode) or {}).get("backend")
    return str(named or get_default_backend(mode))


def _say_how(general: dict[str, Any], section: dict[str, Any], place: str) -> None:
    """Set what this engine does itself, or does not want done, and what suits it where nothing is said."""
    # Cleaning is done here: Lithops would leave it to a process that outlives this one.
    general["data_cleaner"] = False
    general.setdefault("telemetry", False)
    # How much a job may carry is not for Lithops to say: large inputs travel too.
    general.setdefault("data_limit", 0)
    if place == LOCALHOST:
        general.setdefault("storage", LOCALHOST)
        general.setdefault("monitoring_interval", _POLL_SECONDS)
        # Version 2 starts a process anew for each call, and takes half a second for it.
        section.setdefault("version", 1)
        section.setdefault("runtime", sys.executable)


def _completed(config: Mapping[str, Any]) -> dict[str, Any]:
    from lithops.config import default_config

    try:
        completed: dict[str, Any] = default_config(config_data=copy.deepcopy(dict(config)))
    except Exception as error:
        raise OptionError(
            f"executor 'lithops': Lithops does not take this configuration: {error}"
        ) from error
    return completed


def _calls(section: Mapping[str, Any], place: str) -> int:
    """Return how many calls run at once."""
    workers = section.get("max_workers")
    if not isinstance(workers, int) or workers < 1:
        raise OptionError(
            f"executor 'lithops': Lithops does not say how many calls {place!r} runs at once; "
            f"say it with max_workers"
        )
    return workers * int(section.get("worker_processes") or 1)
