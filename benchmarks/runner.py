"""Runs a case: every contender in turn, again and again, so that a slow minute hits all of them."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.case import LIMIT, Case, Contender, Standing, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a target was met."""

    target: Target
    value: float | None

    @property
    def met(self) -> bool | None:
        if self.value is None:
            return None
        at_most, at_least = self.target.at_most, self.target.at_least
        return (at_most is None or self.value <= at_most) and (
            at_least is None or self.value >= at_least
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A case that has run."""

    case: Case
    standings: list[Standing]
    verdicts: list[Verdict]

    def ratio(self, standing: Standing) -> float | None:
        """This contender's median over the reference's."""
        reference = next((c.name for c in self.case.contenders if c.reference), None)
        if reference is None:
            return None
        return ratio_of(self.standings, self.case.figure, standing.contender, reference)

    def share_of_limit(self, standing: Standing) -> float | None:
        """What the limit of the machine takes, over this contender's median; None where no limit was measured."""
        return ratio_of(self.standings, self.case.figure, LIMIT, standing.contender)


def run(
    case: Case, *, repeat: int | None = None, quick: bool = False, tell: Callable[[str], None]
) -> Outcome:
    standings = [Standing(contender=c.name, ours=c.ours) for c in case.contenders]
    pairs = list(zip(case.contenders, standings, strict=True))
    for turn in range(repeat or (3 if quick else case.repeat)):
        # There and back again, so that whoever comes first is not always the same.
        for contender, standing in pairs if turn % 2 == 0 else reversed(pairs):
            tell(f"{case.name}: turn {turn + 1}, {contender.name}")
            take_turn(contender, standing, quick=quick)
    return Outcome(
        case=case,
        standings=standings,
        verdicts=[Verdict(target=t, value=value_of(standings, t)) for t in case.targets],
    )


def take_turn(contender: Contender, standing: Standing, *, quick: bool) -> None:
    """Set up, measure, take down: nobody's idle threads or servers are there in another's turn."""
    if standing.missing:
        return
    try:
        with contender.prepare(quick) as measure:
            if contender.warms_up:
                measure()  # not counted: imports, first forks, caches
            gc.collect()
            standing.runs.append(measure())
    except Exception as error:
        # What a peer cannot do is told in its row; the others are measured all the same.
        if contender.ours:
            raise
        standing.missing = reason_of(error)


def reason_of(error: Exception) -> str:
    """Why a contender has no figures, in one line."""
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed"
    return f"failed: {type(error).__name__} {error}".splitlines()[0].strip()


def value_of(standings: list[Standing], target: Target) -> float | None:
    if target.against is not None:
        return ratio_of(standings, target.figure, target.of, target.against)
    return next((s.median(target.figure) for s in standings if s.contender == target.of), None)


def ratio_of(standings: list[Standing], figure: str, of: str, against: str) -> float | None:
    medians = {s.contender: s.median(figure) for s in standings}
    above, below = medians.get(of), medians.get(against)
    return above / below if above is not None and below else None
