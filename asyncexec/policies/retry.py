"""The retry policy: the number of attempts of a task, and the waits between them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from asyncexec.errors import OptionError
from asyncexec.events.outcome import Status
from asyncexec.plan.given_numbers import as_real_number, as_whole_number
from asyncexec.policies.classification import FailureKind, classify
from asyncexec.policies.exception_names import ExceptionClasses, ExceptionNames
from asyncexec.policies.from_fields import from_fields
from asyncexec.policies.group_members import is_exception_group, members_of

if TYPE_CHECKING:
    import random

    from asyncexec.events.outcome import Outcome

_LISTED = "tried again"
"""The value of the classes in ``on``."""

# The budget is for plans that fail in bulk; below this many retries the limit of each task decides.
_LEAST_BUDGET = 100

# 2**k overflows a float beyond; any cap is reached long before.
_GREATEST_EXPONENT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Policy for tasks that fail.

    The wait before retry k (from 0) is drawn from ``U(0, min(cap_seconds, base_seconds * 2**k))``: "full jitter", by
    M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015. A task out of memory is tried once more,
    while nothing else runs. A permanent failure is not repeated, and a loss before the attempt started is not counted.

    >>> retry = ax.Retry(attempts=6, transient=(TimeoutError, "aiohttp.ClientError"))
    >>> retry.retries_allowed(tasks=1_000)
    500
    >>> only = ax.Retry(on=(ConnectionError, "mylab.errors.BusyError"))
    >>> ax.Retry(attempts=0)
    Traceback (most recent call last):
        ...
    OptionError: retry: attempts must be an integer of at least 1 (1: no retries), not 0

    Attributes
    ----------
    attempts : int
        How many attempts of a task may fail, the first included: ``attempts=3`` is one attempt and two retries, 1 means
        no retries. Wherever a number of attempts or retries is given to asyncexec, it counts attempts in all.
    base_seconds, cap_seconds : float
        Scale and upper bound of the waits.
    budget : float or None
        How many retries the whole plan may have, as a multiple of its tasks (never fewer than 100); more than that, and
        the plan fails. None means no limit but that of each task.
    permanent, transient : tuple of exception classes or of their qualified names
        Failures that are never retried, or always, whatever asyncexec's own tables say; subclasses included, the most
        specific class deciding.
    on : exception classes or their qualified names, or None
        The only exceptions that are tried again; subclasses included. Any other that a task raises is permanent, also
        while its chunks are read and written, unless ``transient`` has it; of classes that several of the three name
        the most specific decides, so that ``on=(OSError,), permanent=(FileNotFoundError,)`` leaves one out. What is no
        exception of a task is tried again as ever: a lost worker, a timeout, memory that does not suffice
        (``MemoryError`` too). None means that the tables decide; ``()`` that no exception is tried again.

        A group of exceptions (of ``asyncio.TaskGroup``, say) whose own class none of the three names is decided by its
        members, those of groups in it too: it is tried again if each of them would be.

        Where one class is meant, it need not be in a tuple. A dotted name may be that under which a package offers the
        class (``"aiohttp.ClientError"``). The class need not be importable on the driver.

    Raises
    ------
    OptionError
        If a value is out of range.
    """

    attempts: int = 4
    base_seconds: float = 0.5
    cap_seconds: float = 30.0
    budget: float | None = 0.5
    permanent: ExceptionClasses = ()
    transient: ExceptionClasses = ()
    on: ExceptionClasses | None = None
    _names: ExceptionNames = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # The class is frozen; numbers of NumPy become Python's.
        object.__setattr__(self, "attempts", _attempts(self.attempts))
        for name in ("base_seconds", "cap_seconds", "budget"):
            if (value := getattr(self, name)) is not None or name != "budget":
                object.__setattr__(self, name, _number(name, value))
        names = ExceptionNames()
        names.add("transient", self.transient, FailureKind.TRANSIENT)
        names.add("permanent", self.permanent, FailureKind.PERMANENT)
        names.add("on", () if self.on is None else self.on, _LISTED)
        # The table is built once, as it is read for every failure.
        object.__setattr__(self, "_names", names)

    @classmethod
    def off(cls) -> Retry:
        """Return the policy without retries."""
        return cls(attempts=1)

    def kind(self, outcome: Outcome) -> FailureKind:
        """Return the kind of failure that ``outcome``, of an attempt that did not succeed, is."""
        kind = classify(outcome)
        if outcome.status is not Status.FAILED or outcome.error is None:
            return kind
        named = self._names.find(outcome.error)
        if isinstance(named, FailureKind):
            return named
        if named is _LISTED:
            return FailureKind.UNKNOWN if kind is FailureKind.PERMANENT else kind
        if is_exception_group(outcome.error) and (members := members_of(outcome.error)):
            return _of_all({self.kind(outcome._replace(error=member)) for member in members})
        if self.on is not None and kind is not FailureKind.OUT_OF_MEMORY:
            return FailureKind.PERMANENT
        return kind

    @staticmethod
    def counts_as_failure(outcome: Outcome) -> bool:
        """Return whether an outcome counts against its task: losses before the attempt started do not."""
        return outcome.started or outcome.status is Status.FAILED

    def retries_allowed(self, tasks: int) -> float:
        """Return how many retries a plan of so many tasks may have; infinity without a budget."""
        return (
            math.inf if self.budget is None else max(_LEAST_BUDGET, math.floor(self.budget * tasks))
        )

    def delay_seconds(
        self, kind: FailureKind, failures: int, rng: random.Random, *, exclusive: bool = False
    ) -> float | None:
        """Return the wait before a task that has just failed is tried again; None if it is not.

        Parameters
        ----------
        kind : FailureKind
            The kind of the latest failure.
        failures : int
            The failures that count against the task, the latest included.
        rng : random.Random
            Source of the jitter.
        exclusive : bool
            Whether the attempt that failed ran while nothing else did.
        """
        if kind is FailureKind.PERMANENT or failures >= self.attempts:
            return None
        if kind is FailureKind.OUT_OF_MEMORY:
            # No wait: the memory is free as soon as nothing else runs, which admission ensures.
            return None if exclusive else 0.0
        exponent = min(max(failures - 1, 0), _GREATEST_EXPONENT)
        return rng.uniform(0.0, min(self.cap_seconds, self.base_seconds * 2.0**exponent))


