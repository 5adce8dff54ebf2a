"""Computing without an event loop.

Arrays and engine meet at the plan, and do not import each other. The blocking methods alone need somebody to run the
plan: they import what makes an engine for them when they are called.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asyncexec.plan import Plannable


def run(plan: Plannable, options: Mapping[str, Any], *, called: str, instead: str) -> Any:
    """Run ``plan`` on the executor of its spec, and return its value.

    Parameters
    ----------
    plan : Array or Computation
    options : mapping
        Those of ``asyncexec.sync.execute``; ``executor`` and ``executor_options`` go before the spec's.
    called : str
        The call that blocks, as users write it, for messages.
    instead : str
        What a coroutine writes.

    Raises
    ------
    RunningLoopError
        If the event loop of a service is running here.
    """
    from asyncexec.engine.blocking_calls import run_blocking  # noqa: PLC0415 - above arrays, and only blocking callers need it

    return run_blocking(plan, options, called=called, instead=instead).value
