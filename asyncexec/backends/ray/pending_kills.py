"""Kills of workers for cancelled tasks: wait until they are gone, and excuse what else their end costs.

Ray reports a task as cancelled while its worker, which was ordered to end, may still live and be given the next task.
That task is then lost without any fault of its own, and is submitted again.
"""

from __future__ import annotations

import os
import time

import anyio

# The most seconds between the order to kill a worker and the report of its death.
KILL_SECONDS = 5.0
POLL_SECONDS = 0.005


class PendingKills:
    """The time of the last kill of a worker by this process."""

    def __init__(self) -> None:
        self._last: float | None = None

    def note(self) -> None:
        """Note that a worker is being killed, or has just been."""
        self._last = time.monotonic()

    @property
    def recent(self) -> bool:
        """True if a worker may have ended lately because it was killed."""
        return self._last is not None and time.monotonic() - self._last < KILL_SECONDS


# Backends of one process share its connection to Ray, and so the workers.
PENDING_KILLS = PendingKills()


async def until_gone(process: int) -> None:
    """Wait until a process of this machine has ended."""
    while _lives(process):  # noqa: ASYNC110 - there is no event for the end of a process that is not a child
        await anyio.sleep(POLL_SECONDS)


def _lives(process: int) -> bool:
    if os.name != "posix":
        return False  # On Windows this signal would end the process.
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True
