"""The limits of how many attempts run at once, and of how many start in a second."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asyncexec.errors import OptionError
from asyncexec.plan.given_numbers import as_real_number, as_whole_number


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The most attempts that run at once, and that start in a second; None for no limit.

    ``Engine(limits={"api": Limit(...)})`` limits all stages with the label ``"api"`` together, over all executions of
    the engine. Retries and backups count. Starts are evenly spaced, without bursts: in no span of time of any length
    do more than ``max_per_second * seconds + 1`` attempts start.

    >>> limits = {"api": ax.Limit(max_at_once=4, max_per_second=200)}
    >>> async with ax.Engine(executor="threads", limits=limits) as engine:
    ...     result = await engine.execute(ax.Plan.map(abs, [-1, -2, -3], labels=("api",)))
    >>> result.value
    [1, 2, 3]
    >>> ax.Limit(max_at_once=0)
    Traceback (most recent call last):
        ...
    OptionError: Limit: max_at_once must be a whole number of at least 1, not 0

    Attributes
    ----------
    max_at_once : int or None
    max_per_second : float or None

    Raises
    ------
    OptionError
        If one of them cannot be, or none is given.
    """

    max_at_once: int | None = None
    max_per_second: float | None = None

    def __post_init__(self) -> None:
        if self.max_at_once is None and self.max_per_second is None:
            raise OptionError("Limit: give max_at_once or max_per_second, or both")
        most = as_whole_number(self.max_at_once)
        rate = as_real_number(self.max_per_second)
        if self.max_at_once is not None and (most is None or most < 1):
            raise OptionError(
                f"Limit: max_at_once must be a whole number of at least 1, not {self.max_at_once!r}"
            )
        if self.max_per_second is not None and not (rate is not None and 0 < rate < math.inf):
            raise OptionError(
                f"Limit: max_per_second must be a number above 0, not {self.max_per_second!r}"
            )
        object.__setattr__(self, "max_at_once", most)
        object.__setattr__(self, "max_per_second", rate)


def limit_of(max_at_once: int | None, max_per_second: float | None) -> Limit | None:
    """Return the limit of a stage; None where neither is given."""
    if max_at_once is None and max_per_second is None:
        return None
    return Limit(max_at_once=max_at_once, max_per_second=max_per_second)


def checked_limits(limits: Mapping[Any, Any] | None) -> dict[str, Limit]:
    """Return limits by label.

    Raises
    ------
    OptionError
        If something else is given.
    """
    if limits is None:
        return {}
    if not isinstance(limits, Mapping):
        kind = type(limits).__name__
        raise OptionError(f"limits must map labels to Limit(...), not be a {kind}")
    for label, limit in limits.items():
        if not isinstance(label, str) or not label:
            raise OptionError(f"limits must map labels to Limit(...), and {label!r} is no label")
        if not isinstance(limit, Limit):
            raise OptionError(
                f"limits[{label!r}] must be a Limit, such as Limit(max_at_once=4), not {limit!r}"
            )
    return dict(limits)


def checked_labels(where: str, labels: object) -> tuple[str, ...]:
    """Return the labels of the stage ``where`` as a tuple.

    Raises
    ------
    OptionError
        If they are no list of texts.
    """
    if isinstance(labels, str) or not isinstance(labels, Sequence):
        raise OptionError(f"{where}labels must be a list of texts, not {labels!r}")
    if not all(isinstance(label, str) and label for label in labels):
        raise OptionError(f"{where}labels must be a list of texts, not {labels!r}")
    return tuple(dict.fromkeys(labels))
