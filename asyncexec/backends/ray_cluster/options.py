"""The options of the ``ray`` executor, checked."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncexec.backends.options import environment, flag, mapping, memory_bytes, texts, whole_number
from asyncexec.backends.ray_cluster.connect import Wanted
from asyncexec.errors import OptionError

NAME = "ray"
# Ray's own floor.
LEAST_OBJECT_STORE_BYTES = 80_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a backend was told.

    Attributes
    ----------
    wanted : Wanted
        Of the session.
    max_workers : int or None
    memory_bytes : int or None
        What one task may use.
    max_calls : int or None
    task_env : mapping
        The part of Ray's ``runtime_env`` that goes with each task.
    """

    wanted: Wanted
    max_workers: int | None
    memory_bytes: int | None
    max_calls: int | None
    task_env: Mapping[str, Any]


def checked(
    *,
    cluster_address: str | None,
    max_workers: int | None,
    cpus: int | None,
    gpus: int | None,
    memory: int | str | None,
    resources: Mapping[str, float] | None,
    object_store_memory: int | str | None,
    env_vars: Mapping[str, str] | None,
    pip: Sequence[str] | None,
    working_dir: str | Path | None,
    py_modules: Sequence[str | Path] | None,
    log_to_driver: bool,
    max_calls: int | None,
) -> Settings:
    """Return the options as settings.

    Raises
    ------
    OptionError
        If one is not what it should be.
    """
    address = _address(cluster_address)
    sent = _sent(working_dir, py_modules)
    wanted = Wanted(
        address=address,
        cpus=_count("cpus", cpus),
        gpus=_count("gpus", gpus, least=0),
        resources=_resources(resources),
        object_store_bytes=_object_store(object_store_memory, address),
        log_to_driver=flag(log_to_driver, executor=NAME, option="log_to_driver"),
        runtime_env={option: value for option, value in sent.items() if not _is_fetched(value)},
    )
    fetched = {option: value for option, value in sent.items() if _is_fetched(value)}
    return Settings(
        wanted=wanted,
        max_workers=_count("max_workers", max_workers),
        memory_bytes=memory_bytes(memory, executor=NAME, option="memory"),
        max_calls=_count("max_calls", max_calls),
        task_env={**_task_env(env_vars, pip), **fetched},
    )


def _count(option: str, value: int | None, *, least: int = 1) -> int | None:
    return None if value is None else whole_number(value, executor=NAME, option=option, least=least)


def _address(address: Any) -> str | None:
    if address is None:
        # As Ray itself does; inside a Ray job it is set.
        address = os.environ.get("RAY_ADDRESS") or None
    if address is None or address == "local":
        return None
    if not isinstance(address, str) or not address:
        raise OptionError(f"executor 'ray': cluster_address must be 'host:port', not {address!r}")
    if "://" in address:
        raise OptionError(
            f"executor 'ray': cluster_address={address!r} would go through Ray Client, which cannot "
            f"tell what tasks do while they run. Give 'host:port' (or 'auto') on a machine of the "
            f"cluster, or submit the program as a Ray job"
        )
    return address


def _resources(resources: Mapping[str, Any] | None) -> dict[str, float]:
    amounts = mapping(resources, executor=NAME, option="resources")
    for name, amount in amounts.items():
        if name in {"cpus", "gpus", "CPU", "GPU", "memory", "object_store_memory"}:
            raise OptionError(
                f"executor 'ray': {name!r} is not a custom resource; there are the options "
                f"cpus, gpus, memory and object_store_memory"
            )
        if isinstance(amount, bool) or not isinstance(amount, int | float) or not amount > 0:
            raise OptionError(
                f"executor 'ray': resources[{name!r}] must be a number above 0, not {amount!r}"
            )
    return amounts


def _object_store(memory: int | str | None, address: str | None) -> int | None:
    if memory is None:
        return None
    if address is not None:
        raise OptionError(
            "executor 'ray': object_store_memory is for a Ray that is started here; the cluster at "
            "cluster_address has its own"
        )
    size = memory_bytes(memory, executor=NAME, option="object_store_memory")
    if size is None or size < LEAST_OBJECT_STORE_BYTES:
        raise OptionError(
            f"executor 'ray': object_store_memory must be at least 80MB, not {memory!r}"
        )
    return size


def _is_fetched(value: str | list[str]) -> bool:
    """Whether workers fetch all of it themselves: that goes with tasks, so a Ray that runs takes it as well."""
    places = [value] if isinstance(value, str) else value
    return bool(places) and all("://" in place for place in places)


def _sent(
    working_dir: str | Path | None, py_modules: Sequence[str | Path] | None
) -> dict[str, str | list[str]]:
    env: dict[str, str | list[str]] = {}
    if working_dir is not None:
        env["working_dir"] = str(_place("working_dir", working_dir))
    if py_modules is not None:
        places = _list("py_modules", py_modules)
        env["py_modules"] = [str(_place("py_modules", place)) for place in places]
    return env


def _place(option: str, place: str | Path) -> str | Path:
    if not isinstance(place, str | Path):
        raise OptionError(
            f"executor 'ray': {option} takes paths and addresses of archives, not {place!r}"
        )
    if "://" not in str(place) and not Path(place).exists():
        raise OptionError(f"executor 'ray': {option}: there is no {str(place)!r}")
    return place


def _list(option: str, value: Sequence[Any]) -> list[Any]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise OptionError(f"executor 'ray': {option} must be a list, not {value!r}")
    return list(value)


def _task_env(env_vars: Mapping[str, str] | None, pip: Sequence[str] | None) -> dict[str, Any]:
    env: dict[str, Any] = {}
    if env_vars is not None:
        env["env_vars"] = environment(env_vars, executor=NAME)
    if pip is not None:
        env["pip"] = list(texts(pip, executor=NAME, option="pip"))
    return env
