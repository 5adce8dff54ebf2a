"""Whether and when a failed task is tried again."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from asyncexec.errors import OptionError
from asyncexec.events.outcome import Status
from asyncexec.policies.classification import Kind, classify

if TYPE_CHECKING:
    import random

    from asyncexec.events.outcome import Outcome

# The budget is for plans that fail in bulk; below this many retries the limit per task is the one that tells.
_LEAST_BUDGET = 100

# 2**k overflows a float beyond; any cap is reached long before.
_GREATEST_EXPONENT = 64


class Verdict(NamedTuple):
    """A task is tried again.

    Attributes
    ----------
    delay_seconds : float
        How long to wait before.
    alone : bool
        Whether nothing else may run on its worker (or in its memory budget) meanwhile.
    """

    delay_seconds: float
    alone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """When a failed task is tried again.

    The wait before retry k (from 0) is drawn from ``U(0, min(cap_seconds, base_seconds * 2**k))``: "full jitter", by
    M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015. A task out of memory is tried once more,
    alone. A permanent failure is not repeated, and a loss before the attempt started counts against nobody.

    Attributes
    ----------
    attempts : int
        How many attempts a task may fail in all; 1 means no retries.
    base_seconds, cap_seconds : float
        Scale and upper bound of the waits.
    budget : float or None
        How many retries the whole plan may have, as a multiple of its tasks (never fewer than 100); more than that, and
        the plan fails. None means no limit but that of each task.
    permanent, transient : tuple of exception classes or of their qualified names
        Never, or always, worth another attempt, whatever asyncexec thinks of them; subclasses included, the most
        specific class deciding.

    Raises
    ------
    OptionError
        If a value is out of range.
    """

    attempts: int = 4
    base_seconds: float = 0.5
    cap_seconds: float = 30.0
    budget: float | None = 0.5
    permanent: tuple[type[BaseException] | str, ...] = ()
    transient: tuple[type[BaseException] | str, ...] = ()
    _overrides: dict[str, Kind] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_attempts(self.attempts)
        for name in ("base_seconds", "cap_seconds"):
            _check_number(name, getattr(self, name))
        if self.budget is not None:
            _check_number("budget", self.budget)
        overrides = _names("transient", self.transient, Kind.TRANSIENT)
        permanent = _names("permanent", self.permanent, Kind.PERMANENT)
        if both := sorted(overrides.keys() & permanent.keys()):
            raise OptionError(f"retry: {', '.join(both)} cannot be both permanent and transient")
        object.__setattr__(self, "_overrides", overrides | permanent)

    @classmethod
    def off(cls) -> Retry:
        """No retries."""
        return cls(attempts=1)

    def kind(self, outcome: Outcome) -> Kind:
        """Return what kind of failure ``outcome`` (of an attempt that did not succeed) is."""
        return classify(outcome, self._overrides)

    def charged(self, outcome: Outcome) -> bool:
        """Whether the failure counts against its task: losses before anything started do not."""
        return outcome.started or outcome.status is Status.FAILED

    def retries_allowed(self, tasks: int) -> float:
        """Return how many retries a plan of so many tasks may have; infinity without a budget."""
        return (
            math.inf if self.budget is None else max(_LEAST_BUDGET, math.floor(self.budget * tasks))
        )

    def verdict(
        self, kind: Kind, failures: int, rng: random.Random, *, alone: bool = False
    ) -> Verdict | None:
        """Decide about a task that has just failed.

        Parameters
        ----------
        kind : Kind
            Of the latest failure.
        failures : int
            How many failures have been charged to the task, the latest included.
        rng : random.Random
            Where the jitter comes from.
        alone : bool
            Whether the attempt that failed ran alone.

        Returns
        -------
        Verdict or None
            None: give up. What has once run alone goes on alone.
        """
        if kind is Kind.PERMANENT or failures >= self.attempts:
            return None
        if kind is Kind.OUT_OF_MEMORY:
            # No waiting: the memory is there as soon as nothing else runs, which admission sees to.
            return None if alone else Verdict(0.0, alone=True)
        exponent = min(max(failures - 1, 0), _GREATEST_EXPONENT)
        return Verdict(
            rng.uniform(0.0, min(self.cap_seconds, self.base_seconds * 2.0**exponent)), alone
        )


def as_retry(value: Retry | int | bool | None) -> Retry:  # noqa: FBT001 - True and False are what users write
    """Return the policy that ``value`` stands for: None or True the default, False no retries, an int so many attempts.

    Raises
    ------
    OptionError
        If it stands for none.
    """
    if isinstance(value, Retry):
        return value
    if value is None or value is True:
        return Retry()
    if value is False:
        return Retry.off()
    if isinstance(value, int):
        return Retry(attempts=value)
    raise OptionError(
        f"retry must be a Retry, a number of attempts, True, False or None, not {value!r}"
    )


def _check_attempts(value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise OptionError(
            f"retry: attempts must be an integer of at least 1 (1: no retries), not {value!r}"
        )


def _check_number(name: str, value: object) -> None:
    if (
        not isinstance(value, bool)
        and isinstance(value, int | float)
        and math.isfinite(value)
        and value >= 0
    ):
        return
    raise OptionError(f"retry: {name} must be a finite number of at least 0, not {value!r}")


def _names(
    option: str, classes: tuple[type[BaseException] | str, ...], kind: Kind
) -> dict[str, Kind]:
    if not isinstance(classes, tuple | list):
        raise OptionError(
            f"retry: {option} must be a tuple of exception classes or names, not {classes!r}"
        )
    return {_name(option, each): kind for each in classes}


def _name(option: str, each: type[BaseException] | str) -> str:
    if isinstance(each, str) and each:
        return each if "." in each else f"builtins.{each}"
    if isinstance(each, type) and issubclass(each, BaseException):
        return f"{each.__module__}.{each.__qualname__}"
    raise OptionError(
        f"retry: {option} holds exception classes or their qualified names, not {each!r}"
    )
