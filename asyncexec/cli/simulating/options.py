"""The options of ``asyncexec simulate``, section by section."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Order(StrEnum):
    """Whether stages wait for each other."""

    PIPELINED = "pipelined"
    BARRIERS = "barriers"
    BOTH = "both"


class SlowTail(StrEnum):
    """What slow attempts of a history are laid on."""

    AUTO = "auto"
    ATTEMPTS = "attempts"
    TASKS = "tasks"


_PLAN, _WORKERS, _NOISE = "The plan", "The workers", "What goes wrong"
_SCHEDULER, _OUTPUT = "The scheduler", "What comes out"

PlanPath = Annotated[
    str | None,
    typer.Argument(
        metavar="PLAN",
        show_default=False,
        help="A plan of yours, [bold]package.module:name[/bold]; needs --allow-import.",
    ),
]
AllowImport = Annotated[
    bool,
    typer.Option(
        "--allow-import", rich_help_panel=_PLAN, help="Import the module of PLAN, which runs it."
    ),
]
History = Annotated[
    Path | None,
    typer.Option(
        "--history",
        metavar="RUN",
        rich_help_panel=_PLAN,
        help="A run of yours, as ax.History wrote it: its plan, with the durations that were measured.",
    ),
]
Stages = Annotated[
    int | None,
    typer.Option(
        "--stages",
        metavar="N",
        rich_help_panel=_PLAN,
        help="How many stages, each of which reads the one before. [dim]\\[default: 1][/dim]",
    ),
]
Tasks = Annotated[
    int | None,
    typer.Option(
        "--tasks",
        metavar="N",
        rich_help_panel=_PLAN,
        help="How many tasks the first stage has. [dim]\\[default: 1000][/dim]",
    ),
]
RelationText = Annotated[
    str | None,
    typer.Option(
        "--relation",
        metavar="HOW",
        rich_help_panel=_PLAN,
        help="What tasks read of the stage before: one-to-one, all, reduce:WIDTH or window:REACH. "
        "[dim]\\[default: one-to-one][/dim]",
    ),
]
TaskMemory = Annotated[
    str,
    typer.Option(
        "--task-memory", metavar="SIZE", rich_help_panel=_PLAN, help="What one task may hold."
    ),
]
DurationTexts = Annotated[
    list[str] | None,
    typer.Option(
        "--durations",
        "-d",
        metavar="HOW",
        show_default=False,
        rich_help_panel=_PLAN,
        help="How long tasks take, in seconds: constant:10; lognormal:10,0.6 (mean, sigma); pareto:1,1.5,100 "
        "(least, exponent, most); empirical:RUN (a history); shares as in 0.9*constant:5+0.1*constant:15. "
        "For one stage alone: NAME=HOW. May be given several times. [dim]\\[default: constant:10][/dim]",
    ),
]
Tail = Annotated[
    SlowTail,
    typer.Option(
        "--slow-tail",
        rich_help_panel=_PLAN,
        help="With --history: whether attempts beyond twice the median were slow attempts, which backups help, or "
        "slow tasks, which they do not. [bold]auto[/bold] asks the tasks that had several attempts.",
    ),
]

Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        "-w",
        metavar="N",
        show_default=False,
        rich_help_panel=_WORKERS,
        help="How many there are; each runs one attempt at a time. "
        "[dim]\\[default: 100, or as many as the recorded run had][/dim]",
    ),
]
SpeedSigma = Annotated[
    float,
    typer.Option(
        "--speed-sigma",
        rich_help_panel=_WORKERS,
        help="How far their speeds lie apart: standard deviation of the logarithm.",
    ),
]
ColdStart = Annotated[
    float,
    typer.Option(
        "--cold-start",
        metavar="SECONDS",
        rich_help_panel=_WORKERS,
        help="From a worker's coming up to its first attempt, on average.",
    ),
]
Arrival = Annotated[
    float | None,
    typer.Option(
        "--arrival",
        metavar="RATE",
        show_default=False,
        rich_help_panel=_WORKERS,
        help="How many workers come up a second. [dim]\\[default: all are there at once][/dim]",
    ),
]
Preemption = Annotated[
    float,
    typer.Option(
        "--preemption",
        metavar="RATE",
        rich_help_panel=_WORKERS,
        help="How often an hour each worker is lost, with what it runs; another takes its place.",
    ),
]
MaxStarts = Annotated[
    float | None,
    typer.Option(
        "--max-starts",
        metavar="RATE",
        show_default=False,
        rich_help_panel=_WORKERS,
        help="How many attempts the system starts a second at most. [dim]\\[default: any number][/dim]",
    ),
]
Latency = Annotated[
    float,
    typer.Option(
        "--latency",
        metavar="SECONDS",
        rich_help_panel=_WORKERS,
        help="One way between driver and workers.",
    ),
]
Kills = Annotated[
    bool,
    typer.Option(
        "--kill/--no-kill",
        rich_help_panel=_WORKERS,
        help="Whether an attempt that runs can be stopped; else it holds its worker to its end.",
    ),
]
ClusterMemory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        show_default=False,
        rich_help_panel=_WORKERS,
        help="What all tasks in flight may hold together. [dim]\\[default: no limit][/dim]",
    ),
]
Price = Annotated[
    float,
    typer.Option(
        "--price",
        metavar="PRICE",
        rich_help_panel=_WORKERS,
        help="Of an hour of a worker, while it runs an attempt.",
    ),
]
StartPrice = Annotated[
    float,
    typer.Option(
        "--price-per-start", metavar="PRICE", rich_help_panel=_WORKERS, help="Of an attempt."
    ),
]
Metered = Annotated[
    bool | None,
    typer.Option(
        "--metered/--not-metered",
        show_default=False,
        rich_help_panel=_WORKERS,
        help="Whether the scheduler is told that worker time is billed, and is sparing with backups. "
        "[dim]\\[default: if there is a price][/dim]",
    ),
]

Slow = Annotated[
    float,
    typer.Option(
        "--slow", metavar="SHARE", rich_help_panel=_NOISE, help="Which share of attempts is slow."
    ),
]
SlowFactors = Annotated[
    str,
    typer.Option(
        "--slow-by",
        metavar="LOW,HIGH",
        rich_help_panel=_NOISE,
        help="How many times as long slow attempts take: evenly between the two.",
    ),
]
SlowWorkers = Annotated[
    float,
    typer.Option(
        "--slow-workers",
        metavar="SHARE",
        rich_help_panel=_NOISE,
        help="Which share of workers is slow.",
    ),
]
SlowWorkersFactor = Annotated[
    float,
    typer.Option(
        "--slow-workers-by",
        metavar="FACTOR",
        rich_help_panel=_NOISE,
        help="How many times as long everything takes on those.",
    ),
]
Spread = Annotated[
    str | None,
    typer.Option(
        "--spread",
        metavar="HOW",
        show_default=False,
        rich_help_panel=_NOISE,
        help="By what every attempt's duration is multiplied: lognormal:1,0.6, say, written as --durations.",
    ),
]
Hangs = Annotated[
    float,
    typer.Option(
        "--hangs", metavar="SHARE", rich_help_panel=_NOISE, help="Which share of attempts hangs."
    ),
]
Failures = Annotated[
    float,
    typer.Option(
        "--failures",
        metavar="SHARE",
        rich_help_panel=_NOISE,
        help="Which share fails with an error that passes.",
    ),
]
StorageTail = Annotated[
    str,
    typer.Option(
        "--storage-tail",
        metavar="SHARE,SECONDS",
        rich_help_panel=_NOISE,
        help="Which share waits for storage, and how long on average.",
    ),
]

Rules = Annotated[
    list[str] | None,
    typer.Option(
        "--rule",
        "-r",
        metavar="NAME",
        show_default=False,
        rich_help_panel=_SCHEDULER,
        help="A straggler rule: off, cubed, spark, late, two_phase, or all of them. May be given several times; the "
        "first is what the others are compared to. [dim]\\[default: off and two_phase][/dim]",
    ),
]
OrderOf = Annotated[
    Order | None,
    typer.Option(
        "--order",
        show_default=False,
        rich_help_panel=_SCHEDULER,
        help="Whether stages wait for each other. [dim]\\[default: pipelined; both with --history][/dim]",
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        show_default=False,
        rich_help_panel=_SCHEDULER,
        help="What one attempt may take.",
    ),
]
Attempts = Annotated[
    int | None,
    typer.Option(
        "--retry",
        metavar="N",
        show_default=False,
        rich_help_panel=_SCHEDULER,
        help="How many attempts a task has, as Engine.execute(retry=N) takes it.",
    ),
]

Seeds = Annotated[
    int,
    typer.Option(
        "--seeds",
        metavar="N",
        rich_help_panel=_OUTPUT,
        help="How often all is simulated, with another chance each time; medians and ranges are told.",
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed",
        metavar="N",
        rich_help_panel=_OUTPUT,
        help="The first seed; the same seed gives the same result.",
    ),
]
Json = Annotated[
    bool, typer.Option("--json", rich_help_panel=_OUTPUT, help="Print everything as JSON instead.")
]
Picture = Annotated[
    Path | None,
    typer.Option(
        "--picture",
        metavar="FILE",
        rich_help_panel=_OUTPUT,
        help="Draw what the workers did over time (.svg, .png or .pdf), for the first and the last variant.",
    ),
]
CurvesFile = Annotated[
    Path | None,
    typer.Option(
        "--curves",
        metavar="FILE",
        rich_help_panel=_OUTPUT,
        help="Draw makespan and cost against workers and against slow attempts (.svg, .png or .pdf).",
    ),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", rich_help_panel=_OUTPUT, help="Show no progress."),
]
Traceback = Annotated[
    bool,
    typer.Option(
        "--traceback", rich_help_panel=_OUTPUT, help="Show Python's traceback with an error."
    ),
]
