"""``asyncexec simulate``: makespan and cost of a plan, computed by the scheduler that runs plans."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from asyncexec.cli.invocation import Invocation, note_json
from asyncexec.cli.loading import load_object, load_plan
from asyncexec.cli.simulating.bar import simulation_bar
from asyncexec.cli.simulating.explained import print_explanation
from asyncexec.cli.simulating.report import print_result
from asyncexec.config.assignments import assign_setting
from asyncexec.config.tables import Tables, read_tables
from asyncexec.errors import OptionError
from asyncexec.simulation.explanation import explain_task
from asyncexec.simulation.recorded import read_run
from asyncexec.simulation.scenario import Scenario

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
    "--noise": "noise.function",
    "--rule": "runs.rules",
    "--seeds": "runs.seeds",
    "--seed": "runs.seed",
}
_PATH_HELP = (
    "A plan, workflow or array: [bold]package.module:name[/bold], file.py:name or flow.yaml; needs "
    "--allow-import. Or the folder of a recorded run, as --history."
)
_DURATIONS_HELP = (
    "Durations of tasks (constant:10): lognormal:10,0.6, pareto:1,1.5,100, empirical:RUN, …; NAME=HOW for one stage. "
    "May be given several times."
)
_RELATION_HELP = (
    "What tasks read of the stage before (one-to-one): all, reduce:WIDTH or window:REACH."
)
_NOISE_HELP = (
    "A function that says how long each attempt takes: [bold]package.module:name[/bold] or file.py:name; needs "
    "--allow-import."
)
_RULE_HELP = (
    "A straggler rule (off and two_phase): off, cubed, spark, late, two_phase, or all. May be given several times; "
    "the others are compared to the first."
)
_EXPLAIN_HELP = (
    "With a history: why this task (STAGE:INDEX) got a backup or none; the run is replayed."
)
_SET_HELP = (
    "A line of such a file: [bold]cluster.cold_start_seconds=30[/bold]. May be given several times."
)


def _option(panel: str, names: str, text: str, **more: Any) -> Any:
    """Return an option of a panel; ``names`` are its flags and the name of its value, separated by blanks."""
    *flags, last = names.split()
    if last.startswith("-"):
        return typer.Option(*flags, last, help=text, rich_help_panel=panel, **more)
    return typer.Option(*flags, metavar=last, help=text, rich_help_panel=panel, show_default=False)


_plan = partial(_option, "The plan")
_case = partial(_option, "Workers, noise, scheduler")
_output = partial(_option, "What comes out")

_Text = str | None
_Number = int | None


def simulate(
    context: typer.Context,
    plan: Annotated[_Text, typer.Argument(metavar="PLAN", show_default=False, help=_PATH_HELP)] = None,
    *,
    allow_import: Annotated[bool, _plan("--allow-import", "Import (and so run) modules of PLAN and --noise.")] = False,
    history: Annotated[_Text, _plan("--history RUN", "A run recorded by ax.History: plan, durations.")] = None,
    stages: Annotated[_Number, _plan("--stages N", "Number of stages (1); each reads the one before.")] = None,
    tasks: Annotated[_Number, _plan("--tasks N", "Number of tasks of the first stage (1000).")] = None,
    relation: Annotated[_Text, _plan("--relation HOW", _RELATION_HELP)] = None,
    durations: Annotated[list[str] | None, _plan("--durations -d HOW", _DURATIONS_HELP)] = None,
    workers: Annotated[_Number, _case("--workers -w N", "Number of workers (100), of one attempt each.")] = None,
    price: Annotated[float | None, _case("--price PRICE", "Price of an hour of a worker.")] = None,
    slow: Annotated[float | None, _case("--slow SHARE", "Share of attempts that are slow.")] = None,
    noise: Annotated[_Text, _case("--noise FUNCTION", _NOISE_HELP)] = None,
    rule: Annotated[list[str] | None, _case("--rule -r NAME", _RULE_HELP)] = None,
    config: Annotated[Path | None, _case("--config -c FILE", "A TOML file with all settings.")] = None,
    settings: Annotated[list[str] | None, _case("--set -s SECTION.KEY=VALUE", _SET_HELP)] = None,
    explain: Annotated[_Text, _output("--explain TASK", _EXPLAIN_HELP)] = None,
    seeds: Annotated[_Number, _output("--seeds N", "Number of seeds (3); all is simulated with each.")] = None,
    seed: Annotated[_Number, _output("--seed N", "The first seed (0); the same seed gives the same result.")] = None,
    as_json: Annotated[bool, _output("--json", "Print everything as JSON instead.", callback=note_json)] = False,
    quiet: Annotated[bool, _output("--quiet -q", "Show no progress.")] = False,
    traceback: Annotated[bool, _output("--traceback", "Show Python's traceback with an error.")] = False,
) -> None:  # fmt: skip
    """Compute makespan and cost of a plan on workers you do not have.

    The real scheduler runs the plan on a virtual clock, against modelled workers;
    no task is called. Say what to run (stages by number and relation, a plan of
    yours, or the history of a real run), on which workers, and what goes wrong:
    out come makespan and cost with and without backup tasks, over several seeds.

    Try: [bold]asyncexec simulate --stages 5 --tasks 1000 --workers 1000 --slow 0.02[/bold]
    """
    invocation: Invocation = context.obj
    invocation.traceback = traceback
    if plan is not None and history is None and Path(plan).is_dir():
        plan, history = None, plan  # The folder of a run.
    values = (plan, history, stages, tasks, relation, durations, workers, price, slow, noise, rule,
              seeds, seed)  # fmt: skip
    options = zip(_KEYS, values, strict=True)
    given = {option: value for option, value in options if value is not None and value != []}
    if explain is not None:
        _explain(explain, given, beside=bool(config or settings or allow_import), as_json=as_json)
        return
    with _options_named(given):
        scenario = Scenario.of(_tables(config, settings or (), given))
        if allow_import and not scenario.imports:
            raise OptionError(
                "--allow-import says nothing without a PLAN or a noise.function: give one"
            )
        load = partial(load_plan, inputs={}) if allow_import else None
        find = load_object if allow_import else None
        with simulation_bar(scenario.count, quiet=quiet) as on_run:
            result = scenario.run(load=load, find=find, on_run=on_run)
    if as_json:
        typer.echo(json.dumps(result.as_json(), indent=2))
    else:
        print_result(Console(highlight=False), result)


def _explain(task: str, given: Mapping[str, Any], *, beside: bool, as_json: bool) -> None:
    """Print why a task of a recorded run got a backup or none."""
    rules = given.get("--rule", [])
    history = given.get("--history")
    if history is None or beside or len(rules) > 1 or given.keys() - {"--history", "--rule"}:
        raise OptionError(
            "--explain takes a history (asyncexec simulate RUN --explain STAGE:INDEX), at most one --rule, and --json"
        )
    explained = explain_task(read_run(Path(history)), task, rule=rules[0] if rules else None)
    if as_json:
        typer.echo(json.dumps(explained.as_json(), indent=2))
    else:
        print_explanation(Console(highlight=False), explained)


def _tables(config: Path | None, settings: Sequence[str], given: Mapping[str, Any]) -> Tables:
    """Return the tables of a file, under those of ``--set``, under those of options."""
    tables: Tables = {} if config is None else read_tables(config)
    for setting in settings:
        assign_setting(tables, setting)
    for option, value in given.items():
        section, _, key = _KEYS[option].partition(".")
        tables.setdefault(section, {})[key] = value
    return tables


@contextmanager
def _options_named(given: Mapping[str, Any]) -> Generator[None]:
    """Name in errors the options that were typed, not the keys that they stand for."""
    try:
        yield
    except OptionError as error:
        message = str(error)
        for option in given:
            message = re.sub(rf"\b{re.escape(_KEYS[option])}\b", option, message)
        raise OptionError(message) from error
