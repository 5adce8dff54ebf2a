"""Make a Lithops configuration of the options of the executor ``lithops``, completed the way Lithops does."""

from __future__ import annotations

import copy
import math
import os
import shutil
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
class LithopsConfiguration:
    """The configuration of Lithops, and the figures that the engine needs."""

    config: Mapping[str, Any] = field(repr=False)
    """The arguments of Lithops' executors; they may hold secrets."""
    backend_name: str
    """The name of the compute backend in Lithops: "localhost", "aws_lambda" …"""
    executors: int
    """The number of Lithops executors to use: on this machine each runs one job at a time."""
    calls: int
    """The number of calls that each runs at once."""
    memory_bytes: int | None
    """The memory of one call, if Lithops sets it."""
    options: LithopsOptions

    @property
    def is_local(self) -> bool:
        """True if jobs run on this machine."""
        return self.backend_name == LOCALHOST

    @property
    def missing_interpreter(self) -> str:
        """The Python interpreter of tasks on this machine, if it is not there; "" if it is, or is an image."""
        named = str(self.config.get(LOCALHOST, {}).get("runtime", "")) if self.is_local else ""
        is_image = "/" in named and not named.startswith("/")
        if not named or is_image or not named.startswith(("/", "python")):
            return ""
        return "" if shutil.which(named) else named

    def execution_timeout(self, tasks: int) -> int | None:
        """Return the seconds after which Lithops ends a call of so many tasks; None: as its configuration says.

        The engine ends tasks that take too long; this is for calls that only Lithops can end.
        """
        timeout = self.options.timeout
        if timeout is None or math.isinf(timeout):
            return None
        return math.ceil(timeout * tasks + 30.0)

    def job_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of each ``map``."""
        modules = self.options.include_modules
        return {
            "extra_env": dict(self.options.env_vars or {}),
            "include_modules": None if modules is None else list(modules),
        }

    def capabilities(self, features: Capabilities) -> Capabilities:
        """Return ``features``, those on this machine, adapted to where the jobs run."""
        limit = self.options.batch_limit
        here = replace(
            features,
            batch_limit=limit,
            worker_bytes=self.memory_bytes,
            opening_seconds=self.options.start_timeout,
            opening_advice=(
                f"Lithops does not start on {self.backend_name!r}: check that its storage and its service can be "
                f"reached, or give it longer (start_timeout)"
            ),
        )
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


def complete_configuration(options: LithopsOptions) -> LithopsConfiguration:
    """Complete the configuration the way Lithops does, with the settings that this engine needs.

    Raises OptionError if Lithops refuses it.
    """
    chosen = _loaded(options.config)
    general = chosen["lithops"] = dict(chosen.get("lithops") or {})
    general.update(_given(backend=options.backend, storage=options.storage))
    if options.backend is not None:
        general.pop("mode", None)
    backend_name = _backend_name(chosen)
    section = chosen[backend_name] = dict(chosen.get(backend_name) or {})
    section.update(_given(runtime=options.runtime, runtime_memory=options.runtime_memory))
    _set_defaults(general, section, backend_name)
    executors, workers = 1, options.max_workers
    if backend_name == LOCALHOST:
        executors = workers or section.get("worker_processes") or os.cpu_count() or 1
        section["worker_processes"] = 1
    else:
        section.update(_given(max_workers=workers))
    completed = _completed(chosen)[backend_name]
    memory = None if backend_name == LOCALHOST else completed.get("runtime_memory")
    if memory is None and options.runtime_memory is not None:
        raise OptionError(
            f"executor 'lithops': on {backend_name!r} Lithops does not set the memory of a "
            f"worker, so runtime_memory means nothing there"
        )
    return LithopsConfiguration(
        config=chosen,
        backend_name=backend_name,
        executors=executors,
        calls=1 if backend_name == LOCALHOST else _calls(completed, backend_name),
        memory_bytes=None if memory is None else int(memory) * _MEGABYTE,
        options=options,
    )


def _given(**options: Any) -> dict[str, Any]:
    """Return the options that are not None."""
    return {name: value for name, value in options.items() if value is not None}


def _loaded(config: ConfigLike | None) -> dict[str, Any]:
    """Load the configuration; if none is given, the one that Lithops finds."""
    from lithops.config import load_config

    if isinstance(config, Mapping):
        return copy.deepcopy(dict(config))
    path = None if config is None else Path(config)
    if path is not None and not path.is_file():
        raise OptionError(f"executor 'lithops': there is no configuration file {str(config)!r}")
    try:
        loaded: dict[str, Any] = load_config(None if path is None else str(path), log=False)
    except Exception as error:  # noqa: BLE001 - as Lithops puts it
        raise OptionError(
            f"executor 'lithops': its configuration cannot be read: {error}"
        ) from None  # Its own text may repeat what is secret.
    return copy.deepcopy(loaded)


def _backend_name(config: Mapping[str, Any]) -> str:
    """Return the name of the compute backend; this machine by default."""
    from lithops.utils import get_default_backend

    general = config["lithops"]
    if not general.get("backend") and not general.get("mode"):
        general["backend"] = LOCALHOST
    mode = general.get("mode")
    named = general.get("backend") or (config.get(mode) or {}).get("backend")
    return str(named or get_default_backend(mode))


def _set_defaults(general: dict[str, Any], section: dict[str, Any], backend_name: str) -> None:
    """Switch off what this engine does itself, and set the defaults that suit it."""
    # The executor cleans up itself: Lithops would leave it to a process that outlives this one.
    general["data_cleaner"] = False
    general.setdefault("telemetry", False)
    # Lithops must not limit the size of inputs: large ones travel too.
    general.setdefault("data_limit", 0)
    if backend_name == LOCALHOST:
        general.setdefault("storage", LOCALHOST)
        general.setdefault("monitoring_interval", _POLL_SECONDS)
        # Version 2 starts a new process for each call, which takes half a second.
        section.setdefault("version", 1)
        section.setdefault("runtime", sys.executable)


def _completed(config: Mapping[str, Any]) -> dict[str, Any]:
    from lithops.config import default_config

    try:
        completed: dict[str, Any] = default_config(config_data=copy.deepcopy(dict(config)))
    except Exception as error:  # noqa: BLE001 - the same
        raise OptionError(
            f"executor 'lithops': Lithops does not take this configuration: {error}"
        ) from None  # The same.
    return completed


def _calls(section: Mapping[str, Any], backend_name: str) -> int:
    """Return the number of calls that run at once."""
    workers = section.get("max_workers")
    if not isinstance(workers, int) or workers < 1:
        raise OptionError(
            f"executor 'lithops': Lithops does not say how many calls {backend_name!r} runs at once; "
            f"say it with max_workers"
        )
    return workers * int(section.get("worker_processes") or 1)
