"""Executor options that are policies of the run, and not the backend's: the engine applies them, on every executor.

The names are those of Cubed's executors. They mean the same but for ``retries``, which counts attempts in all, as every
number of attempts here does; plans that come from Cubed keep its meaning (:mod:`asyncexec.integrations.cubed`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any

from asyncexec.backends.option_fields import check_options
from asyncexec.config.checks import Count, Seconds, mapping, size_or_zero, whole_number
from asyncexec.errors import OptionError
from asyncexec.policies.retry import Retry
from asyncexec.policies.timeout import Timeout
from asyncexec.scheduler.run_policies import RunPolicies, as_initargs, as_initializer
from asyncexec.straggler.names import as_rule


def _attempts(value: object, where: str) -> int:
    if value == 0:
        raise OptionError(
            f"{where} counts the attempts of a task in all, the first included, so it must be "
            f"at least 1, not {value!r}; 1 means no retries"
        )
    return whole_number(value, where)


def _initializer(value: object, where: str) -> Callable[..., object]:
    del where
    return as_initializer(value)


def _initargs(value: object, where: str) -> tuple[Any, ...]:
    del where
    return as_initargs(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class EveryExecutorOptions:
    """The options of runs that may be given as executor options; None leaves the default."""

    retries: Annotated[int, _attempts] | None = None
    """the attempts of a task in all, the first included, as with ``retry=``: 1 means no retries"""

    timeout: Seconds | None = None
    """seconds that a task may take, from its start on a worker"""

    use_backups: bool | None = None
    """backups for slow tasks, or none"""

    batch_size: Count | None = None
    """the most tasks that may be with the executor at once"""

    initializer: Annotated[Any, _initializer] | None = None
    """a function that every worker calls once before its first task, or its dotted path"""

    initargs: Annotated[Any, _initargs] | None = None
    """the arguments of ``initializer``"""

    compute_arrays_in_parallel: bool | None = None
    """False: one stage at a time, each as a whole; True: chunk by chunk"""

    log_to_driver: bool | None = None
    """whether what tasks in other processes log, warn of and print reaches this process's logging"""

    value_threshold: Annotated[int | str, size_or_zero] | None = None
    """the size from which values stay near the workers (64 kB); 0 has all values travel"""


RUN_OPTIONS = tuple(field.name for field in fields(EveryExecutorOptions))
"""The names of those options."""


def split_options(
    options: Mapping[str, Any] | None, constructor_takes: Collection[str], executor: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options for the backend's constructor, and those for runs; one that both take goes to both.

    Raises
    ------
    OptionError
        If they are no mapping of names to values.
    """
    options = mapping(options, f"executor {executor!r}: executor_options")
    for_runs = {name: value for name, value in options.items() if name in RUN_OPTIONS}
    for_backend = {
        name: value
        for name, value in options.items()
        if name not in RUN_OPTIONS or name in constructor_takes
    }
    return for_backend, for_runs


def apply_options(policies: RunPolicies, options: Mapping[str, Any], executor: str) -> RunPolicies:
    """Return ``policies`` changed by ``options``.

    Raises
    ------
    OptionError
        If a value is not allowed.
    """
    asked = EveryExecutorOptions(**options)
    check_options(asked, executor=executor)
    changes: dict[str, Any] = {}
    if asked.retries is not None:
        changes["retry"] = Retry(attempts=asked.retries)
    if asked.timeout is not None:
        changes["timeout"] = Timeout(task=asked.timeout)
    if asked.use_backups is not None:
        changes["straggler"] = as_rule(asked.use_backups)
    if asked.batch_size is not None:
        changes["most_in_flight"] = asked.batch_size
    if asked.log_to_driver is not None:
        changes["log_to_driver"] = asked.log_to_driver
    if asked.value_threshold is not None:
        changes["value_threshold"] = size_or_zero(asked.value_threshold, "value_threshold")
    if (parallel := asked.compute_arrays_in_parallel) is not None:
        changes |= {"barriers": not parallel, "one_stage_at_a_time": not parallel}
    return replace(policies, **changes).override(
        initializer=asked.initializer, initargs=asked.initargs
    )
