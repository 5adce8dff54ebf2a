"""``asyncexec demo``: a real job on real data."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from asyncexec.cli.invocation import Invocation
from asyncexec.config.assignments import parse_pairs
from asyncexec.observers import History, Progress
from asyncexec.plan.memory import format_bytes

from .analysis import BASELINE_YEARS
from .figures import run_table, stages_table
from .job import Report, Request, run_job

if TYPE_CHECKING:
    from asyncexec.events.observer import Observer


def demo(
    context: typer.Context,
    *,
    executor: Annotated[
        str,
        typer.Option(
            "--executor",
            "-e",
            help="Where tasks run: [bold]processes[/bold], threads, serial, or one of your own.",
        ),
    ] = "processes",
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            "-w",
            metavar="N",
            help="How many tasks run at once. [dim]\\[default: all cores][/dim]",
        ),
    ] = None,
    executor_option: Annotated[
        list[str] | None,
        typer.Option(
            "--executor-option",
            "-o",
            metavar="NAME=VALUE",
            help="An option of the executor. May be given several times.",
        ),
    ] = None,
    allowed_mem: Annotated[
        str,
        typer.Option(
            "--allowed-mem",
            "-m",
            metavar="SIZE",
            help="What one task may hold in memory, with its process.",
        ),
    ] = "500MB",
    work_dir: Annotated[
        Path,
        typer.Option(
            "--work-dir", "-d", metavar="DIR", help="Where input, results and pictures go."
        ),
    ] = Path("asyncexec-demo"),
    scale: Annotated[
        int,
        typer.Option(
            "--scale", "-s", metavar="N", help="Repeat the grid N times: 6000 make 20 GB of input."
        ),
    ] = 1,
    history: Annotated[
        Path | None,
        typer.Option(
            "--history", metavar="DIR", help="Write every attempt of both runs to a folder."
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print nothing but where the results are.")
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show Python's traceback with an error.")
    ] = False,
) -> None:
    """How North America warms under two emission scenarios, from netCDF to pictures.

    Writes 240 years of air temperature under two scenarios to Zarr, then runs
    one plan: each scenario's anomaly against its first 30 years, decadal means,
    the trend of every grid cell, and the difference of the scenarios. Ends with
    the run's figures and where the results are; a second run replaces them.
    """
    invocation: Invocation = context.obj
    invocation.traceback = traceback
    options = parse_pairs(executor_option or (), option="--executor-option")
    if workers is not None:
        options["max_workers"] = workers
    request = Request(
        executor=executor,
        executor_options=options,
        allowed_mem=allowed_mem,
        work_dir=work_dir,
        scale=scale,
    )
    recorded = None if history is None else History(history)
    chosen: tuple[Observer | None, ...] = (recorded, None if quiet else Progress())
    observers = [observer for observer in chosen if observer is not None]
    report = asyncio.run(run_job(request, observers))
    console = Console(highlight=False)
    if not quiet:
        tell_figures(console, report)
        console.print()
    tell_results(console, report)
    if recorded is not None:
        tell_history(console, recorded)


def tell_figures(console: Console, report: Report) -> None:
    """Print what the runs took, and what came out."""
    years, rows, columns = report.shape
    written, analysed = report.written, report.analysed
    size = format_bytes(sum(stage.written_bytes for stage in written.stages))
    console.print(
        f"\n[bold]Input[/bold]  {len(report.warming)} scenarios of {years} years x {rows} x {columns} cells\n"
        f"{size} written to Zarr by {written.tasks:,} tasks in {written.wall_seconds:.2f} s\n"
    )
    console.print(stages_table(analysed))
    console.print(f"\n[bold]One plan on {analysed.executor}[/bold]")
    console.print(run_table(analysed, allowed_bytes=report.allowed_bytes))
    console.print(f"\n{warming_text(report)}", soft_wrap=True)


def tell_results(console: Console, report: Report) -> None:
    """Print what is where."""
    root = report.places.root
    console.print(f"[bold]Results in {escape(str(root))}[/bold]", soft_wrap=True)
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(style="dim")
    for picture, meaning in report.pictures:
        table.add_row(f"  {picture.relative_to(root)}", "picture", meaning)
    for target in report.targets:
        name = f"  {target.path.relative_to(root)}"
        table.add_row(name, shape_text(target.array.shape), f"{target.meaning}, {target.unit}")
    console.print(table)


def tell_history(console: Console, history: History) -> None:
    """Print where the runs are recorded, and what that is good for."""
    console.print("[bold]Recorded[/bold]")
    for folder in history.folders:
        console.print(f"  {escape(str(folder))}", soft_wrap=True)
    elsewhere = f"asyncexec simulate --history {shlex.quote(str(history.folders[-1]))} --workers 8"
    console.print(f"how it would go on other workers: {escape(elsewhere)}", soft_wrap=True)


def warming_text(report: Report) -> str:
    """Return what came out, in a sentence."""
    last, first = report.years[-BASELINE_YEARS:], report.years[:BASELINE_YEARS]
    warmer = " and ".join(
        f"{kelvin:+.1f} K under {name}" for name, kelvin in report.warming.items()
    )
    return f"In {last[0]}-{last[-1]}, North America is warmer than in {first[0]}-{first[-1]} by {warmer}."


def shape_text(shape: Sequence[int]) -> str:
    """Return a shape as people write it."""
    return " x ".join(map(str, shape))
