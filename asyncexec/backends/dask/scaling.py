"""When a cluster is to have more or fewer workers; no IO.

Dask's own ``adapt`` looks at what its scheduler has queued. The engine queues next to nothing there, as it keeps what
waits where it can be cancelled; so it is the engine's own queue that says how many workers are wanted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

GROW_AFTER_SECONDS = 1.0
SHRINK_AFTER_SECONDS = 30.0
REMIND_AFTER_SECONDS = 5.0


class Reminder:
    """Decides when a cluster is asked again for workers that it was asked for and that are not there.

    Dask's clusters give up a worker that has been gone for a while (``lost-worker-timeout``, 15 seconds), but start
    another in its place only when they are next told how many they are to have, even if that is the number of before.
    To be asked for what it is about to have changes nothing.
    """

    def __init__(self) -> None:
        self._since: float | None = None

    def due(self, now: float, *, missing: bool) -> bool:
        """Return whether to ask now: at the end of every few seconds without workers that are ``missing``."""
        if not missing:
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - self._since >= REMIND_AFTER_SECONDS:
            self._since = now
            return True
        return False


@dataclass(slots=True, kw_only=True)
class Growth:
    """Decides how many workers there are to be, from how it looks now and then.

    Attributes
    ----------
    least, most : int
        Workers.
    asked : int
        How many were asked for last.
    """

    least: int
    most: int
    asked: int
    _waiting_since: float | None = None
    _idle_since: float | None = None
    _reminder: Reminder = field(default_factory=Reminder)

    def look(self, now: float, *, waiting: int, running: int, workers: int) -> int | None:
        """Return how many workers to ask for; None to leave it as it is.

        Twice as many as there are when work has waited for a second, once those that were asked for have come. As many
        as before when work waits and they do not come, or are gone: what has died is replaced only when asked for. The
        fewest when there has been nothing to do for half a minute: as long as something runs, nobody is sent away.

        Parameters
        ----------
        now : float
            Seconds, of any clock.
        waiting, running : int
            Batches.
        workers : int
            Those that are there.
        """
        self._waiting_since = None if not waiting else self._since(self._waiting_since, now)
        self._idle_since = None if waiting or running else self._since(self._idle_since, now)
        if self._reminder.due(now, missing=waiting > 0 and workers < self.asked):
            return self.asked
        if self._waiting_since is not None and now - self._waiting_since >= GROW_AFTER_SECONDS:
            if workers < self.asked or self.asked >= self.most:
                return None
            self._waiting_since = now
            self.asked = min(self.most, max(2 * workers, self.least, 1))
            return self.asked
        if self._idle_since is not None and now - self._idle_since >= SHRINK_AFTER_SECONDS:
            if self.asked <= self.least:
                return None
            self.asked = self.least
            return self.asked
        return None

    @staticmethod
    def _since(before: float | None, now: float) -> float:
        return now if before is None else before
