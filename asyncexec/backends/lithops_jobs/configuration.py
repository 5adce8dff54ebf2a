"""From the options of the executor ``lithops`` to a configuration of Lithops."""

from __future__ import annotations

import copy
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from asyncexec.backends.contract import Capabilities
from asyncexec.errors import OptionError

LOCALHOST = "localhost"
_MEGABYTE = 2**20
_POLL_SECONDS = 0.05

type ConfigLike = Mapping[str, Any] | str | os.PathLike[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
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
    job_options : mapping
        Keyword arguments of each ``map``.
    timeout : float or None
        Seconds that one task may take.
    """

    config: Mapping[str, Any] = field(repr=False)
    place: str
    executors: int
    calls: int
    memory_bytes: int | None
    job_options: Mapping[str, Any] = field(repr=False)
    timeout: float | None

    @property
    def is_local(self) -> bool:
        """Whether jobs run on this machine."""
        return self.place == LOCALHOST

    def execution_timeout(self, tasks: int) -> int | None:
        """Return after how many seconds Lithops is to end a call of so many tasks; None: what its configuration says.

        It is the engine that ends tasks which take too long. This is for calls that only Lithops can end.
        """
        if self.timeout is None or math.isinf(self.timeout):
            return None
        return math.ceil(self.timeout * tasks + 30.0)

    def capabilities(self, features: Capabilities, *, batch_limit: int) -> Capabilities:
        """Return ``features``, which are those on this machine, as they are where the jobs run."""
        here = replace(features, batch_limit=batch_limit, worker_bytes=self.memory_bytes)
        if self.is_local:
            return here
        return replace(
            here, kills=False, local=False, metered=True, loss_seconds=None, call_seconds=1.0
        )


def settings_of(
    *,
    config: ConfigLike,
    backend: str | None,
    storage: str | None,
    max_workers: int | None,
    runtime: str | None,
    runtime_memory: int | None,
    env_vars: Mapping[str, str] | None,
    include_modules: Sequence[str] | None,
    timeout: float | None,
) -> Settings:
    """Complete the configuration the way Lithops does, with what this engine needs of it.

    Raises
    ------
    OptionError
        If Lithops does not take it.
    """
    chosen = _loaded(config)
    general = chosen["lithops"] = dict(chosen.get("lithops") or {})
    general.update({k: v for k, v in (("backend", backend), ("storage", storage)) if v is not None})
    if backend is not None:
        general.pop("mode", None)
    place = _place(chosen)
    section = chosen[place] = dict(chosen.get(place) or {})
    section.update(
        {
            name: value
            for name, value in (("runtime", runtime), ("runtime_memory", runtime_memory))
            if value is not None
        }
    )
    _say_how(general, section, place)
    executors = 1
    if place == LOCALHOST:
        executors = max_workers or section.get("worker_processes") or os.cpu_count() or 1
        section["worker_processes"] = 1
    elif max_workers is not None:
        section["max_workers"] = max_workers
    completed = _completed(chosen)[place]
    memory = None if place == LOCALHOST else completed.get("runtime_memory")
    return Settings(
        config=chosen,
        place=place,
        executors=executors,
        calls=1 if place == LOCALHOST else _calls(completed, place),
        memory_bytes=None if memory is None else int(memory) * _MEGABYTE,
        job_options={
            "extra_env": dict(env_vars or {}),
            "include_modules": None if include_modules is None else list(include_modules),
        },
        timeout=timeout,
    )


def _loaded(config: ConfigLike) -> dict[str, Any]:
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
