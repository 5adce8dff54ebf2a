"""The command line, one command a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from asyncexec.cli.exit_codes import EXIT_INTERRUPTED, EXIT_USAGE
from asyncexec.errors import MissingExtraError

_OF_THE_EXTRA = ("dotenv", "pydantic", "pydantic_settings", "rich", "sqlalchemy", "typer", "yaml")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.
    """
    if sys.stdout is None:  # which Python makes of one that is closed
        print(
            "asyncexec: standard output is closed (>&-), and results are written to it: send them to a file, or to "
            "/dev/null",
            file=sys.stderr,
        )
        return EXIT_USAGE
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        print("asyncexec: interrupted; everything that was running has stopped", file=sys.stderr)
        return EXIT_INTERRUPTED


def _run(arguments: Sequence[str] | None) -> int:
    # By name and now, so that this package imports without its extra.
    try:
        application = import_module("asyncexec.cli.application")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in _OF_THE_EXTRA:
            raise
        missing = MissingExtraError.of("the command line", error.name, extra="cli")
        print(f"asyncexec: {missing}", file=sys.stderr)
        return EXIT_USAGE
    code: int = application.run_command(arguments)
    return code
