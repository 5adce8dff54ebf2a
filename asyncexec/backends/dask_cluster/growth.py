"""When a cluster is to have more or fewer workers; no IO.

Dask's own ``adapt`` looks at what its scheduler has queued. The engine queues next to nothing there, as it keeps what
waits where it can be cancelled; so it is the engine's own queue that says how many workers are wanted.
"""

from __future__ import annotations

from dataclasses import dataclass

GROW_AFTER_SECONDS = 1.0
SHRINK_AFTER_SECONDS = 30.0


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

    def look(self, now: float, *, waiting: int, running: int, workers: int) -> int | None:
        """Return how many workers to ask for; None to leave it as it is.

        Twice as many as there are when work has waited for a second, once those that were asked for have come. The
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
