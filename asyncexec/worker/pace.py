"""The number of attempts that a slot begins at once, so that its kernels never wait for data, nor data for kernels.

An attempt that waits for its turn to compute holds memory, ages and may be stopped as too slow, so there are no more of
them than the times of loading, computing and saving call for.
"""

from __future__ import annotations

FIRST = 2
"""The attempts for each kernel that runs, until the first has ended: one that computes, and the next one."""

_SMOOTHING = 0.2
_SHORTEST = 1e-6


class Pace:
    """The attempts of one program that are begun at once.

    Parameters
    ----------
    most : int
        The most there may be.
    kernels : int
        The number of kernels that run at once.

    Attributes
    ----------
    width : int
        The number of attempts that are to run at once now.
    """

    __slots__ = ("_io_seconds", "_kernel_seconds", "_kernels", "_most", "width")

    def __init__(self, most: int, kernels: int) -> None:
        self._most = most
        self._kernels = kernels
        self._io_seconds = self._kernel_seconds = 0.0
        self.width = min(most, FIRST * kernels)

    @property
    def is_measured(self) -> bool:
        """True after the first attempt, or the first piece of one."""
        return self._kernel_seconds > 0.0

    def measured(self, io_seconds: float, kernel_seconds: float) -> None:
        """Record the time that an attempt has taken to load and save, and that of its kernel, without their waits."""
        if not self._kernel_seconds:
            self._io_seconds, self._kernel_seconds = io_seconds, max(kernel_seconds, _SHORTEST)
        else:
            self._io_seconds += (io_seconds - self._io_seconds) * _SMOOTHING
            change = max(kernel_seconds, _SHORTEST) - self._kernel_seconds
            self._kernel_seconds += change * _SMOOTHING
        # While one kernel runs, others load and save; and one more is there when it ends.
        wanted = self._kernels * (FIRST + self._io_seconds / self._kernel_seconds)
        self.width = self._most if wanted >= self._most else int(wanted)
