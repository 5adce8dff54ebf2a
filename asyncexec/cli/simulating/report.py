"""Output of a simulation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from asyncexec.cli.simulating.tables import comparison_table, time_text, what_if_table
from asyncexec.simulation.as_json import plain
from asyncexec.simulation.noise import QUIET, noise_of
from asyncexec.simulation.separation import ENOUGH_WITNESSES
from asyncexec.simulation.what_if import WhatIf

if TYPE_CHECKING:
    from asyncexec.simulation.comparison import Case, Comparison
    from asyncexec.simulation.separation import Separated

# Slow attempts of a stage are reported if it has more than this share of all worker time.
_MATTERS = 0.01


def print_result(console: Console, result: Comparison | WhatIf) -> None:
    """Print the tables of a simulation."""
    if isinstance(result, WhatIf):
        _print_what_if(console, result)
    else:
        _print_comparison(console, result)


def _print_comparison(console: Console, compared: Comparison) -> None:
    """Print the figures of all variants, in a table for each order of stages."""
    _print_case(console, compared)
    orders = dict.fromkeys(row.variant.barriers for row in compared.rows)
    for barriers in orders:
        rows = [row for row in compared.rows if row.variant.barriers is barriers]
        several = len(compared.case.plan.stages) > 1 or len(orders) > 1
        how = "stages wait for each other" if barriers else "stages pipelined"
        console.print(f"\n[bold]{how}[/bold]" if several else "")
        console.print(comparison_table(compared, rows))


def _print_what_if(console: Console, result: WhatIf) -> None:
    """Print a recorded run, its simulations elsewhere, and the accuracy of the model."""
    run = result.run
    _print_case(console, result.there)
    console.print(
        f"measured: executor {escape(run.executor)}, {run.slots:,} attempts at once, {escape(run.folder.name)}\n",
        soft_wrap=True,
    )
    console.print(what_if_table(result))
    causes = [
        _cause(stage.name, result.stages[stage.name])
        for stage in run.stages
        if result.stages[stage.name].slow_share
        and stage.attempts.seconds.sum() > _MATTERS * run.slot_seconds
    ]
    for line in (f"\n{_accuracy(result)}", *causes):
        console.print(line, soft_wrap=True)


def _accuracy(result: WhatIf) -> str:
    """Return the error of the model, or why it is not known."""
    run = result.run
    if result.model_error is not None:
        simulated = result.here.rows[0].spread("makespan_seconds").median
        return (
            f"The model takes {time_text(simulated)} for the run as it was run, which took "
            f"{time_text(run.wall_seconds)} ({result.model_error:+.0%})."
        )
    before = f", {run.resumed:,} of them before it" if run.resumed else ""
    ended = "was cancelled" if run.status == "cancelled" else run.status
    return (
        f"What was measured is a part of the plan: the run {ended} with {run.completed:,} of "
        f"{result.there.case.sized.tasks:,} tasks complete{before}. What is simulated is all of it."
    )


def _cause(name: str, part: Separated) -> str:
    """Return the cause to which the slow attempts of a stage were attributed."""
    slow = f"{escape(name)}: {part.slow_share:.1%} of first attempts took over twice the median"
    if part.witnessed:
        share = f"{part.blamed_on_attempts:.0%} laid on attempts"
        return f"{slow}; {part.witnesses:,} tasks had another attempt that tells: {share}"
    laid = "slow attempts" if part.blamed_on_attempts else "slow tasks"
    if part.witnesses >= ENOUGH_WITNESSES:
        return f"{slow}; taken for {laid}, as plan.slow_tail says"
    tell = f"only {part.witnesses:,}" if part.witnesses else "no"
    return f"{slow}; {tell} task{'s' * (part.witnesses > 1)} had another attempt that tells: taken for {laid}"


def _print_case(console: Console, compared: Comparison) -> None:
    case, plan, seeds = compared.case, compared.case.sized, compared.seeds
    tasks = "1 task" if plan.tasks == 1 else f"{plan.tasks:,} tasks"
    stages = "1 stage" if len(plan.stages) == 1 else f"{len(plan.stages):,} stages"
    many = "1 seed" if len(seeds) == 1 else f"medians of {len(seeds)} seeds"
    console.print(
        f"[bold]{escape(plan.name)}[/bold]: {tasks} in {stages} on {case.cluster}{_noise(case)}; {many}",
        soft_wrap=True,
    )


def _noise(case: Case) -> str:
    if isinstance(case.noise, Mapping):
        return ", as measured"
    noise = noise_of("", case.noise)
    if noise == QUIET:
        wrong = case.cluster.loss_per_hour or case.cluster.slow_share
        return "" if wrong else ", nothing goes wrong"
    low, high = noise.slow_factors
    parts = [
        (noise.slow_share, f"{noise.slow_share:.2%} of attempts {low:g} to {high:g} times as slow"),
        (noise.hang_share, f"{noise.hang_share:.2%} hang"),
        (noise.failure_share, f"{noise.failure_share:.2%} fail"),
        (noise.storage_share, f"{noise.storage_share:.2%} wait for storage"),
        (noise.factor is not None, f"durations times {noise.factor}"),
        (noise.function is not None, f"durations as {plain(noise.function)} says"),
    ]
    return "".join(f", {words}" for share, words in parts if share)
