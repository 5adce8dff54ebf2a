"""Straggler rules by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncexec.errors import OptionError
from asyncexec.straggler.cubed import Cubed
from asyncexec.straggler.late import Late
from asyncexec.straggler.off import Off
from asyncexec.straggler.rule import Rule
from asyncexec.straggler.spark import Spark
from asyncexec.straggler.two_phase import TwoPhase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_RULES: Mapping[str, Callable[[], Rule]] = {
    "off": Off,
    "cubed": Cubed,
    "spark": Spark,
    "late": Late,
    "two_phase": TwoPhase,
}

RULE_NAMES = tuple(_RULES)


def as_rule(value: Rule | str | bool | None) -> Rule:  # noqa: FBT001 - True and False are what users write
    """Return the rule for ``value``: a name, a rule itself, False for ``"off"``, None or True for the default.

    >>> from asyncexec.straggler import as_rule
    >>> as_rule("spark"), as_rule(False)
    (Spark(quantile=0.9, multiplier=3.0, efficiency=False, duration_factor=2.0), Off(rests_workers=False))
    >>> as_rule("fast")
    Traceback (most recent call last):
        ...
    OptionError: straggler must be one of 'cubed', 'late', 'off', 'spark', 'two_phase', ...

    Raises
    ------
    OptionError
        If there is none; the message lists the names.
    """
    if value is None or value is True:
        return TwoPhase()
    if value is False:
        return Off()
    if isinstance(value, str):
        if (make := _RULES.get(value)) is not None:
            return make()
    elif not isinstance(value, type) and isinstance(value, Rule):
        return value
    known = ", ".join(repr(name) for name in sorted(_RULES))
    raise OptionError(
        f"straggler must be one of {known}, True, False, None, or a rule of your own, not {value!r}"
    )
