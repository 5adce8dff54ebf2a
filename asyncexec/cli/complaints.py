"""Errors as the command line prints them: one sentence on stderr, and an exit code."""

from __future__ import annotations

import json
import sys
import traceback as tracebacks
from typing import Any

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


def complain_of(error: BaseException, *, traceback: bool, as_json: bool) -> int:
    """Print what ``error`` says on stderr, after its traceback if asked for, and return the exit code for it.

    With ``as_json`` standard output has it too, as a document with the key ``error``.
    """
    if traceback:
        tracebacks.print_exception(error)
    if as_json:
        print(json.dumps({"error": error_json(error)}, indent=2))
    return complain(sentence(error), code=exit_code(error))


def error_json(error: BaseException) -> dict[str, Any]:
    """Return an error in plain types: its class, what it says, and where it happened, as far as it knows."""
    places = {
        name: getattr(error, name, None) for name in ("plan", "stage", "index", "attempt", "worker")
    }
    said = {
        name: list(v) if isinstance(v, tuple) else v for name, v in places.items() if v is not None
    }
    return {"type": type(error).__name__, "message": str(error)} | said


def sentence(error: BaseException) -> str:
    """Return what ``error`` says; where it is not one of ours, also what it is and how to see more."""
    if isinstance(error, AsyncexecError):
        return str(error)
    return f"{type(error).__name__}: {error} (--traceback shows where it comes from)"


def exit_code(error: BaseException) -> int:
    """Return 2 where what was asked for cannot be, 1 where it was tried and failed."""
    asked = isinstance(error, ConfigurationError | PlanError | StorageError)
    return EXIT_USAGE if asked and not isinstance(error, OutOfSpaceError) else EXIT_FAILURE
