"""``asyncexec lambda package``: what to deploy as an AWS Lambda function."""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from asyncexec.backends.aws_lambda.package.build import (
    HANDLER,
    build_archive,
    deployment_commands,
)
from asyncexec.backends.aws_lambda.package.contents import Platform
from asyncexec.errors import OptionError
from asyncexec.plan.memory import format_bytes

_HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


class Architecture(StrEnum):
    """As Lambda calls them."""

    X86_64 = "x86_64"
    ARM64 = "arm64"


def package(
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The archive to write.")
    ] = Path("asyncexec-lambda.zip"),
    python: Annotated[
        str,
        typer.Option("--python", metavar="X.Y", help="The function's Python: that of the driver."),
    ] = _HERE,
    arch: Annotated[
        Architecture, typer.Option("--arch", help="The function's architecture.")
    ] = Architecture.X86_64,
    with_: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            "-w",
            metavar="PACKAGE",
            help="A package that tasks need, as pip takes it. May be given several times.",
        ),
    ] = None,
    extra: Annotated[
        list[str] | None,
        typer.Option(
            "--extra",
            metavar="NAME",
            help="An extra of asyncexec that tasks need: s3, say, for arrays there.",
        ),
    ] = None,
    latest: Annotated[
        bool, typer.Option("--latest", help="Take the newest versions, not those installed here.")
    ] = False,
    function_name: Annotated[
        str, typer.Option("--function-name", "-f", metavar="NAME", help="What to call it.")
    ] = "asyncexec",
    memory: Annotated[
        int, typer.Option("--memory", metavar="MB", min=128, max=10240, help="Its memory.")
    ] = 2048,
    timeout: Annotated[
        int, typer.Option("--timeout", metavar="SECONDS", min=1, max=900, help="Its timeout.")
    ] = 900,
    role: Annotated[
        str, typer.Option("--role", metavar="ARN", help="The role that it runs as.")
    ] = "arn:aws:iam::ACCOUNT:role/ROLE",
) -> None:
    """Build the archive of a function for [bold]aws-lambda[/bold], and print how to deploy it.

    It holds asyncexec as it is installed here and what it needs, in the versions
    installed here, as wheels for Lambda. The same content makes the same bytes.
    """
    if re.fullmatch(r"3\.\d+", python) is None:
        raise OptionError(f"--python {python!r} is not of the form 3.12")
    machine = {Architecture.X86_64: "x86_64", Architecture.ARM64: "aarch64"}[arch]
    built = build_archive(
        output,
        Platform(python=python, machine=machine),
        extras=extra or (),
        packages=with_ or (),
        pinned=not latest,
    )
    packed, unpacked = format_bytes(built.packed_bytes), format_bytes(built.unpacked_bytes)
    typer.echo(f"{output}: {packed}, unpacked {unpacked}\n")
    arguments = {
        "--function-name": function_name,
        "--runtime": f"python{python}",
        "--architectures": arch.value,
        "--handler": HANDLER,
        "--memory-size": str(memory),
        "--timeout": str(timeout),
        "--role": role,
    }
    typer.echo(deployment_commands(arguments, output, built.packed_bytes))
