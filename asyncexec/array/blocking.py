"""Computing without an event loop.

Arrays and engine meet at the plan, and do not import each other. The blocking methods alone need somebody to run the
plan: they import ``asyncexec.sync``, the package's blocking face, when they are called.
"""

from __future__ import annotations

from typing import Any

from asyncexec.array.spec import Spec
from asyncexec.plan import Plan

DEFAULT_EXECUTOR = "threads"


def run(plan: Plan, spec: Spec, options: dict[str, Any]) -> Any:
    """Run ``plan`` on the executor of ``spec``, and return its value.

    ``options`` are those of ``asyncexec.sync.execute``; ``executor`` and ``executor_options`` go before the spec's.

    Raises
    ------
    RunningLoopError
        If an event loop is running here; there, ``await engine.execute(array)``.
    """
    from asyncexec.sync import execute  # noqa: PLC0415 - above arrays, and only blocking callers need it

    chosen: dict[str, Any] = {
        "executor": spec.executor or DEFAULT_EXECUTOR,
        "executor_options": spec.executor_options,
        **options,
    }
    return execute(plan, **chosen).value
