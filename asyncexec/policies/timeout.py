"""Time limits of tasks, stages and plans."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asyncexec.errors import OptionError
from asyncexec.plan.given_numbers import as_real_number
from asyncexec.policies.from_fields import from_fields

HANG_FLOOR_SECONDS = 60.0
HANG_FACTOR = 10.0
UNPAID_HANG_FACTOR = 30.0
"""Where attempts cannot be stopped, and the work of a stage does not pay for one more."""
MOST_HANG_FACTOR = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeout:
    """Time limits in seconds; None means no limit.

    >>> limits = ax.Timeout(task=60.0, plan=3600.0)
    >>> ax.sync.execute(ax.Plan.map(abs, [-1]), timeout=limits).value
    [1]
    >>> ax.Timeout(task=-1)
    Traceback (most recent call last):
        ...
    OptionError: timeout: task must be a number of seconds above 0, or None, not -1

    Attributes
    ----------
    task : float or None
        For one attempt of a task, from its start on a worker; the attempt is then stopped, and the task tried again as
        the retry policy says.
    stage : float or None
        For a stage, from the start of its first task to the end of its last; the plan fails then.
    plan : float or None
        For the whole plan, which fails then.
    hangs : bool
        Whether, where ``task`` is None, an attempt that has run for a minute and for ten times as long as 99% of its
        stage is treated as hung: it is stopped, and the task tried again with twice the time. Where durations have a
        heavy tail, it is up to a hundred times as long. Stages that are not idempotent are exempt.

    Raises
    ------
    OptionError
        If a limit is not a number above 0.
    """

    task: float | None = None
    stage: float | None = None
    plan: float | None = None
    hangs: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.hangs, bool):
            raise OptionError(f"timeout: hangs must be True or False, not {self.hangs!r}")
        for name in ("task", "stage", "plan"):
            value = getattr(self, name)
            if value is None:
                continue
            if (seconds := _duration(value)) is None:
                raise OptionError(
                    f"timeout: {name} must be a number of seconds above 0, or None, not {value!r}"
                )
            object.__setattr__(self, name, seconds)


def hang_seconds(
    quantile_99_seconds: float,
    stopped: int = 0,
    *,
    tail_ratio: float = 1.0,
    least_factor: float = HANG_FACTOR,
) -> float:
    """Return the age at which an attempt is treated as hung.

    >>> from asyncexec.policies.timeout import hang_seconds
    >>> hang_seconds(100.0), hang_seconds(100.0, tail_ratio=3.0)
    (1000.0, 2700.0)

    Parameters
    ----------
    quantile_99_seconds : float
        The 99th percentile of the durations of tasks like it.
    stopped : int
        How often an attempt of its task was treated as hung before.
    tail_ratio : float
        The 99th percentile divided by the 90th. If durations are distributed like Pareto's beyond them, the longest of
        100,000 is the third power of it times the 99th percentile.
    least_factor : float
        The multiple of the 99th percentile where there is no such tail.
    """
    factor = min(max(tail_ratio**3, least_factor), MOST_HANG_FACTOR)
    # Doubled with each: a task that is slow and not hung must get through in the end.
    return max(HANG_FLOOR_SECONDS, factor * quantile_99_seconds) * 2.0**stopped


def as_timeout(value: Timeout | Mapping[str, Any] | float | None) -> Timeout:
    """Return the policy that ``value`` stands for: None no limits, a number the seconds each task may take.

    A mapping has fields of :class:`Timeout`.

    >>> from asyncexec.policies import as_timeout
    >>> as_timeout(30)
    Timeout(task=30.0, stage=None, plan=None, hangs=True)
    >>> as_timeout(None).task is None
    True

    Raises
    ------
    OptionError
        If it stands for none.
    """
    if isinstance(value, Timeout):
        return value
    if value is None:
        return Timeout()
    if isinstance(value, Mapping):
        return from_fields(Timeout, value)
    seconds = _duration(value)
    if seconds is None:
        raise OptionError(
            f"timeout must be a Timeout, a number of seconds above 0, or None, not {value!r}"
        )
    return Timeout(task=float(seconds))


def _duration(value: object) -> float | None:
    seconds = as_real_number(value)
    return seconds if seconds is not None and math.isfinite(seconds) and seconds > 0 else None
