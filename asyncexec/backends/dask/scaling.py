"""Decide how many workers a cluster should have; no IO.

Dask's own ``adapt`` looks at the scheduler's queue. The engine keeps waiting work in a queue of its own, where it can
be cancelled, and next to nothing in the scheduler's; so the engine's queue decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field

GROW_AFTER_SECONDS = 1.0
SHRINK_AFTER_SECONDS = 30.0
RETRY_AFTER_SECONDS = 5.0


class ScaleRetry:
    """Decides when to repeat a request for workers that have not come.

    Dask's clusters drop a worker that has been gone for a while (``lost-worker-timeout``, 15 seconds), and start
    another in its place only at the next call of ``scale``, even with the same number. Repeating a request that is
    about to be met changes nothing.
    """

    def __init__(self) -> None:
        self._since: float | None = None

    def due(self, now: float, *, missing: bool) -> bool:
        """Return whether to repeat the request now: every few seconds while workers are ``missing``."""
        if not missing:
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - self._since >= RETRY_AFTER_SECONDS:
            self._since = now
            return True
        return False


@dataclass(slots=True, kw_only=True)
class AdaptiveScaling:
    """Decides how many workers to request, from samples of the queue and the cluster."""

    minimum: int
    maximum: int
    """``minimum`` and ``maximum``: the bounds of the number of workers."""
    requested: int
    """The number of workers requested last."""
    _waiting_since: float | None = None
    _idle_since: float | None = None
    _retry: ScaleRetry = field(default_factory=ScaleRetry)

    def target(self, now: float, *, waiting: int, running: int, workers: int) -> int | None:
        """Return the number of workers to request now; None to leave it as it is.

        The number doubles when work has waited for a second and all requested workers have come.
        It is requested again when work waits and they do not come, or have died.
        It falls to the minimum after half a minute with nothing waiting or running.

        Parameters
        ----------
        now : float
            The time in seconds, of any clock.
        waiting, running : int
            The number of batches.
        workers : int
            The number of workers that are there.
        """
        self._waiting_since = None if not waiting else self._since(self._waiting_since, now)
        self._idle_since = None if waiting or running else self._since(self._idle_since, now)
        if self._retry.due(now, missing=waiting > 0 and workers < self.requested):
            return self.requested
        if self._waiting_since is not None and now - self._waiting_since >= GROW_AFTER_SECONDS:
            if workers < self.requested or self.requested >= self.maximum:
                return None
            self._waiting_since = now
            self.requested = min(self.maximum, max(2 * workers, self.minimum, 1))
            return self.requested
        if self._idle_since is not None and now - self._idle_since >= SHRINK_AFTER_SECONDS:
            if self.requested <= self.minimum:
                return None
            self.requested = self.minimum
            return self.requested
        return None

    @staticmethod
    def _since(before: float | None, now: float) -> float:
        return now if before is None else before
