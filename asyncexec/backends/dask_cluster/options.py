"""From what users write as options to settings, with the checks of what goes with what."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from asyncexec.backends.cores import usable_cores
from asyncexec.backends.dask_cluster.settings import LentSettings, LocalSettings
from asyncexec.backends.options import environment, flag, memory_bytes, whole_number
from asyncexec.errors import OptionError

_LENT = "cluster_address, scheduler_file, client or cluster"
# Those of a cluster of our own that are not what they are by default mean nothing for another cluster.
_OWN_DEFAULTS: Mapping[str, Any] = {
    "max_workers": None,
    "threads": None,
    "processes": True,
    "memory": None,
    "env_vars": None,
    "encrypted": True,
}


def lent_settings(
    *, cluster_address: Any, scheduler_file: Any, client: Any, cluster: Any, security: Any
) -> LentSettings | None:
    """Return which cluster is lent; None if there is to be one of our own.

    Raises
    ------
    OptionError
        If more than one is said, or one is not what it should be.
    """
    sources = {
        "cluster_address": cluster_address,
        "scheduler_file": scheduler_file,
        "client": client,
        "cluster": cluster,
    }
    given = [name for name, value in sources.items() if value is not None]
    if len(given) > 1:
        raise OptionError(f"executor 'dask': only one of {_LENT} can be given, not {given}")
    if not given:
        if security is not None:
            raise OptionError(f"executor 'dask': security goes with {_LENT}")
        return None
    for name in ("cluster_address", "scheduler_file"):
        if sources[name] is not None and not isinstance(sources[name], str):
            raise OptionError(f"executor 'dask': {name} must be text, not {sources[name]!r}")
    if client is not None and not hasattr(client, "scheduler"):
        raise OptionError(f"executor 'dask': client must be a distributed.Client, not {client!r}")
    has_address = hasattr(cluster, "scheduler_address")
    if cluster is not None and not has_address and not callable(cluster):
        raise OptionError(
            f"executor 'dask': cluster must be a Dask cluster or a function that makes one, not {cluster!r}"
        )
    return LentSettings(
        address=cluster_address,
        scheduler_file=scheduler_file,
        client=client,
        cluster=cluster if has_address else None,
        make_cluster=None if has_address or cluster is None else cluster,
        security=security,
    )


def local_settings(**given: Any) -> LocalSettings:
    """Return the cluster of our own that is asked for.

    Raises
    ------
    OptionError
        If an option is out of range, or does not go with another.
    """
    processes = flag(given["processes"], executor="dask", option="processes")
    workers, threads = _size(given, processes=processes)
    memory, variables = given["memory"], environment(given["env_vars"], executor="dask")
    if not processes and (memory is not None or variables):
        raise OptionError(
            "executor 'dask': memory and env_vars are for worker processes; with processes=False tasks run in this "
            "process. Leave them out, or let processes be True"
        )
    return LocalSettings(
        workers=workers,
        threads=threads,
        processes=processes,
        memory_bytes=memory_bytes(memory, executor="dask", option="memory"),
        env_vars=variables,
        encrypted=flag(given["encrypted"], executor="dask", option="encrypted"),
    )


def refuse_own_options(given: Mapping[str, Any]) -> None:
    """Check that nothing was said of a cluster of our own where another is lent.

    Raises
    ------
    OptionError
        If something was.
    """
    for name, default in _OWN_DEFAULTS.items():
        if given[name] != default:
            raise OptionError(
                f"executor 'dask': {name} is for a cluster of our own, and does not go with {_LENT}: say it where "
                f"that cluster's workers are started"
            )


def _size(given: Mapping[str, Any], *, processes: bool) -> tuple[int, int]:
    """Return the workers, and the threads of each."""
    at_once = given["max_workers"]
    if at_once is None:
        at_once = usable_cores() if given["cpus"] is None else max(1, math.floor(given["cpus"]))
    at_once = whole_number(at_once, executor="dask", option="max_workers")
    threads = given["threads"]
    if threads is None:
        threads = 1 if processes else at_once
    threads = whole_number(threads, executor="dask", option="threads")
    if at_once % threads:
        raise OptionError(
            f"executor 'dask': max_workers ({at_once}) must be a multiple of threads ({threads}): it is how many tasks "
            f"run at once in all workers together"
        )
    return at_once // threads, threads


def adaptive_range(adaptive: Any, source: LocalSettings | LentSettings) -> tuple[int, int] | None:
    """Return the fewest and the most workers; None where their number is fixed.

    Raises
    ------
    OptionError
        If it is no range, or the cluster cannot be scaled from here.
    """
    if adaptive is False:
        return None
    if isinstance(source, LentSettings) and source.cluster is None and source.make_cluster is None:
        raise OptionError(
            "executor 'dask': adaptive needs a cluster object that can be scaled: give it as cluster"
        )
    if adaptive is True and isinstance(source, LocalSettings):
        return 1, source.workers
    match adaptive:
        case (int(least), int(most)) if 0 <= least <= most and most >= 1:
            return least, most
        case _:
            pass
    raise OptionError(
        f"executor 'dask': adaptive must be (fewest, most) workers such as (1, 20), not {adaptive!r}"
    )


def named_resources(
    *, cpus: float | None, gpus: float | None, resources: Mapping[str, float] | None
) -> dict[str, float]:
    """Return what stages may ask for, in all, by name.

    Raises
    ------
    OptionError
        If an amount is not a number of 0 or more.
    """
    given: dict[str, Any] = {"cpus": cpus, "gpus": gpus}
    named = dict(resources or {}) | {k: v for k, v in given.items() if v is not None}
    amounts: Mapping[str, Any] = named
    for name, amount in amounts.items():
        number = isinstance(amount, int | float) and not isinstance(amount, bool)
        if not number or not amount >= 0 or math.isinf(amount):
            raise OptionError(
                f"executor 'dask': of resource {name!r} there must be a number, 0 or more, not {amount!r}"
            )
    return named
