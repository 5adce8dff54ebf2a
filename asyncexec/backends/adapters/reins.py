"""How a batch that runs is steered from another thread: what has not started is dropped, what runs is left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from asyncexec.backends.contract import Job
from asyncexec.backends.worker import Fence


class Stopped(NamedTuple):
    """What came of an order to stop some attempts; the outcomes of the others have been told, or follow.

    Attributes
    ----------
    dropped : list of int
        They had not started, and will not.
    left : list of int
        The one that was running, if it was left behind: it will not save.
    """

    dropped: list[int]
    left: list[int]


class Reins:
    """Held by whoever may stop a batch, and asked by the thread that runs it before each job.

    Parameters
    ----------
    jobs : sequence of Job
        The batch.
    on_begin : callable, optional
        Told the attempt before each job, in the thread that runs it.

    Attributes
    ----------
    left : bool
        Whether the thread has been left behind with the job it runs: whoever waits for it waits no longer.
    on_left : callable
        Called when that happens.
    """

    def __init__(self, jobs: Sequence[Job], on_begin: Callable[[int], None] | None = None) -> None:
        self.left = False
        self.on_left: Callable[[], None] = _nothing
        self._lock = threading.Lock()
        self._waiting = {job.attempt for job in jobs}
        self._running: tuple[int, Fence] | None = None
        self._on_begin = on_begin

    def begin(self, attempt: int) -> Fence | None:
        """Return the fence of an attempt that starts now; None if it must not start."""
        with self._lock:
            if self.left or attempt not in self._waiting:
                return None
            self._waiting.discard(attempt)
            fence = Fence()
            self._running = attempt, fence
        if self._on_begin is not None:
            self._on_begin(attempt)
        return fence

    def end(self) -> bool:
        """Take note that the job has ended; False if it was left behind meanwhile, so that its outcome is told."""
        with self._lock:
            self._running = None
            return not self.left

    def stop(self, attempts: Collection[int], *, leave: bool = True) -> Stopped:
        """Drop those of ``attempts`` that have not started, and leave the one that runs behind if it is among them.

        One that is saving is not left: its outcome follows. When one is left, the rest of the batch does not start.
        Without ``leave`` none is left.
        """
        with self._lock:
            dropped = self._waiting.intersection(attempts)
            self._waiting -= dropped
            left: list[int] = []
            if leave and self._running is not None and not self.left:
                attempt, fence = self._running
                if attempt in attempts and fence.take():
                    left = [attempt]
                    self.left = True
        if left:
            self.on_left()
        return Stopped(sorted(dropped), left)


def _nothing() -> None:
    pass
