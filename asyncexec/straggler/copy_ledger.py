"""The account of a stage's backups: how many won, how many were to be expected to, and what they cost and saved.

A backup is an experiment. If its task is slow by accident, it wins as soon as an ordinary attempt would have ended; if
the task is long by nature, it never does. While it runs for r seconds, it *should* have won ``-log S(r)`` times, with
S(r) the share of attempts that run longer. Wins observed over wins expected are the estimate of the log-rank test (N.
Mantel, "Evaluation of survival data and two new rank order statistics arising in its consideration", 1966): about 1
where a second attempt is like any other, near 0 where it is as long as the first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from threading import Lock

_MOST_EXPECTED = 3.0
"""The most that one backup counts for: beyond the longest durations known, the share that run longer is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyFigures:
    """The account of backups; times are worker time.

    Attributes
    ----------
    won : int
        Those that succeeded while an older attempt of their task still ran.
    expected : float
        The wins to be expected of all of them, those that run now included, if each were an ordinary attempt.
    vain_seconds : float
        The time of those that ended without winning; where losers run on, to their end, as long as their tasks' first.
    running_seconds : float
        The time so far of those that run now.
    won_seconds : float
        The time of those that won.
    overtaken_seconds : float
        The ages of the attempts that they overtook.
    """

    won: int = 0
    expected: float = 0.0
    vain_seconds: float = 0.0
    running_seconds: float = 0.0
    won_seconds: float = 0.0
    overtaken_seconds: float = 0.0

    def minus(self, other: CopyFigures) -> CopyFigures:
        """Return the account without the backups of ``other``, which is part of it."""
        return CopyFigures(
            won=max(0, self.won - other.won),
            expected=max(0.0, self.expected - other.expected),
            vain_seconds=max(0.0, self.vain_seconds - other.vain_seconds),
            won_seconds=max(0.0, self.won_seconds - other.won_seconds),
            overtaken_seconds=max(0.0, self.overtaken_seconds - other.overtaken_seconds),
        )


NO_COPIES = CopyFigures()


class CopyLedger:
    """The account of backups that have ended: of a stage, or of all stages like it. Safe to use from several threads.

    >>> from asyncexec.straggler.copy_ledger import CopyLedger
    >>> ledger = CopyLedger()
    >>> ledger.lost(10.0, expected=1.2)
    >>> ledger.won(2.0, expected=0.2, overtaken_seconds=14.0)
    >>> ledger.figures.won, round(ledger.figures.expected, 1), ledger.figures.vain_seconds
    (1, 1.4, 10.0)

    Attributes
    ----------
    figures : CopyFigures
    """

    __slots__ = ("_lock", "figures")

    def __init__(self) -> None:
        self._lock = Lock()
        self.figures = NO_COPIES

    def lost(self, seconds: float, *, expected: float) -> None:
        """Add a backup that did not win in ``seconds``."""
        with self._lock:
            known = self.figures
            self.figures = replace(
                known,
                expected=known.expected + expected,
                vain_seconds=known.vain_seconds + seconds,
            )

    def won(self, seconds: float, *, expected: float, overtaken_seconds: float) -> None:
        """Add a backup that won in ``seconds``, over an attempt that had run for ``overtaken_seconds``."""
        with self._lock:
            known = self.figures
            self.figures = replace(
                known,
                won=known.won + 1,
                expected=known.expected + expected,
                won_seconds=known.won_seconds + seconds,
                overtaken_seconds=known.overtaken_seconds + overtaken_seconds,
            )


def wins_expected(share_longer: float) -> float:
    """Return the wins to expect of a backup in the time that ``share_longer`` (0 to 1) of all attempts exceed.

    >>> from asyncexec.straggler.copy_ledger import wins_expected
    >>> round(wins_expected(0.5), 2), wins_expected(0.0)
    (0.69, 3.0)
    """
    return min(-math.log(share_longer), _MOST_EXPECTED) if share_longer > 0 else _MOST_EXPECTED
