"""Progress as one line of text that is written over: for a run that a person waits for."""

from __future__ import annotations

import logging
import math
import shutil
import sys
import threading
import time
from typing import TYPE_CHECKING, TextIO

from asyncexec.events.tally import Tallies
from asyncexec.observers import formatting
from asyncexec.observers.lines import completed, end_of_run, progress_of_run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncexec.events.records import AnyEvent

logger = logging.getLogger("asyncexec")

DELAY_SECONDS = 1.0
"""A run that ends sooner shows nothing."""
EVERY_SECONDS = 0.2
"""The time between two drawings."""
_RATE_SECONDS = 10.0
_NO_TERMINAL = (110, 24)


class LiveLine:
    """Counts events on the engine's loop, and draws where :meth:`draw` is called: in the thread that waits.

    So the line stands below the cell that waits, whichever cell started the thread of the loop. A carriage return
    takes the place of terminal control, which works in terminals and notebooks alike, with no package installed.

    Parameters
    ----------
    stream : text file, optional
        By default standard error, as it is when something is drawn.
    clock : callable
        Gives seconds.
    """

    wants_plan_details = False

    def __init__(
        self, stream: TextIO | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._lock = threading.Lock()
        self._tallies = Tallies()
        self._start = clock()
        self._due = self._start + DELAY_SECONDS
        # The time and the number of complete tasks of a few drawings ago, for the rate.
        self._before = (self._start, 0)
        self._width = 0

    def observe(self, events: Sequence[AnyEvent]) -> None:
        """Count ``events``."""
        with self._lock:
            self._tallies.add(events)

    def draw(self) -> None:
        """Draw the line anew, if the last time is long enough ago and the run has lasted."""
        now = self._clock()
        if now < self._due:
            return
        self._due = now + EVERY_SECONDS
        with self._lock:
            lines = [
                progress_of_run(run, self._rate(completed(run), now))
                for run in self._tallies.runs.values()
                if not run.ended_at
            ]
        if lines:
            self._write(lines[-1])

    def close(self) -> None:
        """Write the end of the run over the line, if there is one."""
        if not self._width:
            return
        with self._lock:
            lines = [
                end_of_run(run, errors=False) for run in self._tallies.runs.values() if run.ended_at
            ]
        if lines:
            self._write(lines[-1])
        self._print("\n")
        self._width = 0

    def _rate(self, tasks: int, now: float) -> float:
        since, before = self._before
        if now - since > _RATE_SECONDS:
            self._before = (now, tasks)
        return (tasks - before) / max(now - since, 1e-9)

    def _write(self, line: str) -> None:
        # What is wider than the terminal would go on in the next line, where no carriage return gets back from.
        shown = formatting.first_line(line, shutil.get_terminal_size(_NO_TERMINAL).columns - 1)
        self._print("\r" + shown.ljust(self._width))
        self._width = max(self._width, len(shown))

    def _print(self, text: str) -> None:
        stream = sys.stderr if self._stream is None else self._stream
        try:
            stream.write(text)
            stream.flush()
        except (OSError, ValueError):
            # Closed, or of an encoding that lacks a character: no reason to end the run.
            logger.debug("progress cannot be shown, and is given up", exc_info=True)
            self._due = math.inf
