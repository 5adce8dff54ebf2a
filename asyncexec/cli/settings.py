"""Options of commands that read a configuration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asyncexec.engine.configured import configure

if TYPE_CHECKING:
    from asyncexec.engine.configured import Configured

EXECUTOR = "services.compute.executor"
SECTIONS = ("services", "storage", "database", "logging", "engine", "allow_targets")
"""The keys of a configuration on its highest level, which are not options of an executor."""

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="A configuration (asyncexec.yaml)."),
]
Override = Annotated[
    list[str] | None,
    typer.Option(
        "-o",
        "--override",
        metavar="KEY=VALUE",
        help="A setting (engine.memory=2GB), or an option of the executor (max_workers=4). May be given several times.",
    ),
]
EnvFile = Annotated[
    Path | None, typer.Option("--env", metavar="FILE", help="A dotenv file with settings.")
]


def configured_by(
    config: Path | None, overrides: Sequence[str], env_file: Path | None
) -> Configured:
    """Return the configuration that options ask for; a key without a dot is an option of the executor."""
    return configure(config, overrides=full_keys(overrides), env_file=env_file)


def full_keys(overrides: Iterable[str] | None) -> list[str]:
    """Return each ``KEY=VALUE`` with the whole path of the key."""
    return [_full_key(override) for override in overrides or ()]


def _full_key(override: str) -> str:
    key, equals, value = override.partition("=")
    named = "." in key or not equals or key.strip() in SECTIONS
    return override if named else f"{EXECUTOR}.{key}={value}"
