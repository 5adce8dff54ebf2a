"""An observer that shows progress: bars in a terminal or a notebook, a line now and then elsewhere."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from numbers import Real
from typing import TYPE_CHECKING, Protocol

from asyncexec.errors import MissingExtraError, OptionError
from asyncexec.events.tally import Tallies
from asyncexec.observers.bars import Bars
from asyncexec.observers.lines import Lines
from asyncexec.observers.ticker import Ticker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from asyncexec.events.records import AnyEvent
    from asyncexec.events.tally import Tally

logger = logging.getLogger("asyncexec")

# A redraw takes a few milliseconds of the event loop, and more often than this nobody sees a difference.
_REDRAW_SECONDS = 0.1
_IDLE_SECONDS = 1.0


class Display(Protocol):
    """A place that progress is shown at: bars, or lines."""

    def show(self, runs: Sequence[Tally]) -> None:
        """Show the progress of ``runs``, which are all that have not ended."""
        ...

    def end(self, run: Tally) -> None:
        """Show the end of a run."""
        ...

    def close(self) -> None:
        """Stop drawing and leave the screen as it is; ``show`` begins anew below."""
        ...


class Progress:
    """Draws an overall bar, and one for each stage that runs, with rates, times left, retries and backups.

    Where there is neither a terminal nor a notebook with ipywidgets, it writes a line every ``line_seconds`` and one
    at the end. It may watch several runs of one event loop at a time. It uses no threads, and is redrawn ten times a
    second at most, whatever the number of events.

    >>> result = ax.sync.execute(ax.Plan.map(abs, range(4)), observers=[ax.Progress()])

    Parameters
    ----------
    console : rich.console.Console, optional
        The console to draw on; by default standard error.
    line_seconds : float
        The seconds between two lines, without a terminal.
    errors : bool
        Whether the last line of a run that failed has its error, without a terminal.

    Raises
    ------
    MissingExtraError
        If rich is not installed.
    OptionError
        If ``line_seconds`` is no number above 0, or ``console`` no console.
    """

    wants_plan_details = False

    def __init__(
        self, *, console: Console | None = None, line_seconds: float = 10.0, errors: bool = True
    ) -> None:
        if not _is_above_zero(line_seconds):
            raise OptionError(
                f"progress: line_seconds must be a number above 0, not {line_seconds!r}"
            )
        screen = _standard_error() if console is None else console
        if not hasattr(screen, "is_jupyter"):
            raise OptionError(f"progress: console must be a Console of rich, not {console!r}")
        self._display: Display = (
            Bars(screen)
            if _can_redraw(screen)
            else Lines(screen, every_seconds=line_seconds, errors=errors)
        )
        self._tallies = Tallies()
        self._running: dict[str, Tally] = {}
        self._broken = False
        self._ticker = Ticker(self._show, least_seconds=_REDRAW_SECONDS, most_seconds=_IDLE_SECONDS)

    def observe(self, events: Sequence[AnyEvent]) -> None:
        """Count ``events``, and redraw if the last time is long enough ago."""
        if self._broken:
            return
        try:
            self._count(events)
        except BaseException:
            # The terminal is restored before the run goes on without this observer.
            self._close()
            raise

    def _count(self, events: Sequence[AnyEvent]) -> None:
        self._tallies.add(events)
        for execution, tally in self._tallies.runs.items():
            if not tally.ended_at:
                self._running.setdefault(execution, tally)
        for tally in [t for t in self._running.values() if t.ended_at]:
            self._display.show(list(self._running.values()))
            self._display.end(tally)
            del self._running[tally.execution]
        if self._running:
            self._ticker.note()
        else:
            self._close()

    def _show(self) -> None:
        try:
            self._display.show(list(self._running.values()))
        except Exception:
            # Often called by a timer, where no caller could catch an exception.
            logger.exception("the progress display failed and is closed; the run goes on")
            self._broken = True
            self._close()

    def _close(self) -> None:
        self._running.clear()
        self._ticker.stop()
        self._display.close()


def _can_redraw(screen: Console) -> bool:
    if screen.is_jupyter:
        # Without ipywidgets, rich shows nothing in a notebook but a warning.
        return find_spec("ipywidgets") is not None
    return screen.is_terminal and not screen.is_dumb_terminal


def _standard_error() -> Console:
    try:
        from rich.console import Console  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise MissingExtraError.of("Progress", "rich", extra="cli") from error
    return Console(stderr=True)


def _is_above_zero(value: object) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, Real) and float(value) > 0
