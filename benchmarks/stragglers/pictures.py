"""Pictures of simulations: what the workers did, and how makespan and cost depend on the case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from asyncexec.events.outcome import Status
from asyncexec.simulation.figures import Simulated
from benchmarks.stragglers.attempt_bars import AttemptBar, AttemptBars, sample_of, telling_sample
from benchmarks.stragglers.canvas import FAINT, INK, PALETTE, SOFT, canvas, colours, dress, legend

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.patches import Patch

    from asyncexec.simulation.comparison import Case, OnRun, Variant
    from benchmarks.stragglers.sensitivity import Curves

MOST_WORKERS = 60
"""More than these are sampled."""

# Of larger plans, only the attempts of workers chosen beforehand are kept.
_MOST_BARS = 200_000

# A logarithmic axis from one number to so many times that has room for finer ticks.
_NARROW = 12.0

# How attempts that did not succeed look: fill, hatch, what the legend says.
_LOST = {
    Status.CANCELLED: ("#dde2e8", "////", "stopped: another attempt was first"),
    Status.TIMED_OUT: ("#3e4c59", "", "hung: stopped at its timeout"),
    Status.FAILED: ("#cc3311", "", "failed"),
    Status.LOST: ("#ee7733", "", "lost with its worker"),
}
_BACKUP_WON = "backup that was first"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One run in a picture of workers over time."""

    title: str
    told: Simulated
    bars: tuple[AttemptBar, ...]
    rows: Sequence[int]
    workers: int


def panel_of(case: Case, variant: Variant, seed: int, *, on_run: OnRun | None = None) -> Panel:
    """Simulate a run again and keep its attempts on at most ``MOST_WORKERS`` workers."""
    workers = case.cluster.workers
    spread = sample_of(workers, MOST_WORKERS)
    all_kept = case.plan.tasks <= _MOST_BARS
    kept = AttemptBars(range(workers) if all_kept else spread)
    starts = None if on_run is None else partial(on_run, variant, seed)
    told = case.run(variant, seed, observers=[kept], on_start=starts)
    rows = telling_sample(kept.bars, workers, MOST_WORKERS) if all_kept else spread
    shown = frozenset(rows)
    return Panel(
        title=str(variant),
        told=told,
        bars=tuple(bar for bar in kept.bars if bar.worker in shown),
        rows=rows,
        workers=workers,
    )


def draw_workers(path: Path, panels: Sequence[Panel], stages: Sequence[str]) -> None:
    """Draw what the workers did over time, a panel for each run, one below the other on one time axis.

    Parameters
    ----------
    path : Path
        Ends in .svg, .png or .pdf; replaced if it exists.
    panels : sequence of Panel
    stages : sequence of str
        The plan's, in their order.

    Raises
    ------
    MissingExtraError, OptionError, WorkDirError
        See :func:`benchmarks.stragglers.canvas.canvas`.
    """
    rows = max(len(panel.rows) for panel in panels)
    height = 0.9 + len(panels) * (0.95 + max(1.2, 0.06 * rows))
    with canvas(path, 10.0, height) as figure:
        paints = dict(zip(stages, colours(len(stages)), strict=True))
        all_axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        shown: set[Status | str] = set()
        for axes, panel in zip(all_axes, panels, strict=True):
            shown |= _draw_panel(axes, panel, paints)
        all_axes[-1].set_xlabel("seconds", color=SOFT, fontsize=9)
        all_axes[-1].set_xlim(0, max(panel.told.makespan_seconds for panel in panels) * 1.01)
        legend(figure, _legend_of(paints, shown))


def draw_curves(path: Path, curves: Sequence[Curves], *, priced: bool) -> None:
    """Draw makespan (above) and cost (below) against what was varied, a line for each variant.

    Parameters
    ----------
    path : Path
        Ends in .svg, .png or .pdf; replaced if it exists.
    curves : sequence of Curves
        Side by side.
    priced : bool
        Whether costs are drawn; else the hours that workers are taken.

    Raises
    ------
    MissingExtraError, OptionError, WorkDirError
        See :func:`benchmarks.stragglers.canvas.canvas`.
    """
    with canvas(path, 10.0, 7.2) as figure:
        grid = figure.subplots(2, len(curves), squeeze=False, sharex="col")
        for column, each in enumerate(curves):
            for row in range(2):
                _draw_curves(grid[row, column], each, cost=row == 1, priced=priced)
        handles, _ = grid[0, 0].get_legend_handles_labels()
        legend(figure, handles, length=2.6)  # For two dashes.


