"""The control of a batch that runs: drop what has not started, and leave the attempt that runs behind.

One thread runs the attempts of a batch, one after another, and asks the control before and after each of them. Whoever
wants attempts stopped, in any other thread, learns at once which of them will not start and which was left behind; of
all others the outcome follows.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple, Protocol


class MaySave(Protocol):
    """Asked by an attempt, once, just before it saves."""

    def take(self) -> bool:
        """Return whether the attempt may save; if not, it must write nothing, and its outcome is dropped."""
        ...

    def awaits(self, cancel: Callable[[], object], /) -> None:
        """Note that the attempt awaits something, which ``cancel`` cancels: called if the attempt is left behind."""
        ...


class AttemptControl(MaySave, Protocol):
    """Asked by the thread that runs a batch, around each attempt."""

    @property
    def left(self) -> bool:
        """True once the attempt that runs is to stop; asked in any thread, also by the task itself."""
        ...

    def begin(self, attempt: int) -> bool:
        """Note that an attempt starts now; False if it must not start."""
        ...

    def end(self) -> bool:
        """Note that the attempt has ended; False if its thread was left behind, and its outcome is nobody's."""
        ...


class StopResult(NamedTuple):
    """The state of attempts that were to be stopped; the outcome of those in neither list is known, or follows."""

    not_started: list[int]
    """They had not started, and will not."""
    left: list[int]
    """The one that was running, if it was left behind: it will not save, and its worker reports no outcome of it."""


NOTHING_STOPPED = StopResult([], [])


class BatchControl:
    """The attempts of a batch that wait, the one that runs, and the decision whether that one may save.

    Parameters
    ----------
    attempts : iterable of int
        The ids of the batch's attempts.
    """

    __slots__ = (
        "_cancel",
        "_lock",
        "_saved",
        "_saving",
        "_waiting",
        "left",
        "on_left",
        "running",
        "running_since",
    )

    def __init__(self, attempts: Iterable[int]) -> None:
        self.left = False
        """Whether the thread has been left behind with the attempt it runs: nothing of the batch starts in it any
        more."""
        self.on_left: Callable[[], None] | None = None
        """Called, in the thread that calls :meth:`stop`, when that happens."""
        self._lock = threading.Lock()
        self._waiting = set(attempts)
        self.running: int | None = None
        """The attempt that runs now."""
        self.running_since = 0.0
        """When the last attempt began, in seconds since the epoch."""
        self._saving = False
        self._saved: threading.Event | None = None
        self._cancel: Callable[[], object] | None = None

    # In the thread that runs the batch.

    def begin(self, attempt: int) -> bool:
        """Note that an attempt starts now; False if it must not start."""
        with self._lock:
            if self.left or attempt not in self._waiting:
                return False
            self._waiting.remove(attempt)
            self.running_since = time.time()
            self.running, self._saving = attempt, False
            return True

    def take(self) -> bool:
        """Return whether the attempt that runs may save (see :class:`MaySave`)."""
        # Both sides decide under one lock: either the attempt saves and is not left, or it is left and never saves.
        with self._lock:
            self._saving = True
            return not self.left

    def awaits(self, cancel: Callable[[], object]) -> None:
        """Note how to cancel what the attempt that runs awaits (see :class:`MaySave`)."""
        with self._lock:
            self._cancel = cancel
            left = self.left
        # Outside the lock, because ``cancel`` may call back. A stop that came before this found nothing to cancel.
        if left:
            cancel()

    def end(self) -> bool:
        """Note that the attempt has ended; False if it was left behind meanwhile, and its outcome is nobody's."""
        with self._lock:
            self.running = self._cancel = None
            if self._saved is not None:
                self._saved.set()
            return not self.left

    # In any thread.

    @property
    def waiting(self) -> frozenset[int]:
        """The attempts that have neither started nor been stopped; for another worker, once this one is left."""
        with self._lock:
            return frozenset(self._waiting)

    def hold(self, attempt: int) -> bool:
        """Let nothing start after ``attempt``; False, and no change, if it does not run now."""
        with self._lock:
            if self.running != attempt:
                return False
            self._waiting.clear()
            return True

    def stop(self, attempts: Collection[int], *, leave: bool = True) -> StopResult:
        """Drop those of ``attempts`` that have not started, and leave the one that runs behind if it is among them.

        An attempt that is saving is not left: its outcome follows. When one is left, the others of the batch do not
        start here. Without ``leave`` none is left.
        """
        with self._lock:
            dropped = self._waiting.intersection(attempts)
            self._waiting -= dropped
            running, left, cancel = self.running, list[int](), self._cancel
            # Once it saves, nothing can tell from outside how much it has written, so its outcome is waited for.
            free_to_go = leave and not self.left and not self._saving
            if free_to_go and running is not None and running in attempts:
                left.append(running)
                self.left = True
        if left and cancel is not None:
            cancel()
        if left and self.on_left is not None:
            self.on_left()
        return StopResult(sorted(dropped), left)

    def leave_save(self, attempts: Collection[int]) -> threading.Event | None:
        """Leave behind the attempt that runs, if it is among ``attempts`` and saves.

        Returns
        -------
        Event or None
            It is set when the save has ended, so that nothing more is written. None if no attempt was left behind.
        """
        with self._lock:
            if self.left or not self._saving or self.running not in attempts:
                return None
            self.left = True
            self._saved = threading.Event()
            return self._saved
