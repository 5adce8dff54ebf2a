"""The elements around others, as tasks need them that look at neighbours. Workers load this module."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Overlap:
    """The elements from ``before`` ahead of the first to ``after`` behind the last, within ``lo`` to ``hi``.

    All elements between the first and the last are needed, whatever the step.
    """

    before: int
    after: int
    lo: int
    hi: int

    def ends(self, first: int, last: int) -> tuple[int, int]:
        """Return the range of elements that are needed around ``first`` to ``last`` (in either order)."""
        low, high = (first, last) if first <= last else (last, first)
        start, stop = max(low - self.before, self.lo), min(high + self.after + 1, self.hi)
        return (start, stop) if start < stop else (0, 0)

    def affine(self, step: int, offset: int) -> Overlap | None:
        """Return the overlap of elements ``x * step + offset``; None where these are not neighbours."""
        if step == 1:
            return Overlap(self.before, self.after, self.lo + offset, self.hi + offset)
        if step == -1:
            return Overlap(self.after, self.before, offset + 1 - self.hi, offset + 1 - self.lo)
        return None