def as_retry(value: Retry | Mapping[str, Any] | int | bool | None) -> Retry:  # noqa: FBT001 - True and False are what users write
    """Return the policy that ``value`` stands for: None or True the default, False no retries, an int attempts in all.

    A mapping has fields of :class:`Retry`.

    >>> from asyncexec.policies import as_retry
    >>> as_retry(3).attempts, as_retry(False).attempts, as_retry(None) == ax.Retry()
    (3, 1, True)

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
    attempts = as_whole_number(value)
    if attempts is not None:
        return Retry(attempts=attempts)
    if isinstance(value, Mapping):
        return from_fields(Retry, value)
    raise OptionError(
        f"retry must be a Retry, a number of attempts, True, False or None, not {value!r}"
    )


def _of_all(kinds: set[FailureKind]) -> FailureKind:
    """Return the kind of a failure of which each part is of one of ``kinds``: a retry must make sense for all."""
    for kind in (FailureKind.PERMANENT, FailureKind.OUT_OF_MEMORY):
        if kind in kinds:
            return kind
    return FailureKind.TRANSIENT if kinds == {FailureKind.TRANSIENT} else FailureKind.UNKNOWN


def _attempts(value: object) -> int:
    attempts = as_whole_number(value)
    if attempts is None or attempts < 1:
        raise OptionError(
            f"retry: attempts must be an integer of at least 1 (1: no retries), not {value!r}"
        )
    return attempts


def _number(name: str, value: object) -> float:
    number = as_real_number(value)
    if number is not None and math.isfinite(number) and number >= 0:
        return number
    raise OptionError(f"retry: {name} must be a finite number of at least 0, not {value!r}")
