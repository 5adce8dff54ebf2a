"""Settings of one call of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer


@dataclass(slots=True)
class Invocation:
    """Settings that a command hands to the place that catches its errors.

    Attributes
    ----------
    traceback : bool
        Whether errors are shown with Python's traceback.
    as_json : bool
        Whether standard output is one JSON document, also where the command fails.
    terminated : bool
        Whether SIGTERM ended the command, rather than Ctrl-C.
    """

    traceback: bool = False
    as_json: bool = False
    terminated: bool = False


def note_json(context: typer.Context, as_json: bool) -> bool:
    """Take down the option ``--json`` of a command, before the command runs."""
    if isinstance(context.obj, Invocation):
        context.obj.as_json = as_json
    return as_json


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead.", callback=note_json)]
