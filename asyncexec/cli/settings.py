"""Options of commands that read a configuration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asyncexec.config.problems import DATABASE_URL, SECRET, is_secret
from asyncexec.config.settings import hidden_password
from asyncexec.engine.configured import configure
from asyncexec.masking import MASK, masked_logins

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

Traceback = Annotated[
    bool, typer.Option("--traceback", help="Show Python's traceback with an error.")
]


def configured_by(
    config: Path | None, overrides: Sequence[str], env_file: Path | None
) -> Configured:
    """Return the configuration that options ask for; a key without a dot is an option of the executor."""
    return configure(config, overrides=full_keys(overrides), env_file=env_file)


def full_keys(overrides: Iterable[str] | None) -> list[str]:
    """Return each ``KEY=VALUE`` with the whole path of the key."""
    return [_full_key(override) for override in overrides or ()]


def masked_override(override: str) -> str:
    """Return ``KEY=VALUE`` with ``***`` for a value that is secret, or may hold one that is."""
    key, _, value = override.partition("=")
    path = tuple(full_keys([override])[0].partition("=")[0].split("."))
    if path == DATABASE_URL:
        return f"{key}={hidden_password(value)}"
    holds = any(secret[: len(path)] == path for secret in (*SECRET, DATABASE_URL))
    return f"{key}={MASK}" if holds or is_secret(path) else masked_logins(override)


def _full_key(override: str) -> str:
    key, equals, value = override.partition("=")
    named = "." in key or not equals or key.strip() in ("", *SECTIONS)
    return override if named else f"{EXECUTOR}.{key}={value}"
