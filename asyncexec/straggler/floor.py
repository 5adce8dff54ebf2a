"""The age below which nothing is called slow."""

from __future__ import annotations

import math

from asyncexec.errors import OptionError


def check_floor(seconds: float) -> None:
    """Raise unless ``seconds`` can be a floor.

    Raises
    ------
    OptionError
        If it is not a finite number of at least 0.
    """
    if not math.isfinite(seconds) or seconds < 0:
        raise OptionError(
            f"straggler: floor_seconds must be finite and at least 0, not {seconds!r}"
        )
