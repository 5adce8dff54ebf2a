"""The status of a run: what is left of it, whether it stops, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class RunStatus:
    """The status of a run, which its parts share.

    Attributes
    ----------
    left : int
        The tasks that are not complete, as far as is known.
    stopping : bool
        Whether nothing more is started.
    error : Exception or None
        The error that the run failed with.
    unwanted : sequence of int
        Attempts to cancel; the dispatch takes them out.
    abandoned : int
        Attempts that are no longer waited for and may still be running, on a backend that cannot kill.
    """

    # A class with slots rather than a dataclass: it is read and written for every task.
    __slots__ = ("abandoned", "error", "left", "stopping", "unwanted")

    def __init__(self, left: int) -> None:
        self.left = left
        self.stopping = False
        self.error: Exception | None = None
        self.unwanted: Sequence[int] = ()
        self.abandoned = 0

    def give_up(self, attempts: Iterable[int]) -> None:
        """Add attempts to cancel."""
        self.unwanted = [*self.unwanted, *attempts]
