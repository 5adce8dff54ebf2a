"""Settings of one call of the command line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Invocation:
    """Settings that a command hands to the place that catches its errors.

    Attributes
    ----------
    traceback : bool
        Whether errors are shown with Python's traceback.
    """

    traceback: bool = False
