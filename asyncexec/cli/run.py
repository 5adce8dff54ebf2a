"""``asyncexec run``: run a workflow, a plan or an array, on any executor."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import anyio
import typer
from rich.console import Console

from asyncexec.cli.figures import short_table
from asyncexec.cli.invocation import Invocation, note_json
from asyncexec.cli.loading import load_plan
from asyncexec.cli.log_output import logging_as
from asyncexec.cli.settings import (
    EXECUTOR,
    ConfigFile,
    EnvFile,
    Override,
    Traceback,
    configured_by,
    masked_override,
)
from asyncexec.cli.stopping import TerminatedError, until_terminated
from asyncexec.config.assignments import parse_json_pairs
from asyncexec.engine import Engine
from asyncexec.errors import OptionError
from asyncexec.observers import History, Progress
from asyncexec.runs.location import default_database
from asyncexec.runs.rows import as_plain, described
from asyncexec.runs.store import RunStore

if TYPE_CHECKING:
    from asyncexec.engine import Result
    from asyncexec.engine.configured import Configured
    from asyncexec.plan.plan import Plan

_TARGET = "A YAML file, or [bold]file.py:object[/bold] or [bold]package.module:object[/bold]: workflow, plan or array."
Target = Annotated[str, typer.Argument(metavar="FILE[:OBJECT]", help=_TARGET)]
Input = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        "-i",
        metavar="NAME=VALUE",
        help="An input; read as JSON where it is JSON, else as text. May be given several times.",
    ),
]
With = Annotated[
    list[Path] | None,
    typer.Option(
        "--with",
        metavar="PATH",
        help="A YAML file of kind config, or a folder of them, for a workflow in YAML.",
    ),
]


def run_target(
    context: typer.Context,
    target: Target,
    *,
    inputs: Input = None,
    executor: Annotated[
        str | None,
        typer.Option("--executor", "-e", help="Where tasks run.", show_default="threads"),
    ] = None,
    config: ConfigFile = None,
    override: Override = None,
    env: EnvFile = None,
    with_: With = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="The namespace of what tasks share.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep what an earlier run of the same has completed.")
    ] = False,
    work_dir: Annotated[
        str | None,
        typer.Option("--work-dir", "-d", metavar="DIR", help="Where values are kept for that."),
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option("--history", metavar="DIR", help="Write every attempt to a folder."),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print value, stages and figures as JSON.", callback=note_json),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the value alone.")] = False,
    traceback: Traceback = False,
) -> None:
    """Run a workflow, a plan or an array, and print its value.

    The value goes to standard output, and everything else to standard error. Ctrl-C stops
    the work, and says how to go on. Runs are recorded: [bold]asyncexec runs list[/bold] has them.
    """
    invocation: Invocation = context.obj
    invocation.traceback = traceback
    given = parse_json_pairs(inputs or (), option="--input")
    overrides = [*([f"{EXECUTOR}.target={executor}"] if executor else []), *(override or ())]
    configured = configured_by(config, overrides, env)
    entries = dict(configured.context) | ({"namespace": namespace} if namespace else {})
    has_work_dir = bool(work_dir or configured.arguments.get("work_dir"))
    if resume and not has_work_dir:
        raise OptionError(
            "--resume needs a place for the values of completed tasks: add --work-dir DIR"
        )
    plan = load_plan(target, given, configs=with_ or (), context=entries)
    recorded = History(history) if history is not None else None
    source = {"target": target, "inputs": as_plain(given), "command": _command(override or ())}
    runs = _runs(configured, recorded, source)
    observers = [
        runs,
        *([] if recorded is None else [recorded]),
        *([] if quiet else [Progress(errors=False)]),
    ]
    options = {"resume": resume or None} | ({"work_dir": work_dir} if work_dir else {})
    try:
        # Tasks that share this process print, too.
        with logging_as(configured.configuration.settings.logging), redirect_stdout(sys.stderr):
            result = anyio.run(_execute, configured, plan, observers, options)
    except (KeyboardInterrupt, Exception) as error:
        invocation.terminated = isinstance(error, TerminatedError)
        _tell_how_to_go_on(error, source["command"], resumes=resume, has_work_dir=has_work_dir)
        raise
    _tell(result, as_json=as_json, quiet=quiet)


async def _execute(
    configured: Configured, plan: Plan, observers: Sequence[Any], options: dict[str, Any]
) -> Result:
    runs, *others = observers

    async def work() -> Result:
        async with runs, Engine(**configured.arguments, observers=[*others, runs]) as engine:
            return await engine.execute(plan, **options)

    return await until_terminated(work())


def _runs(configured: Configured, history: History | None, source: dict[str, Any]) -> RunStore:
    settings = configured.configuration.settings
    return RunStore(
        settings.database.url or default_database(),
        retention=settings.services.compute.run_retention_duration,
        history=history,
        source=source,
    )


def _tell(result: Result, *, as_json: bool, quiet: bool) -> None:
    if not quiet and not as_json:
        Console(stderr=True, highlight=False).print(short_table(result))
        for note in result.notes:
            typer.echo(f"note: {note}", err=True)
    if as_json:
        typer.echo(json.dumps(result_json(result), indent=2))
    elif result.value is not None:
        _print(result.value if isinstance(result.value, str) else _text(result.value))


def _print(text: str) -> None:
    """Print a text; characters that standard output cannot have are escaped."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"  # It may be closed.
    typer.echo(text.encode(encoding, "backslashreplace").decode(encoding))


def result_json(result: Result) -> dict[str, Any]:
    """Return a result in plain types; a value that has none as text."""
    return {
        "value": as_plain(result.value),
        "plan": result.plan,
        "execution": result.execution,
        "executor": result.executor,
        "wall_seconds": result.wall_seconds,
        "tasks": result.tasks,
        "attempts": result.attempts,
        "retries": result.retries,
        "backups": result.backups,
        "failures": result.failures,
        "failed_tasks": result.failed_tasks,
        "skipped_tasks": result.skipped_tasks,
        "notes": list(result.notes),
        "stages": [stage.as_json() for stage in result.stages],
    }


def _text(value: Any) -> str:
    try:
        return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return described(value)


def _command(overrides: Iterable[str]) -> str:
    """Return the command as it was typed, without the values of settings that are secret."""
    typed = sys.argv[1:]
    for override in overrides:
        masked = masked_override(override)
        typed = [argument.replace(override, masked) for argument in typed]
    return shlex.join(["asyncexec", *typed])


def _tell_how_to_go_on(
    error: BaseException, command: str, *, resumes: bool, has_work_dir: bool
) -> None:
    """Print on standard error how to keep what was complete."""
    if not isinstance(error, KeyboardInterrupt) and not getattr(error, "stage", ""):
        return  # Nothing has run.
    for line in _advice(command, resumes=resumes, has_work_dir=has_work_dir):
        print(line, file=sys.stderr)


def _advice(command: str, *, resumes: bool, has_work_dir: bool) -> Iterator[str]:
    if resumes and has_work_dir:
        yield "what was complete is kept; the same command goes on from there:"
        yield f"  {command}"
    else:
        missing = [
            *([] if resumes else ["--resume"]),
            *([] if has_work_dir else ["--work-dir DIR"]),
        ]
        yield f"to keep what is complete in later runs, add {' '.join(missing)}:"
        yield f"  {command} {' '.join(missing)}"
