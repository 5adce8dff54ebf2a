"""``asyncexec lambda package``: what to deploy as an AWS Lambda function."""

from __future__ import annotations

import re
import shlex
import sys
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from asyncexec.cli.bundle.archive import check_size, write_archive
from asyncexec.cli.bundle.contents import Target, is_installed, lay_out
from asyncexec.errors import ConfigurationError, OptionError
from asyncexec.plan.memory import format_bytes

HANDLER = "asyncexec.backends.aws_lambda_worker.handler"
UNPACKED_BYTES = 250 * 1024 * 1024
UPLOAD_BYTES = 50 * 1024 * 1024
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
    if not is_installed():
        raise ConfigurationError(
            "what asyncexec needs is not known, as it is not installed as a package: pip install -e ."
        )
    machine = {Architecture.X86_64: "x86_64", Architecture.ARM64: "aarch64"}[arch]
    with tempfile.TemporaryDirectory(prefix="asyncexec-lambda-") as scratch:
        folder = Path(scratch) / "contents"
        folder.mkdir()
        target = Target(python=python, machine=machine)
        lay_out(folder, target, extras=extra or (), packages=with_ or (), pinned=not latest)
        unpacked = check_size(folder, UNPACKED_BYTES)
        packed = write_archive(folder, output)
    typer.echo(f"{output}: {format_bytes(packed)}, unpacked {format_bytes(unpacked)}\n")
    arguments = {
        "--function-name": function_name,
        "--runtime": f"python{python}",
        "--architectures": arch.value,
        "--handler": HANDLER,
        "--memory-size": str(memory),
        "--timeout": str(timeout),
        "--role": role,
    }
    typer.echo(deployment(arguments, output, packed))


def deployment(arguments: dict[str, str], archive: Path, size: int) -> str:
    """Return the commands that deploy an archive, as one types them."""
    code, lines = f"--zip-file {shlex.quote(f'fileb://{archive}')}", []
    if size > UPLOAD_BYTES:
        key = shlex.quote(archive.name)
        lines += [
            "# Too large to upload directly: through a bucket.",
            f"aws s3 cp {shlex.quote(str(archive))} s3://BUCKET/{key}",
        ]
        code = f"--code S3Bucket=BUCKET,S3Key={key}"
    name = shlex.quote(arguments["--function-name"])
    told = [f"{option} {shlex.quote(value)}" for option, value in arguments.items()]
    update = code.replace("--code S3Bucket=", "--s3-bucket ").replace(",S3Key=", " --s3-key ")
    lines += [
        "# A new function:",
        " \\\n  ".join(["aws lambda create-function", *told, code]),
        "# The same function again:",
        f"aws lambda update-function-code --function-name {name} {update}",
    ]
    return "\n".join(lines)
