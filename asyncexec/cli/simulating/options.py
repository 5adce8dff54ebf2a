"""The options of ``asyncexec simulate``, section by section."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

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


class Billing(StrEnum):
    """What a price is for."""

    ATTEMPTS = "attempts"
    WORKERS = "workers"


_PLAN, _WORKERS, _NOISE = "The plan", "The workers", "What goes wrong"
_SCHEDULER, _OUTPUT = "The scheduler", "What comes out"


def _option(
    section: str, *names: str, text: str, metavar: str | None = None, default: str = ""
) -> Any:
    """Return an option of ``section``; ``default`` says what is taken where the value itself does not tell."""
    told = f"{text} [dim]\\[default: {default}][/dim]" if default else text
    return typer.Option(
        *names, metavar=metavar, help=told, rich_help_panel=section, show_default=not default
    )


PlanPath = Annotated[
    str | None,
    typer.Argument(
        metavar="PLAN",
        show_default=False,
        help="A plan of yours, [bold]package.module:name[/bold]; needs --allow-import.",
    ),
]
AllowImport = Annotated[
    bool, _option(_PLAN, "--allow-import", text="Import the module of PLAN, which runs it.")
]
History = Annotated[
    Path | None,
    _option(
        _PLAN,
        "--history",
        metavar="RUN",
        text="A run of yours, as ax.History wrote it: its plan, with the durations that were measured.",
    ),
]
Stages = Annotated[
    int | None,
    _option(
        _PLAN,
        "--stages",
        metavar="N",
        text="How many stages, each of which reads the one before.",
        default="1",
    ),
]
Tasks = Annotated[
    int | None,
    _option(
        _PLAN, "--tasks", metavar="N", text="How many tasks the first stage has.", default="1000"
    ),
]
RelationText = Annotated[
    str | None,
    _option(
        _PLAN,
        "--relation",
        metavar="HOW",
        text="What tasks read of the stage before: one-to-one, all, reduce:WIDTH or window:REACH.",
        default="one-to-one",
    ),
]
TaskMemory = Annotated[
    str | None,
    _option(_PLAN, "--task-memory", metavar="SIZE", text="What one task may hold.", default="0"),
]
DurationTexts = Annotated[
    list[str] | None,
    _option(
        _PLAN,
        "--durations",
        "-d",
        metavar="HOW",
        text="How long tasks take, in seconds: constant:10; lognormal:10,0.6 (mean, sigma); pareto:1,1.5,100 "
        "(least, exponent, most); empirical:RUN or empirical:RUN#STAGE (a history); shares as in "
        "0.9*5+0.1*15. For one stage alone: NAME=HOW. May be given several times. With "
        "--history: in place of what was measured.",
        default="constant:10",
    ),
]
Tail = Annotated[
    SlowTail | None,
    _option(
        _PLAN,
        "--slow-tail",
        text="With --history: whether attempts beyond twice the median were slow attempts, which backups help, or "
        "slow tasks, which they do not. [bold]auto[/bold] asks the tasks that had several attempts.",
        default="auto",
    ),
]
Workers = Annotated[
    int | None,
    _option(
        _WORKERS,
        "--workers",
        "-w",
        metavar="N",
        text="How many there are; each runs one attempt at a time.",
        default="100, or as many as the recorded run had",
    ),
]
SpeedSigma = Annotated[
    float,
    _option(
        _WORKERS,
        "--speed-sigma",
        text="How far their speeds lie apart: standard deviation of the logarithm.",
    ),
]
ColdStart = Annotated[
    float,
    _option(
        _WORKERS,
        "--cold-start",
        metavar="SECONDS",
        text="From a worker's coming up to its first attempt, on average.",
    ),
]
Arrival = Annotated[
    float | None,
    _option(
        _WORKERS,
        "--arrival",
        metavar="RATE",
        text="How many workers come up a second.",
        default="all are there at once",
    ),
]
Preemption = Annotated[
    float,
    _option(
        _WORKERS,
        "--preemption",
        metavar="RATE",
        text="How often an hour each worker is lost, with what it runs.",
    ),
]
Replaced = Annotated[
    bool,
    _option(
        _WORKERS,
        "--replace/--no-replace",
        text="Whether another comes up in the place of one that was lost.",
    ),
]
MaxStarts = Annotated[
    float | None,
    _option(
        _WORKERS,
        "--max-starts",
        metavar="RATE",
        text="How many attempts the system starts a second at most.",
        default="any number",
    ),
]
Latency = Annotated[
    float,
    _option(_WORKERS, "--latency", metavar="SECONDS", text="One way between driver and workers."),
]
Kills = Annotated[
    bool,
    _option(
        _WORKERS,
        "--kill/--no-kill",
        text="Whether an attempt that runs can be stopped; else it holds its worker to its end.",
    ),
]
ClusterMemory = Annotated[
    str | None,
    _option(
        _WORKERS,
        "--memory",
        metavar="SIZE",
        text="What all tasks in flight may hold together.",
        default="no limit",
    ),
]
Price = Annotated[
    float, _option(_WORKERS, "--price", metavar="PRICE", text="Of an hour of a worker's time.")
]
StartPrice = Annotated[
    float, _option(_WORKERS, "--price-per-start", metavar="PRICE", text="Of an attempt.")
]
BillingOf = Annotated[
    Billing,
    _option(
        _WORKERS,
        "--billing",
        metavar="WHAT",
        text="Which time is billed: what [bold]attempts[/bold] take, as for functions in a cloud, or all that "
        "[bold]workers[/bold] are up, idle or not, as for machines.",
    ),
]
BillLeast = Annotated[
    float,
    _option(
        _WORKERS,
        "--bill-least",
        metavar="SECONDS",
        text="Each attempt (or worker) is billed so long at least.",
    ),
]
BillStep = Annotated[
    float,
    _option(
        _WORKERS,
        "--bill-step",
        metavar="SECONDS",
        text="Each attempt's (or worker's) time is rounded up to a multiple of this.",
    ),
]
Metered = Annotated[
    bool | None,
    _option(
        _WORKERS,
        "--metered/--not-metered",
        text="Whether the scheduler is told that worker time is billed, and is sparing with backups.",
        default="if there is a price, and attempts are billed",
    ),
]
Slow = Annotated[
    float, _option(_NOISE, "--slow", metavar="SHARE", text="Which share of attempts is slow.")
]
SlowFactors = Annotated[
    str,
    _option(
        _NOISE,
        "--slow-by",
        metavar="LOW,HIGH",
        text="How many times as long slow attempts take: evenly between the two.",
    ),
]
SlowWorkers = Annotated[
    float,
    _option(_NOISE, "--slow-workers", metavar="SHARE", text="Which share of workers is slow."),
]
SlowWorkersFactor = Annotated[
    float,
    _option(
        _NOISE,
        "--slow-workers-by",
        metavar="FACTOR",
        text="How many times as long everything takes on those.",
    ),
]
Spread = Annotated[
    str | None,
    _option(
        _NOISE,
        "--spread",
        metavar="HOW",
        text="By what every attempt's duration is multiplied: lognormal:1,0.6, say, written as --durations.",
    ),
]
Hangs = Annotated[
    float, _option(_NOISE, "--hangs", metavar="SHARE", text="Which share of attempts hangs.")
]
Failures = Annotated[
    float,
    _option(
        _NOISE, "--failures", metavar="SHARE", text="Which share fails with an error that passes."
    ),
]
StorageTail = Annotated[
    str,
    _option(
        _NOISE,
        "--storage-tail",
        metavar="SHARE,SECONDS",
        text="Which share waits for storage, and how long on average.",
    ),
]
Rules = Annotated[
    list[str] | None,
    _option(
        _SCHEDULER,
        "--rule",
        "-r",
        metavar="NAME",
        text="A straggler rule: off, cubed, spark, late, two_phase, or all of them. May be given several times; "
        "the first is what the others are compared to.",
        default="off and two_phase",
    ),
]
OrderOf = Annotated[
    Order | None,
    _option(
        _SCHEDULER,
        "--order",
        text="Whether stages wait for each other.",
        default="pipelined; both with --history",
    ),
]
Timeout = Annotated[
    float | None,
    _option(_SCHEDULER, "--timeout", metavar="SECONDS", text="What one attempt may take."),
]
Attempts = Annotated[
    int | None,
    _option(
        _SCHEDULER,
        "--retry",
        metavar="N",
        text="How many attempts a task has, as Engine.execute(retry=N) takes it.",
    ),
]
Seeds = Annotated[
    int,
    _option(
        _OUTPUT,
        "--seeds",
        metavar="N",
        text="How often all is simulated, with another chance each time; medians and ranges are told.",
    ),
]
Seed = Annotated[
    int,
    _option(
        _OUTPUT, "--seed", metavar="N", text="The first seed; the same seed gives the same result."
    ),
]
Json = Annotated[bool, _option(_OUTPUT, "--json", text="Print everything as JSON instead.")]
Picture = Annotated[
    Path | None,
    _option(
        _OUTPUT,
        "--picture",
        metavar="FILE",
        text="Draw what the workers did over time (.svg, .png or .pdf), for the first and the last variant.",
    ),
]
CurvesFile = Annotated[
    Path | None,
    _option(
        _OUTPUT,
        "--curves",
        metavar="FILE",
        text="Draw makespan and cost against workers and against slow attempts (.svg, .png or .pdf).",
    ),
]
Quiet = Annotated[bool, _option(_OUTPUT, "--quiet", "-q", text="Show no progress.")]
Traceback = Annotated[
    bool, _option(_OUTPUT, "--traceback", text="Show Python's traceback with an error.")
]
