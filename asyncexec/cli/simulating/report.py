"""Prints what came of a simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from asyncexec.cli.simulating.tables import (
    blame_lines,
    comparison_table,
    time_text,
    what_if_table,
)
from asyncexec.simulation.noise import QUIET, Noise
from asyncexec.simulation.what_if import WhatIf

if TYPE_CHECKING:
    from asyncexec.simulation.comparison import Case, Comparison


def tell(console: Console, told: Comparison | WhatIf) -> None:
    """Print tables."""
    if isinstance(told, WhatIf):
        _tell_what_if(console, told)
    else:
        _tell_comparison(console, told)


def _tell_comparison(console: Console, compared: Comparison) -> None:
    """Print the figures of all variants, a table for each order of stages."""
    _tell_case(console, compared)
    orders = dict.fromkeys(row.variant.barriers for row in compared.rows)
    for barriers in orders:
        rows = [row for row in compared.rows if row.variant.barriers is barriers]
        several = len(compared.case.plan.stages) > 1 or len(orders) > 1
        how = "stages wait for each other" if barriers else "stages pipelined"
        console.print(f"\n[bold]{how}[/bold]" if several else "")
        console.print(comparison_table(compared, rows))


def _tell_what_if(console: Console, told: WhatIf) -> None:
    """Print a recorded run as it was and as it would be, and how far the model can be trusted."""
    run = told.run
    _tell_case(console, told.there)
    console.print(
        f"measured: executor {escape(run.executor)}, {run.slots:,} attempts at once, {escape(run.folder.name)}\n",
        soft_wrap=True,
    )
    console.print(what_if_table(told))
    for line in (f"\n{_trust(told)}", *blame_lines(told)):
        console.print(line, soft_wrap=True)


def _trust(told: WhatIf) -> str:
    """Return how far the model can be trusted, or why nobody knows."""
    run = told.run
    if told.model_error is not None:
        simulated = told.here.rows[0].spread("makespan_seconds").median
        return (
            f"The model takes {time_text(simulated)} for the run as it was run, which took "
            f"{time_text(run.wall_seconds)} ({told.model_error:+.0%})."
        )
    before = f", {run.resumed:,} of them before it" if run.resumed else ""
    ended = "was cancelled" if run.status == "cancelled" else run.status
    return (
        f"What was measured is a part of the plan: the run {ended} with {run.completed:,} of "
        f"{told.there.case.sized.tasks:,} tasks complete{before}. What is simulated is all of it."
    )


def _tell_case(console: Console, compared: Comparison) -> None:
    case, plan, seeds = compared.case, compared.case.sized, compared.seeds
    tasks = "1 task" if plan.tasks == 1 else f"{plan.tasks:,} tasks"
    stages = "1 stage" if len(plan.stages) == 1 else f"{len(plan.stages):,} stages"
    many = "1 seed" if len(seeds) == 1 else f"medians of {len(seeds)} seeds"
    console.print(
        f"[bold]{escape(plan.name)}[/bold]: {tasks} in {stages} on {case.cluster}"
        f"{_noise_words(case)}; {many}",
        soft_wrap=True,
    )


def _noise_words(case: Case) -> str:
    noise = case.noise
    if not isinstance(noise, Noise):
        return ", as measured"
    if noise == QUIET:
        wrong = case.cluster.loss_per_hour or case.cluster.slow_share
        return "" if wrong else ", nothing goes wrong"
    low, high = noise.slow_factors
    said = [
        (noise.slow_share, f"{noise.slow_share:.2%} of attempts {low:g} to {high:g} times as slow"),
        (noise.hang_share, f"{noise.hang_share:.2%} hang"),
        (noise.failure_share, f"{noise.failure_share:.2%} fail"),
        (noise.storage_share, f"{noise.storage_share:.2%} wait for storage"),
        (noise.factor is not None, f"durations times {noise.factor}"),
    ]
    return "".join(f", {words}" for share, words in said if share)
