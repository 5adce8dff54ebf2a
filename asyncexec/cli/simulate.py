"""``asyncexec simulate``: how long and how dear a plan would be, computed by the scheduler that runs plans."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from asyncexec.cli.simulating.bar import simulation_bar
from asyncexec.cli.simulating.report import tell
from asyncexec.config.assignments import assign_setting
from asyncexec.config.tables import Tables, read_tables
from asyncexec.errors import BackendError, ExecutionError, MemoryBudgetError, OptionError
from asyncexec.simulation.scenario import Scenario

if TYPE_CHECKING:
    from asyncexec.cli.invocation import Invocation
    from asyncexec.simulation.comparison import OnRun, Variant

# The keys of a file that options stand for.
_KEYS = {
    "PLAN": "plan.path",
    "--history": "plan.history",
    "--stages": "plan.stages",
    "--tasks": "plan.tasks",
    "--relation": "plan.relation",
    "--durations": "plan.durations",
    "--workers": "cluster.workers",
    "--price": "cluster.price_per_hour",
    "--slow": "noise.slow_share",
    "--rule": "runs.rules",
    "--seeds": "runs.seeds",
    "--seed": "runs.seed",
}
_PATH_HELP = "A plan of yours, [bold]package.module:name[/bold]; needs --allow-import."
_SET_HELP = (
    "A line of such a file: [bold]cluster.cold_start_seconds=30[/bold]. May be given several times."
)
_DURATIONS_HELP = (
    "How long tasks take (constant:10): lognormal:10,0.6, pareto:1,1.5,100, empirical:RUN, …; for one stage alone "
    "NAME=HOW. May be given several times."
)
_RELATION_HELP = (
    "What tasks read of the stage before (one-to-one): all, reduce:WIDTH or window:REACH."
)
_RULE_HELP = (
    "A straggler rule (off and two_phase): off, cubed, spark, late, two_phase, or all. May be given several times; "
    "the first is what the others are compared to."
)


def _option(names: str, text: str, panel: str) -> Any:
    """Return an option: ``--name``, ``-n`` and what stands for its value, separated by blanks."""
    *flags, last = names.split()
    if last.startswith("-"):
        return typer.Option(*flags, last, help=text, rich_help_panel=panel)
    return typer.Option(*flags, metavar=last, help=text, rich_help_panel=panel, show_default=False)


def _plan(names: str, text: str) -> Any:
    return _option(names, text, "The plan")


def _case(names: str, text: str) -> Any:
    return _option(names, text, "Workers, noise, scheduler")


def _output(names: str, text: str) -> Any:
    return _option(names, text, "What comes out")


def simulate(
    context: typer.Context,
    plan: Annotated[
        str | None, typer.Argument(metavar="PLAN", show_default=False, help=_PATH_HELP)
    ] = None,
    *,
    allow_import: Annotated[
        bool, _plan("--allow-import", "Import the module of PLAN, which runs it.")
    ] = False,
    history: Annotated[
        str | None,
        _plan("--history RUN", "A run of yours, as ax.History wrote it: its plan and durations."),
    ] = None,
    stages: Annotated[
        int | None, _plan("--stages N", "How many stages (1); each reads the one before.")
    ] = None,
    tasks: Annotated[
        int | None, _plan("--tasks N", "How many tasks the first stage has (1000).")
    ] = None,
    relation: Annotated[str | None, _plan("--relation HOW", _RELATION_HELP)] = None,
    durations: Annotated[list[str] | None, _plan("--durations -d HOW", _DURATIONS_HELP)] = None,
    workers: Annotated[
        int | None, _case("--workers -w N", "How many (100); each runs one attempt at a time.")
    ] = None,
    price: Annotated[float | None, _case("--price PRICE", "Of an hour of a worker's time.")] = None,
    slow: Annotated[float | None, _case("--slow SHARE", "Which share of attempts is slow.")] = None,
    rule: Annotated[list[str] | None, _case("--rule -r NAME", _RULE_HELP)] = None,
    config: Annotated[
        Path | None, _case("--config -c FILE", "A TOML file that says all there is to say.")
    ] = None,
    settings: Annotated[list[str] | None, _case("--set -s SECTION.KEY=VALUE", _SET_HELP)] = None,
    seeds: Annotated[
        int | None,
        _output("--seeds N", "How often all is simulated (3), by another chance each time."),
    ] = None,
    seed: Annotated[
        int | None, _output("--seed N", "The first seed (0); the same seed gives the same result.")
    ] = None,
    as_json: Annotated[bool, _output("--json", "Print everything as JSON instead.")] = False,
    quiet: Annotated[bool, _output("--quiet -q", "Show no progress.")] = False,
    traceback: Annotated[
        bool, _output("--traceback", "Show Python's traceback with an error.")
    ] = False,
) -> None:
    """Compute how long and how dear a plan would be, on workers you do not have.

    The real scheduler runs the plan on a virtual clock, against modelled workers;
    no task is called. Say what to run (stages by number and relation, a plan of
    yours, or the history of a real run), on which workers, and what goes wrong:
    out come makespan and cost with and without backup tasks, over several seeds.

    Try: [bold]asyncexec simulate --stages 5 --tasks 1000 --workers 1000 --slow 0.02[/bold]
    """
    invocation: Invocation = context.obj
    invocation.traceback = traceback
    values = (plan, history, stages, tasks, relation, durations, workers, price, slow, rule, seeds, seed)  # fmt: skip
    given = {
        option: value
        for option, value in zip(_KEYS, values, strict=True)
        if value is not None and value != []
    }
    if allow_import and plan is None and config is None:
        raise OptionError("--allow-import says nothing without a PLAN: give that too")
    with _options_named(given):
        scenario = Scenario.of(_tables(config, settings or (), given))
        with _watched(scenario.count, quiet=quiet) as begins:
            told = scenario.run(allow_import=allow_import, on_run=begins)
    if as_json:
        typer.echo(json.dumps(told.as_json(), indent=2))
    else:
        tell(Console(highlight=False), told)


def _tables(config: Path | None, settings: Sequence[str], given: Mapping[str, Any]) -> Tables:
    """Return what the file says, over it what was set, over both what the options say."""
    tables: Tables = {} if config is None else read_tables(config)
    for setting in settings:
        assign_setting(tables, setting)
    for option, value in given.items():
        section, _, key = _KEYS[option].partition(".")
        tables.setdefault(section, {})[key] = value
    return tables


@contextmanager
def _options_named(given: Mapping[str, Any]) -> Generator[None]:
    """Have errors name the options that were typed, not the keys that they stand for."""
    try:
        yield
    except OptionError as error:
        said = str(error)
        for option in given:
            said = re.sub(rf"\b{re.escape(_KEYS[option])}\b", option, said)
        raise OptionError(said) from error


@contextmanager
def _watched(runs: int, *, quiet: bool) -> Generator[OnRun]:
    """Show a bar of so many runs; an error of a run on the model says so, with its variant and seed."""
    last = ""
    with simulation_bar(runs, quiet=quiet) as begins:

        def starts(variant: Variant, seed: int, share: Callable[[], float]) -> None:
            nonlocal last
            last = f"{variant}, seed {seed}"
            begins(variant, seed, share)

        try:
            yield starts
        except MemoryBudgetError as error:
            said = str(error).replace("Engine(memory=...)", "cluster.memory_bytes")
            raise MemoryBudgetError(said) from error
        except (ExecutionError, BackendError) as error:
            raise ExecutionError(f"on these workers the run fails ({last}): {error}") from error
