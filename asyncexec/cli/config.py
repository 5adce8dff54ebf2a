"""``asyncexec config show`` and ``check``: the settings that count, with their origins, and all that is wrong."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape

from asyncexec.cli.exit_codes import EXIT_FAILURE
from asyncexec.cli.invocation import AsJson
from asyncexec.cli.settings import ConfigFile, EnvFile, Override, full_keys
from asyncexec.engine.configured import problems_of, read_configuration
from asyncexec.errors import ConfigurationError, SettingsError

if TYPE_CHECKING:
    from asyncexec.config.configuration import Configuration
    from asyncexec.config.yaml_file import KeyPath
    from asyncexec.engine.effective_settings import EffectiveSetting


def show(
    config: ConfigFile = None,
    override: Override = None,
    env: EnvFile = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show every setting as it counts, and where it comes from, as YAML; secrets are masked.

    Defaults count least, then the file, the dotenv file, the environment (ASYNCEXEC__…), and -o most.
    """
    read = read_configuration(config, overrides=full_keys(override), env_file=env)
    problems = problems_of(read)
    settings = _settings(read)
    if as_json:
        rows = [
            {"key": ".".join(map(str, each.path)), "value": each.value, "origin": each.origin}
            for each in settings
        ]
        _print_json({"settings": rows, "notices": list(read.notices), "problems": list(problems)})
    else:
        console = Console(highlight=False, soft_wrap=True)
        for line, origin in _as_yaml(settings):
            console.print(
                f"{escape(line)}  [dim]# {escape(origin)}[/dim]" if origin else escape(line)
            )
    _tell(read.notices if as_json else (*problems, *read.notices))
    if problems:
        raise typer.Exit(EXIT_FAILURE)


def check(
    config: ConfigFile = None,
    override: Override = None,
    env: EnvFile = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Check a configuration without starting anything, and print all problems at once.

    The exit code is 1 where there is a problem.
    """
    notices: tuple[str, ...] = ()
    try:
        read = read_configuration(config, overrides=full_keys(override), env_file=env)
        notices, problems = read.notices, problems_of(read)
    except SettingsError as error:
        problems = error.problems
    except ConfigurationError as error:
        problems = (str(error),)
    if as_json:
        _print_json({"problems": list(problems), "notices": list(notices)})
    else:
        for problem in problems:
            typer.echo(problem)
        if not problems:
            typer.echo("The configuration is right.")
        _tell(notices)
    if problems:
        raise typer.Exit(EXIT_FAILURE)


def _settings(read: Configuration) -> list[EffectiveSetting]:
    from asyncexec.engine.effective_settings import effective_settings  # noqa: PLC0415 - of the extra `config`

    return list(effective_settings(read))


def _as_yaml(settings: Iterable[EffectiveSetting]) -> Iterator[tuple[str, str]]:
    """Yield the lines of a file with these settings, each with the origin of what stands in it."""
    above: KeyPath = ()
    for setting in settings:
        *sections, name = setting.path
        for depth, section in enumerate(sections):
            if above[: depth + 1] != setting.path[: depth + 1]:
                yield f"{'  ' * depth}{section}:", ""
        above = setting.path
        yield f"{'  ' * len(sections)}{name}: {_text(setting.value)}", setting.origin


def _tell(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        print(f"asyncexec: {sentence}", file=sys.stderr)


def _text(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _OTHER:
        return value
    if isinstance(value, float) and value.is_integer():
        return f"{value:g}"
    return json.dumps(value, default=str)


_PLAIN = re.compile(r"[A-Za-z_./][\w./+-]*")
_OTHER = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
"""Words that are no texts in YAML."""


def _print_json(document: Any) -> None:
    typer.echo(json.dumps(document, indent=2, default=str))
