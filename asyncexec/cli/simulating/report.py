"""Output of a simulation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from statistics import median

import typer
from rich.console import Console, RenderableType
from rich.markup import escape

from asyncexec.cli.simulating.explained import explanation_parts
from asyncexec.cli.simulating.tables import comparison_table, what_if_table
from asyncexec.histories.as_json import plain
from asyncexec.histories.decisions import TaskExplanation
from asyncexec.histories.separation import Separated
from asyncexec.observers.formatting import seconds
from asyncexec.simulation.cluster import Cluster
from asyncexec.simulation.comparison import Case, Comparison
from asyncexec.simulation.noise import QUIET, noise_of
from asyncexec.simulation.what_if import WhatIf

# Slow attempts of a stage are reported if it has more than this share of all worker time.
_MATTERS = 0.01
_NOTED_FACTOR = 1.5
_NOTED_SHARE = 0.1


def print_result(result: Comparison | WhatIf | TaskExplanation, *, as_json: bool) -> None:
    """Print the tables of a simulation or an explanation, or everything as JSON."""
    if as_json:
        typer.echo(json.dumps(result.as_json(), indent=2))
        return
    console = Console(highlight=False)
    for part in _parts(result):
        console.print(part, soft_wrap=isinstance(part, str))


def _parts(result: Comparison | WhatIf | TaskExplanation) -> Iterator[RenderableType]:
    if isinstance(result, TaskExplanation):
        return explanation_parts(result)
    return _what_if(result) if isinstance(result, WhatIf) else _comparison(result)


def _comparison(compared: Comparison) -> Iterator[RenderableType]:
    """Yield the figures of all variants, in a table for each order of stages."""
    yield _heading(compared, compared.case.cluster)
    orders = dict.fromkeys(row.variant.barriers for row in compared.rows)
    for barriers in orders:
        rows = [row for row in compared.rows if row.variant.barriers is barriers]
        several = len(compared.case.plan.stages) > 1 or len(orders) > 1
        how = "stages wait for each other" if barriers else "stages pipelined"
        yield f"\n[bold]{how}[/bold]" if several else ""
        yield comparison_table(compared, rows)


def _what_if(result: WhatIf) -> Iterator[RenderableType]:
    """Yield a recorded run, its simulations elsewhere, the accuracy of the model, and why nothing is promised."""
    run = result.run
    yield _heading(result.there, result.changes)
    yield (
        f"measured: executor {escape(run.executor)}, {run.slots:,} attempts at once, {escape(run.folder.name)}\n"
    )
    yield what_if_table(result)
    yield f"\n{_model(result)}"
    if result.refused:
        overheads = result.overheads
        busy = seconds(run.slot_seconds / run.slots)
        lead, tail = (seconds(s) for s in (overheads.lead_seconds, overheads.tail_seconds))
        yield (
            f"Nothing is promised: {result.refused}. Attempts took {busy} on each of {run.slots:,} workers, {lead} "
            f"passed before the first and {tail} after the last. What is missing is beside the attempts: waits before "
            f"retries, the driver's own work, values that travel, or another load on the machine. Record a longer run, "
            f"or one on workers that are up already (several runs of one engine)."
        )
    yield from _causes(result)


def _model(result: WhatIf) -> str:
    """Return the error of the model, or why it is not known."""
    run = result.run
    if result.model_error is not None:
        return (
            f"The model takes {seconds(result.modelled_seconds)} for the run as it was run, which took "
            f"{seconds(run.wall_seconds)} ({result.model_error:+.0%})."
        )
    before = f", {run.resumed:,} of them before it" if run.resumed else ""
    ended = "was cancelled" if run.status == "cancelled" else run.status
    return (
        f"What was measured is a part of the plan: the run {ended} with {run.completed:,} of "
        f"{result.there.case.sized.tasks:,} tasks complete{before}. What is simulated is all of it."
    )


def _causes(result: WhatIf) -> Iterator[str]:
    """Yield to what the differences of durations were attributed."""
    run, workers = result.run, result.workers
    for pause in result.pauses:
        yield (
            f"everything stood still from {seconds(pause.at)} on, for {seconds(pause.seconds)}: this is cut out of "
            f"what was measured, and not repeated elsewhere"
        )
    slow = {name: factor for name, factor in workers.slowness.items() if factor > _NOTED_FACTOR}
    if slow:
        named = ", ".join(f"{escape(name)} {factor:.1f}x" for name, factor in slow.items())
        yield f"slow workers: {named}; they are dealt out at random elsewhere"
    elif workers.slowness:
        yield "workers differ in speed; the measured speeds are dealt out at random elsewhere"
    if len(workers.warm_up):
        extra = seconds(float(median(workers.warm_up.tolist())))
        yield f"first attempts on workers took {extra} longer: so it is once for each worker"
    for stage in run.stages:
        if stage.attempts.seconds.sum() > _MATTERS * run.slot_seconds:
            yield from _stage_causes(escape(stage.name), result.stages[stage.name], result.others)


def _stage_causes(name: str, part: Separated, others: int) -> Iterator[str]:
    if part.explained_share > _NOTED_SHARE:
        share = f"{part.explained_share:.0%} of the spread"
        yield f"{name}: {share} is explained by the places and sizes of tasks"
    if not part.slow_share:
        return
    tell = f"{part.witnesses:,} of these tasks" if part.witnesses else "no task"
    elsewhere = f", in {others} other run{'s' * (others > 1)} too"
    least, most = (f"{1.0 - share:.0%}" for share in reversed(part.by_nature))
    laid = (
        f"{most} laid on attempts"
        if part.known
        else f"from {least} to {most} may be the attempts' doing, and both are simulated (plan.slow_tail says which)"
    )
    yield (
        f"{name}: {part.slow_share:.1%} of first attempts took over twice what was expected; {tell} had another "
        f"attempt that tells{elsewhere if others and part.witnesses else ''}: {laid}"
    )


def _heading(compared: Comparison, cluster: Cluster) -> str:
    case, plan, seeds = compared.case, compared.case.sized, compared.seeds
    tasks = "1 task" if plan.tasks == 1 else f"{plan.tasks:,} tasks"
    stages = "1 stage" if len(plan.stages) == 1 else f"{len(plan.stages):,} stages"
    many = "1 seed" if len(seeds) == 1 else f"medians of {len(seeds)} seeds"
    return (
        f"[bold]{escape(plan.name)}[/bold]: {tasks} in {stages} on {cluster}{_noise(case)}; {many}"
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