def _draw_panel(
    axes: Axes, panel: Panel, paints: dict[str, str]
) -> set[Status | str]:  # what of the legend it needs
    place = {worker: row for row, worker in enumerate(panel.rows)}
    shown: set[Status | str] = set()
    for (stage, status, won), bars in _alike(panel.bars):
        fill, hatch = (paints[stage], "") if stage else _LOST[status][:2]
        for worker, on_worker in groupby(sorted(bars, key=_worker), key=_worker):
            axes.broken_barh(
                [(bar.begin, bar.end - bar.begin) for bar in on_worker],
                (place[worker] + 0.08, 0.84),
                facecolor=fill,
                hatch=hatch or None,
                edgecolor=INK if won else ("#9aa5b1" if hatch else "white"),
                linewidth=1.1 if won else 0.25,
                zorder=4 if won else 3,
            )
        shown |= {_BACKUP_WON} if won else {status}
    told = panel.told
    axes.axvline(told.ideal_seconds, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=5)
    axes.axvline(told.makespan_seconds, color=INK, linewidth=1.2, zorder=5)
    axes.set_ylim(len(panel.rows), 0)
    axes.set_yticks([])
    of = "" if len(panel.rows) == panel.workers else f"{len(panel.rows)} of "
    dress(axes, panel.title, _explanation(told), y=f"{of}{panel.workers:,} workers")
    return shown


def _explanation(told: Simulated) -> str:
    backups = f"{told.backups:,} backups, {told.useful_backups:,} of them first"
    return (
        f"ends after {told.makespan_seconds:,.4g} s (line); ideal {told.ideal_seconds:,.4g} s (dashed); "
        f"{backups if told.backups else 'no backups'}"
    )


def _alike(
    bars: Sequence[AttemptBar],
) -> list[tuple[tuple[str, Status, bool], list[AttemptBar]]]:
    """Return the attempts that look alike together: fewer things to draw."""
    groups: dict[tuple[str, Status, bool], list[AttemptBar]] = {}
    for bar in bars:
        succeeded = bar.status is Status.SUCCEEDED
        key = (bar.stage if succeeded else "", bar.status, bar.backup and succeeded)
        groups.setdefault(key, []).append(bar)
    return list(groups.items())


def _worker(bar: AttemptBar) -> int:
    return bar.worker


def _legend_of(paints: dict[str, str], shown: set[Status | str]) -> list[Patch]:
    from matplotlib.patches import Patch

    names = list(paints)
    kept = names if len(names) <= len(PALETTE) else [names[0], names[len(names) // 2], names[-1]]
    handles = [Patch(facecolor=paints[name], label=name) for name in kept]
    if _BACKUP_WON in shown:
        handles.append(Patch(facecolor="white", edgecolor=INK, linewidth=1.1, label=_BACKUP_WON))
    handles += [
        Patch(facecolor=fill, hatch=hatch or None, edgecolor="#9aa5b1", linewidth=0.25, label=text)
        for status, (fill, hatch, text) in _LOST.items()
        if status in shown
    ]
    return handles


def _draw_curves(axes: Axes, curves: Curves, *, cost: bool, priced: bool) -> None:
    figure = ("cost" if priced else "slot_seconds") if cost else "makespan_seconds"
    scale = 1 / 3600 if figure == "slot_seconds" else 1.0
    # Shares are evenly spaced: the small ones matter, and begin with none, which has no logarithm.
    workers = curves.name == "workers"
    places = curves.values if workers else tuple(map(float, range(len(curves.values))))
    for number, (label, paint, dashes) in enumerate(_looks(curves)):
        spreads = [c.rows[number].spread(figure) for c in curves.comparisons]
        axes.plot(
            places,
            [s.median * scale for s in spreads],
            color=paint,
            linewidth=2.0,
            linestyle=dashes,
            marker="o",
            markersize=4,
            label=label,
        )
        axes.fill_between(
            places,
            [s.least * scale for s in spreads],
            [s.most * scale for s in spreads],
            color=paint,
            alpha=0.15,
            linewidth=0,
        )
    _scale_axes(axes, curves, places, cost=cost)
    axes.grid(axis="y", color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    words = {
        "makespan_seconds": ("Makespan", "seconds"),
        "cost": ("Cost", "at the prices given"),
        "slot_seconds": ("Work", "worker-hours"),
    }
    heading, unit = words[figure]
    dress(axes, f"{heading} against {curves.name}", y=unit, x=curves.name if cost else "")


def _looks(curves: Curves) -> list[tuple[str, str, str]]:
    """Return each line's label, colour and dashes: a colour for each rule, dashes for barriers beside none."""
    variants = [row.variant for row in curves.comparisons[0].rows]
    rules = list(dict.fromkeys(variant.rule for variant in variants))
    paints = dict(zip(rules, colours(len(rules)), strict=True))
    both = len({variant.barriers for variant in variants}) > 1
    return [
        (str(variant), paints[variant.rule], "--" if both and variant.barriers else "-")
        for variant in variants
    ]


def _scale_axes(axes: Axes, curves: Curves, places: Sequence[float], *, cost: bool) -> None:
    if curves.name == "workers":
        from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(places, [f"{value:,.0f}" for value in curves.values])
        if not cost:
            axes.set_yscale("log")
            least, most = axes.get_ylim()
            narrow = most < _NARROW * least
            axes.yaxis.set_major_locator(
                LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 7) if narrow else (1, 2, 5))
            )
            axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
            axes.yaxis.set_minor_locator(NullLocator())
            return
    else:
        axes.set_xticks(places, [f"{value * 100:g}%" for value in curves.values])
    axes.set_ylim(bottom=0)
