"""Executor options that say how to run rather than where: the engine applies them, on every executor.

The names are those of Cubed's executors. They mean the same but for ``retries``, which counts attempts in all, as every
number of attempts here does; plans that come from Cubed keep its meaning (:mod:`asyncexec.integrations.cubed`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from asyncexec.backends.options import flag, mapping, seconds, whole_number
from asyncexec.errors import OptionError
from asyncexec.policies.retry import Retry
from asyncexec.policies.timeout import Timeout
from asyncexec.scheduler.run_policies import RunPolicies
from asyncexec.straggler.names import as_rule

RUN_OPTIONS: Mapping[str, str] = {
    "retries": "how many attempts a task has in all, the first included, as with `retry=`: 1 means no retries",
    "timeout": "seconds that a task may take, from its start on a worker",
    "use_backups": "whether slow tasks get a backup",
    "batch_size": "how many tasks may be with the executor at once",
    "compute_arrays_in_parallel": "False: one stage at a time, each as a whole; True: chunk by chunk",
}
"""The options, with what each does."""

type _Apply = Callable[[RunPolicies, Any, str], RunPolicies]


def split(
    options: Mapping[str, Any] | None, constructor_takes: Collection[str], executor: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options for the backend's constructor, and those for runs; one that both know goes to both.

    Raises
    ------
    OptionError
        If they are no mapping of names to values.
    """
    options = mapping(options, executor=executor, option="executor_options")
    for_runs = {name: value for name, value in options.items() if name in RUN_OPTIONS}
    for_backend = {
        name: value
        for name, value in options.items()
        if name not in RUN_OPTIONS or name in constructor_takes
    }
    return for_backend, for_runs


def applied(policies: RunPolicies, options: Mapping[str, Any], executor: str) -> RunPolicies:
    """Return ``policies`` with what ``options`` ask for.

    Raises
    ------
    OptionError
        If a value is not allowed.
    """
    for name, value in options.items():
        if value is not None:
            policies = _APPLY[name](policies, value, executor)
    return policies


def _retries(policies: RunPolicies, value: Any, executor: str) -> RunPolicies:
    if value == 0:
        raise OptionError(
            f"executor {executor!r}: retries counts the attempts of a task in all, the first included, so it must be "
            f"at least 1, not {value!r}; 1 means no retries"
        )
    return replace(
        policies, retry=Retry(attempts=whole_number(value, executor=executor, option="retries"))
    )


def _timeout(policies: RunPolicies, value: Any, executor: str) -> RunPolicies:
    limit = seconds(value, executor=executor, option="timeout")
    return replace(policies, timeout=Timeout(task=limit))


def _use_backups(policies: RunPolicies, value: Any, executor: str) -> RunPolicies:
    return replace(
        policies, straggler=as_rule(flag(value, executor=executor, option="use_backups"))
    )


def _batch_size(policies: RunPolicies, value: Any, executor: str) -> RunPolicies:
    limit = whole_number(value, executor=executor, option="batch_size")
    return replace(policies, most_in_flight=limit)


def _in_parallel(policies: RunPolicies, value: Any, executor: str) -> RunPolicies:
    parallel = flag(value, executor=executor, option="compute_arrays_in_parallel")
    return replace(policies, barriers=not parallel, one_stage_at_a_time=not parallel)


_APPLY: Mapping[str, _Apply] = {
    "retries": _retries,
    "timeout": _timeout,
    "use_backups": _use_backups,
    "batch_size": _batch_size,
    "compute_arrays_in_parallel": _in_parallel,
}
