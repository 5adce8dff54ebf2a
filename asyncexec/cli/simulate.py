"""``asyncexec simulate``: makespan and cost of a plan, computed by the scheduler that runs plans."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any

import typer

from asyncexec.cli.invocation import Invocation, note_json
from asyncexec.cli.loading import load_object, load_plan
from asyncexec.cli.simulating.bar import simulation_bar
from asyncexec.cli.simulating.report import print_result
from asyncexec.config.assignments import assign_setting
from asyncexec.config.fields import Option, described_fields
from asyncexec.config.tables import Tables, read_tables
from asyncexec.errors import OptionError
from asyncexec.histories import read_run
from asyncexec.histories.decisions import TaskExplanation
from asyncexec.simulation.explanation import explain_task
from asyncexec.simulation.scenario import SECTIONS, Scenario

_PATH_HELP = (
    "A plan, workflow or array: [bold]package.module:name[/bold], file.py:name or flow.yaml; needs "
    "--allow-import. Or the folder of a recorded run, as --history."
)
_EXPLAIN_HELP = (
    "With a history: why this task (STAGE:INDEX) got a backup or none; the run is replayed."
)
_SET_HELP = (
    "A line of such a file: [bold]cluster.cold_start_seconds=30[/bold]. May be given several times."
)
_IMPORTED = ": [bold]package.module:name[/bold] or file.py:name; needs --allow-import."

_KEYS = {"PLAN": "plan.path"}
"""The keys of a file that options stand for."""


@cache
def _settings(section: str) -> Mapping[str, Option]:
    return {setting.name: setting for setting in described_fields(SECTIONS[section])}


def _option(panel: str, names: str, text: str, **more: Any) -> Any:
    """Return an option of a panel; ``names`` are its flags and the name of its value, separated by blanks."""
    *flags, last = names.split()
    if last.startswith("-"):
        return typer.Option(*flags, last, help=text, rich_help_panel=panel, **more)
    return typer.Option(*flags, metavar=last, help=text, rich_help_panel=panel, show_default=False)


def _key(panel: str, names: str, key: str, more: str = "") -> Any:
    """Return an option that stands for a key of a file; its help is what is written at the field."""
    section, _, name = key.partition(".")
    setting = _settings(section)[name]
    _KEYS[names.split(maxsplit=1)[0]] = key
    number = f" ({setting.default})" if str(setting.default).isdigit() else ""
    return _option(panel, names, setting.meaning.rstrip(".") + (more or number + "."))


_plan, _importing = partial(_key, "The plan"), partial(_option, "The plan")
_case, _file = (partial(make, "Workers, noise, scheduler") for make in (_key, _option))
_seeds, _output = partial(_key, "What comes out"), partial(_option, "What comes out")

_Text = str | None
_Number = int | None


# Not formatted: an option a line.
def simulate(
    context: typer.Context,
    plan: Annotated[_Text, typer.Argument(metavar="PLAN", show_default=False, help=_PATH_HELP)] = None,
    *,
    allow_import: Annotated[bool, _importing("--allow-import", "Import (so run) modules of PLAN and --noise.")] = False,
    history: Annotated[_Text, _plan("--history RUN", "plan.history")] = None,
    stages: Annotated[_Number, _plan("--stages N", "plan.stages")] = None,
    tasks: Annotated[_Number, _plan("--tasks N", "plan.tasks")] = None,
    relation: Annotated[_Text, _plan("--relation HOW", "plan.relation")] = None,
    durations: Annotated[list[str] | None, _plan("--durations -d HOW", "plan.durations")] = None,
    workers: Annotated[_Number, _case("--workers -w N", "cluster.workers")] = None,
    price: Annotated[float | None, _case("--price PRICE", "cluster.price_per_hour")] = None,
    slow: Annotated[float | None, _case("--slow SHARE", "noise.slow_share")] = None,
    noise: Annotated[_Text, _case("--noise FUNCTION", "noise.function", _IMPORTED)] = None,
    rule: Annotated[list[str] | None, _case("--rule -r NAME", "runs.rules")] = None,
    config: Annotated[Path | None, _file("--config -c FILE", "A TOML file with all settings.")] = None,
    settings: Annotated[list[str] | None, _file("--set -s SECTION.KEY=VALUE", _SET_HELP)] = None,
    explain: Annotated[_Text, _output("--explain TASK", _EXPLAIN_HELP)] = None,
    seeds: Annotated[_Number, _seeds("--seeds N", "runs.seeds")] = None,
    seed: Annotated[_Number, _seeds("--seed N", "runs.seed")] = None,
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
    values: list[Any] = [plan, history, stages, tasks, relation, durations]
    values += [workers, price, slow, noise, rule, seeds, seed]
    options = zip(_KEYS, values, strict=True)
    given = {option: value for option, value in options if value is not None and value != []}
    with _options_named(given):
        if explain is not None:
            more = bool(config or settings or allow_import)
            print_result(_explained(explain, given, more=more), as_json=as_json)
            return
        tables = _tables(config, settings or (), given)
        imports = (tables.get("plan", {}).get("path"), tables.get("noise", {}).get("function"))
        if allow_import and not any(imports):
            raise OptionError(
                "--allow-import says nothing without a PLAN or a noise.function: give one"
            )
        load = partial(load_plan, inputs={}) if allow_import else None
        scenario = Scenario.of(tables, load=load, find=load_object if allow_import else None)
        with simulation_bar(scenario.count, quiet=quiet) as on_run:
            result = scenario.run(on_run)
    print_result(result, as_json=as_json)


def _explained(task: str, given: Mapping[str, Any], *, more: bool) -> TaskExplanation:
    """Return why a task of a recorded run got a backup or none."""
    history, rules = given.get("--history"), given.get("--rule", [])
    if history is None or more or len(rules) > 1 or given.keys() - {"--history", "--rule"}:
        raise OptionError(
            "--explain takes a history (asyncexec simulate RUN --explain STAGE:INDEX), at most one --rule, and --json"
        )
    return explain_task(read_run(Path(history)), task, rule=rules[0] if rules else None)


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
