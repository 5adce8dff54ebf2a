"""The options by which a command takes a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="A configuration in YAML.", show_default=False
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--override",
        "-o",
        metavar="KEY=VALUE",
        help="One setting, which counts more than the file and the environment: "
        "[bold]services.compute.executor.cpus=4[/bold]. May be given several times.",
        show_default=False,
    ),
]
EnvFile = Annotated[
    Path | None,
    typer.Option(
        "--env",
        metavar="FILE",
        help="A dotenv file with variables [bold]ASYNCEXEC__…[/bold]; the environment counts more.",
        show_default=False,
    ),
]
"""Of all commands that run something or show a configuration."""
