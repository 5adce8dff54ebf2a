"""The calls that a thread makes for an event loop, one after another."""

from __future__ import annotations

import queue
from collections.abc import Callable

type Jobs = queue.SimpleQueue[Callable[[], None] | None]
"""What a thread is to call, one after another; None ends it."""


def serve(jobs: Jobs) -> None:
    """Call, in this thread, what comes, until that is None."""
    while (job := jobs.get()) is not None:
        job()
        del job
