"""Puts the commands together, runs one, and turns what it raises into an exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from itertools import pairwise
from typing import Annotated

import typer

from asyncexec.cli.clean import clean_place
from asyncexec.cli.complaints import complain, complain_of
from asyncexec.cli.config import check, show
from asyncexec.cli.executors import executors
from asyncexec.cli.exit_codes import EXIT_INTERRUPTED, EXIT_TERMINATED
from asyncexec.cli.invocation import Invocation
from asyncexec.cli.lambda_package import package
from asyncexec.cli.plan import show_plan
from asyncexec.cli.run import run_target
from asyncexec.cli.runs import delete_runs, list_runs, show_run
from asyncexec.cli.simulate import simulate
from asyncexec.cli.verify import verify_place
from asyncexec.errors import OptionError


def run_command(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0 is success, 1 a run that failed, 2 a request that cannot be met, 130 an interruption (Ctrl-C).
    """
    invocation = Invocation()
    try:
        _refuse_empty(sys.argv[1:] if arguments is None else arguments)
        code = application()(arguments, standalone_mode=False, obj=invocation)
    except typer.TyperException as error:
        if invocation.as_json:
            print(json.dumps({"error": {"type": "UsageError", "message": error.format_message()}}))
        return complain(error.format_message(), code=error.exit_code)
    except BrokenPipeError:
        raise  # Whoever read the output has read enough.
    except Exception as error:  # noqa: BLE001 - who types a command gets a sentence, not a stack
        return complain_of(error, traceback=invocation.traceback, as_json=invocation.as_json)
    if code == EXIT_INTERRUPTED:
        if invocation.as_json:
            said = "terminated" if invocation.terminated else "interrupted"
            print(json.dumps({"error": {"type": "KeyboardInterrupt", "message": said}}))
        if invocation.terminated:
            stopped = "terminated; everything that was running has stopped"
            return complain(stopped, code=EXIT_TERMINATED)
        raise KeyboardInterrupt  # Which Typer turns into this code.
    return code if isinstance(code, int) else 0


def _refuse_empty(arguments: Sequence[str]) -> None:
    """Raise OptionError for an empty argument, which would count as none: no executor, the folder it stands in."""
    for before, argument in pairwise(("asyncexec", *arguments)):
        if not argument:
            raise OptionError(
                f"what follows {before} is empty: is a variable of the shell not set? Give a value, or leave it out"
            )


def application() -> typer.Typer:
    """Return the command line with all its commands."""
    commands = typer.Typer(
        name="asyncexec",
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    commands.callback(invoke_without_command=True)(root)
    # By name: the examples lie beside the package in a checkout, where type checkers do not look for them.
    commands.command()(import_module("asyncexec.examples.climate.command").demo)
    commands.command("run")(run_target)
    commands.command("plan")(show_plan)
    commands.command()(executors)
    commands.command()(simulate)
    commands.command("clean")(clean_place)
    commands.command("verify")(verify_place)
    for name, words, members in _GROUPS:
        commands.add_typer(_group(members), name=name, help=words)
    return commands


_GROUPS: tuple[tuple[str, str, Mapping[str, Callable[..., None]]], ...] = (
    (
        "runs",
        "List, show and delete records of runs.",
        {"list": list_runs, "show": show_run, "delete": delete_runs},
    ),
    ("config", "Show and check configurations.", {"show": show, "check": check}),
    (
        "lambda",
        "Functions of AWS Lambda, for the executor [bold]aws-lambda[/bold].",
        {"package": package},
    ),
)


def _group(members: Mapping[str, Callable[..., None]]) -> typer.Typer:
    """Return several commands under one name, which lists them where it is given alone."""
    group = typer.Typer()
    group.callback(invoke_without_command=True)(_help_alone)
    for name, command in members.items():
        group.command(name)(command)
    return group


def _help_alone(context: typer.Context) -> None:
    """Print what there is where no command was given."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def root(
    context: typer.Context,
    show_version: Annotated[
        bool, typer.Option("--version", "-V", help="Say which version this is, and stop.")
    ] = False,
) -> None:
    """Run parallel plans on any executor, in bounded memory.

    Start with [bold]asyncexec demo[/bold]: a real job on real climate data, in a few seconds.
    """
    if show_version:
        typer.echo(f"asyncexec {version('asyncexec')}")
        raise typer.Exit
    _help_alone(context)
