"""The trust in backups: how many of those that should have won did, in a stage and in others like it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncexec.straggler.rule import StageView

# Before the first backup, so many wins count as observed, and as expected. Backups of other stages count for no more
# than so many expected wins, so that those of the stage itself can soon outweigh them.
_PRIOR = 1.5
_MOST_OF_OTHERS = 3.0
_ONE_WIN = 0.9


@dataclass(frozen=True, slots=True)
class BackupTrust:
    """The trust in backups, by how those before them fared.

    Attributes
    ----------
    weight : float
        The weight of backups of other stages, 1 at most.
    rate : float
        Wins observed over wins expected, 1 at most; 1 before there is any evidence.
    won : float
        The wins, those of other stages included as far as they count.
    """

    weight: float
    rate: float
    won: float

    @classmethod
    def of(cls, view: StageView) -> BackupTrust:
        """Return the trust in backups of a stage."""
        own, like = view.copies, view.like
        weight = min(1.0, _MOST_OF_OTHERS / like.expected) if like.expected else 1.0
        won = own.won + weight * like.won
        rate = (won + _PRIOR) / (own.expected + weight * like.expected + _PRIOR)
        return cls(weight, min(1.0, rate), won)

    @property
    def proven(self) -> bool:
        """True once one has won."""
        return self.won >= _ONE_WIN

    def hope(self, one_in: float) -> float:
        """Return 1 if one in ``one_in`` of the expected wins was observed; in proportion less, if fewer were."""
        return min(1.0, one_in * self.rate)
