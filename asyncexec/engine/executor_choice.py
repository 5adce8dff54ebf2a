"""The executor of a call that makes or shares an engine of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULT_EXECUTOR = "threads"


def executor_for(
    plan: object, executor: Any, executor_options: Mapping[str, Any] | None
) -> tuple[Any, Mapping[str, Any] | None]:
    """Return the executor and its options: those of the call, else those of the plan's ``spec``, else ``threads``.

    Options of the spec belong to the spec's executor, and do not go with another that a call names.

    Parameters
    ----------
    plan : Plan, or anything with ``to_plan()``
        Arrays, and what computes or stores several, have a ``spec``.
    executor : str, Backend, class or None
    executor_options : mapping or None
    """
    spec = getattr(plan, "spec", None)
    of_spec = getattr(spec, "executor", None)
    if executor is None:
        executor = DEFAULT_EXECUTOR if of_spec is None else of_spec
    if executor_options is None and executor == (of_spec or DEFAULT_EXECUTOR):
        executor_options = getattr(spec, "executor_options", None)
    return executor, executor_options
