"""The choice of rules, by name."""

from __future__ import annotations

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
    named = _named(optimize)
    if named <= EVERY_RULE:
        return named
    unknown = ", ".join(sorted(map(repr, named - EVERY_RULE)))
    raise OptionError(_no_rule(unknown))


def _named(optimize: Any) -> frozenset[Any]:
    try:
        return frozenset([optimize] if isinstance(optimize, str) else optimize)
    except TypeError:  # No collection, an array without axes, or names that have no hash.
        raise OptionError(_no_rule(repr(optimize))) from None


def _no_rule(given: str) -> str:
    rules = ", ".join(sorted(EVERY_RULE))
    return f"optimize={given} is no rule: give True, False, or some of {rules}"
