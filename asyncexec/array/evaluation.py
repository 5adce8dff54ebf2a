"""The evaluation of small arrays while an expression is built, where the shape of a result depends on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncexec.array.blocking import run

if TYPE_CHECKING:
    import numpy as np

    from asyncexec.plan import Plannable


def evaluated(array: Plannable, operation: str) -> np.ndarray[Any, Any]:
    """Return the elements of ``array``, on which the shape of the result of ``operation`` depends.

    It is computed now, on the executor of its spec, and held in memory: a few numbers for each chunk, not elements.

    Raises
    ------
    RunningLoopError
        If the event loop of a service is running here; the message has the line to write instead.
    """
    found: np.ndarray[Any, Any] = run(
        array,
        {},
        called=f"xp.{operation}(x), whose shape depends on the elements",
        instead=f"await asyncio.to_thread(lambda: xp.{operation}(x))",
    )
    return found
