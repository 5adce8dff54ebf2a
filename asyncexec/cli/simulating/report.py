"""Output of a simulation."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from asyncexec.cli.simulating.tables import comparison_table, time_text, what_if_table
from asyncexec.simulation.as_json import plain
from asyncexec.simulation.noise import QUIET, noise_of
from asyncexec.simulation.what_if import WhatIf

if TYPE_CHECKING:
    from asyncexec.simulation.cluster import Cluster
    from asyncexec.simulation.comparison import Case, Comparison
    from asyncexec.simulation.separation import Separated

# Slow attempts of a stage are reported if it has more than this share of all worker time.
_MATTERS = 0.01
_NOTED_FACTOR = 1.5
_NOTED_SHARE = 0.1


def print_result(console: Console, result: Comparison | WhatIf) -> None:
    """Print the tables of a simulation."""
    if isinstance(result, WhatIf):
        _print_what_if(console, result)
    else:
        _print_comparison(console, result)


def _print_comparison(console: Console, compared: Comparison) -> None:
    """Print the figures of all variants, in a table for each order of stages."""
    _print_case(console, compared, compared.case.cluster)
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
    _print_case(console, result.there, result.changes)
    console.print(
        f"measured: executor {escape(run.executor)}, {run.slots:,} attempts at once, {escape(run.folder.name)}\n",
        soft_wrap=True,
    )
    console.print(what_if_table(result))
    for line in ("", *_accuracy(result), *_causes(result)):
        console.print(line, soft_wrap=True)


def _accuracy(result: WhatIf) -> list[str]:
    """Return the error of the model, or why it is not known, and why nothing is promised."""
    return [_model_line(result), *([_missing(result)] if result.refused else [])]


def _missing(result: WhatIf) -> str:
    """Return where the time of a run is that the model does not explain."""
    run, known = result.run, result.overheads
    busy = run.slot_seconds / run.slots
    return (
        f"Nothing is promised: {result.refused}. Attempts took {time_text(busy)} on each of {run.slots:,} workers, "
        f"{time_text(known.lead_seconds)} passed before the first and {time_text(known.tail_seconds)} after the last. "
        f"What is missing is beside the attempts: waits before retries, the driver's own work, values that travel, "
        f"or another load on the machine. Record a longer run, or one on workers that are up already (several runs of "
        f"one engine)."
    )


def _model_line(result: WhatIf) -> str:
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


def _causes(result: WhatIf) -> list[str]:
    """Return to what the differences of durations were attributed."""
    run, workers = result.run, result.workers
    found = [
        f"everything stood still from {time_text(pause.at)} on, for {time_text(pause.seconds)}: this is cut out of "
        f"what was measured, and not repeated elsewhere"
        for pause in result.pauses
    ]
    slow = {name: factor for name, factor in workers.slowness.items() if factor > _NOTED_FACTOR}
    if slow:
        named = ", ".join(f"{escape(name)} {factor:.1f}x" for name, factor in slow.items())
        found.append(f"slow workers: {named}; they are dealt out at random elsewhere")
    elif workers.slowness:
        found.append(
            "workers differ in speed; the measured speeds are dealt out at random elsewhere"
        )
    if len(workers.warm_up):
        extra = time_text(float(median(workers.warm_up.tolist())))
        found.append(
            f"first attempts on workers took {extra} longer: so it is once for each worker"
        )
    for stage in run.stages:
        part = result.stages[stage.name]
        if stage.attempts.seconds.sum() > _MATTERS * run.slot_seconds:
            found += _cause(escape(stage.name), part, others=result.others)
    return found


def _cause(name: str, part: Separated, *, others: int) -> list[str]:
    """Return the cause to which the slow attempts of a stage were attributed."""
    found: list[str] = []
    if part.explained_share > _NOTED_SHARE:
        share = f"{part.explained_share:.0%} of the spread"
        found.append(f"{name}: {share} is explained by the places and sizes of tasks")
    if not part.slow_share:
        return found
    slow = f"{name}: {part.slow_share:.1%} of first attempts took over twice what was expected"
    tell = (
        f"{part.witnesses:,} of these tasks had another attempt that tells"
        if part.witnesses
        else ("no task had another attempt that tells")
    )
    if others and part.witnesses:
        tell += f", in {others} other run{'s' * (others > 1)} too"
    least, most = part.by_nature
    if part.known:
        found.append(f"{slow}; {tell}: {1.0 - least:.0%} laid on attempts")
    else:
        found.append(
            f"{slow}; {tell}: from {1.0 - most:.0%} to {1.0 - least:.0%} may be the attempts' doing, "
            f"and both are simulated (plan.slow_tail says which)"
        )
    return found


def _print_case(console: Console, compared: Comparison, cluster: Cluster) -> None:
    case, plan, seeds = compared.case, compared.case.sized, compared.seeds
    tasks = "1 task" if plan.tasks == 1 else f"{plan.tasks:,} tasks"
    stages = "1 stage" if len(plan.stages) == 1 else f"{len(plan.stages):,} stages"
    many = "1 seed" if len(seeds) == 1 else f"medians of {len(seeds)} seeds"
    console.print(
        f"[bold]{escape(plan.name)}[/bold]: {tasks} in {stages} on {cluster}{_noise(case)}; {many}",
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
