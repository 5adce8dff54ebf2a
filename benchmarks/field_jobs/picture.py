"""A picture of the jobs: how near each contender comes to the limit, and what its process tree holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.case import LIMIT
from benchmarks.runner import Outcome
from benchmarks.stragglers.canvas import INK, SOFT, canvas, colours, dress, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Draw one row of bars a job, for T_min / T and for peak memory."""
    from matplotlib.patches import Patch

    names = [s.contender for s in outcomes[0].standings if s.contender != LIMIT]
    palette = dict(zip(names, colours(len(names)), strict=True))
    with canvas(path, 13, 1.2 + 0.95 * len(outcomes)) as figure:
        left, right = figure.subplots(1, 2, sharey=True)
        dress(left, "T_min / T", "the share of the time that nobody can do without; 1 is the limit")
        dress(
            right, "Peak memory of the process tree, MB", "of the fields a job reads 0.95 GB each"
        )
        for row, outcome in enumerate(outcomes):
            for place, name in enumerate(names):
                standing = next(s for s in outcome.standings if s.contender == name)
                at = row + 0.8 * (place + 0.5) / len(names) - 0.4
                bar = _Bar(at=at, height=0.75 / len(names), colour=palette[name])
                bar.draw(left, outcome.share_of_limit(standing), "{:.2f}")
                bar.draw(right, standing.median("peak_mb"), "{:,.0f}")
        left.axvline(1, color=SOFT, linewidth=0.8)
        left.set_yticks(
            range(len(outcomes)), [o.case.name.removeprefix("field_") for o in outcomes]
        )
        left.invert_yaxis()
        legend(figure, [Patch(color=palette[name], label=name) for name in names], columns=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bar:
    at: float
    height: float
    colour: str

    def draw(self, axes: Axes, value: float | None, form: str) -> None:
        if value is None:
            return
        axes.barh(self.at, value, self.height, color=self.colour)
        place = {"xytext": (2, 0), "textcoords": "offset points", "va": "center"}
        axes.annotate(form.format(value), (value, self.at), fontsize=6, color=INK, **place)
