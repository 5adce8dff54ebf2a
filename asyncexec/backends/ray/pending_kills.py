"""Workers that are killed because of what is cancelled: until they are gone, and what else their end may cost.

Ray says that a task is cancelled while the worker that it has ordered to end may still live, and may give that worker
the next task. What is lost to that is no fault of the task that was on its way.
"""

from __future__ import annotations

import os
import time

import anyio

# From the order to kill a worker to the news of its death, at most.
KILL_SECONDS = 5.0
LOOK_SECONDS = 0.005


class Kills:
    """When a worker was last killed by this process."""

    def __init__(self) -> None:
        self._last: float | None = None

    def note(self) -> None:
        """Take note that a worker is being killed, or has just been."""
        self._last = time.monotonic()

    @property
    def recent(self) -> bool:
        """Whether a worker may have ended lately because it was killed."""
        return self._last is not None and time.monotonic() - self._last < KILL_SECONDS


# Backends of one process share its connection, and so the workers.
KILLS = Kills()


async def until_gone(process: int) -> None:
    """Wait until a process of this machine has ended."""
    while _lives(process):  # noqa: ASYNC110 - no event tells of a process that is not a child
        await anyio.sleep(LOOK_SECONDS)


def _lives(process: int) -> bool:
    if os.name != "posix":
        return False  # Elsewhere, asking by signal would end it.
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True
