"""Builds the archive of a function, and says how to deploy it."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from asyncexec.backends.aws_lambda.package.archive import check_size, write_archive
from asyncexec.backends.aws_lambda.package.contents import Platform, is_installed, lay_out
from asyncexec.errors import ConfigurationError

HANDLER = "asyncexec.backends.aws_lambda.worker_side.handler"
# Of AWS: what a function may have unpacked, and what may be uploaded directly.
UNPACKED_BYTES = 250 * 1024 * 1024
UPLOAD_BYTES = 50 * 1024 * 1024


class Built(NamedTuple):
    """An archive that was written."""

    packed_bytes: int
    unpacked_bytes: int


def build_archive(
    output: Path,
    platform: Platform,
    *,
    extras: Collection[str] = (),
    packages: Sequence[str] = (),
    pinned: bool = True,
) -> Built:
    """Write the archive with this package and what it needs; see :func:`lay_out` for what goes in.

    Raises ConfigurationError if this package is not installed, something cannot be had for the target, or the archive
    is too large for AWS or cannot be written.
    """
    if not is_installed():
        raise ConfigurationError(
            "what asyncexec needs is not known, as it is not installed as a package: pip install -e ."
        )
    with tempfile.TemporaryDirectory(prefix="asyncexec-lambda-") as scratch:
        folder = Path(scratch) / "contents"
        folder.mkdir()
        lay_out(folder, platform, extras=extras, packages=packages, pinned=pinned)
        unpacked = check_size(folder, UNPACKED_BYTES)
        return Built(write_archive(folder, output), unpacked)


def deployment_commands(arguments: Mapping[str, str], archive: Path, size: int) -> str:
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
    given = [f"{option} {shlex.quote(value)}" for option, value in arguments.items()]
    update = code.replace("--code S3Bucket=", "--s3-bucket ").replace(",S3Key=", " --s3-key ")
    lines += [
        "# A new function:",
        " \\\n  ".join(["aws lambda create-function", *given, code]),
        "# The same function again:",
        f"aws lambda update-function-code --function-name {name} {update}",
    ]
    return "\n".join(lines)
