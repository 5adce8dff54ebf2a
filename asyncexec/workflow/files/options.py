"""The options of a stage in a file, tried before the stage has its inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from asyncexec.plan import Plan
from asyncexec.plan.function_call import FunctionCall
from asyncexec.plan.functions import kernel_stage
from asyncexec.policies import as_retry, as_timeout
from asyncexec.straggler.names import as_rule

_POLICIES: Mapping[str, Callable[[Any], Any]] = {
    "retry": as_retry,
    "timeout": as_timeout,
    "straggler": as_rule,
}


def check_stage_options(
    workflow: str, function: Callable[..., Any], name: str, options: Mapping[str, Any]
) -> None:
    """Raise what making a stage of ``function`` with ``options`` raises.

    Raises
    ------
    OptionError
        If an option cannot be what it is.
    """
    for option in _POLICIES.keys() & options.keys():
        _POLICIES[option](options[option])
    stage = kernel_stage(
        FunctionCall(function),
        name,
        {**options},  # type: ignore[typeddict-item]  # whose names were checked
        operation="call",
        shape=(),
        inputs=(),
    )
    Plan((stage,), workflow)
