"""The choice of rules, by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from asyncexec.array.optimizer import (
    branches,
    elementwise,
    rechunks,
    reductions,
    results,
    subexpressions,
    views,
)
from asyncexec.errors import OptionError

SHARED_READS = "shared-reads"
EVERY_RULE = frozenset(
    {
        branches.NAME,
        elementwise.NAME,
        rechunks.NAME,
        reductions.NAME,
        results.NAME,
        subexpressions.NAME,
        views.NAME,
        SHARED_READS,
    }
)


def chosen_rules(optimize: Any) -> frozenset[str]:
    """Return the names of the rules that ``optimize`` asks for: all with True, none with False, or those it names.

    Raises
    ------
    OptionError
        If there is no rule of a name.
    """
    if isinstance(optimize, bool):
        return EVERY_RULE if optimize else frozenset()
    given = (
        [optimize] if isinstance(optimize, str) or not isinstance(optimize, Iterable) else optimize
    )
    named = frozenset(given)
    if named <= EVERY_RULE:
        return named
    unknown = ", ".join(sorted(map(repr, named - EVERY_RULE)))
    raise OptionError(
        f"optimize={unknown} is no rule: give True, False, or some of {', '.join(sorted(EVERY_RULE))}"
    )
