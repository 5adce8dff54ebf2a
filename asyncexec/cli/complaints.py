"""Errors as the command line prints them: one sentence on stderr, and an exit code."""

from __future__ import annotations

import sys
import traceback as tracebacks

from asyncexec.cli.exit_codes import EXIT_FAILURE, EXIT_USAGE
from asyncexec.errors import (
    AsyncexecError,
    ConfigurationError,
    OutOfSpaceError,
    PlanError,
    StorageError,
)


def complain(message: str, *, code: int) -> int:
    """Print one line on stderr, and return ``code``."""
    print(f"asyncexec: {message}", file=sys.stderr)
    return code


def complain_of(error: Exception, *, traceback: bool) -> int:
    """Print what ``error`` says on stderr, after its traceback if asked for, and return the exit code for it."""
    if traceback:
        tracebacks.print_exception(error)
    return complain(sentence(error), code=exit_code(error))


def sentence(error: Exception) -> str:
    """Return what ``error`` says; where it is not one of ours, also what it is and how to see more."""
    if isinstance(error, AsyncexecError):
        return str(error)
    return f"{type(error).__name__}: {error} (--traceback shows where it comes from)"


def exit_code(error: Exception) -> int:
    """Return 2 where what was asked for cannot be, 1 where it was tried and failed."""
    asked = isinstance(error, ConfigurationError | PlanError | StorageError)
    return EXIT_USAGE if asked and not isinstance(error, OutOfSpaceError) else EXIT_FAILURE
