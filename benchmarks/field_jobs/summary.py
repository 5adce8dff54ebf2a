"""All jobs in a line for each contender: geometric means over those that both have done."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import geometric_mean

from benchmarks.case import LIMIT
from benchmarks.runner import Outcome, ratio_of

OURS = "asyncexec, threads"


def summary(outcomes: Sequence[Outcome]) -> list[str]:
    """Return what is to be said of all jobs together."""
    lines = []
    for standing in outcomes[0].standings:
        name = standing.contender
        if name == LIMIT:
            continue
        shares = _over(outcomes, LIMIT, name)
        against = _over(outcomes, OURS, name)
        if shares:
            mean = geometric_mean(shares)
            line = f"{name}: T_min/T {mean:.2f} (least {min(shares):.2f}, {len(shares)} jobs)"
            busy = _over(outcomes, LIMIT, name, "cpu_s")
            if busy:
                line += f", CPU of the limit/CPU {geometric_mean(busy):.2f} (least {min(busy):.2f})"
            if name != OURS and against:
                line += f"; {OURS} takes {geometric_mean(against):.2f} times its time"
            lines.append(line)
    return lines


def _over(
    outcomes: Sequence[Outcome], of: str, against: str, figure: str | None = None
) -> list[float]:
    found = (ratio_of(o.standings, figure or o.case.figure, of, against) for o in outcomes)
    return [ratio for ratio in found if ratio is not None]
