"""A circuit breaker: it stops sending work to a backend that fails everything, and probes it from time to time.

=========  ===============================================  =========
state      what happens                                     next
=========  ===============================================  =========
closed     a success                                        closed
closed     so many failures in a row, of so many tasks      open
open       a failure (of an attempt sent before)            open
open       a success (the same)                             closed
open       the pause is over, something is sent             half-open
half-open  a success                                        closed
half-open  a failure                                        open, for twice as long
half-open  nothing for as long as the pause, next is sent   half-open
=========  ===============================================  =========

Source of the pattern: M. Nygard, "Release It!", 2007.

The breaker counts different tasks as well as failures, so that one bad task never trips it, and a plan of few tasks
never does: there the limit of each task is reached first, with an error that says more. While the circuit is not
closed, failures that look like the backend's do not count against their tasks (:meth:`CircuitBreaker.is_outage`):
otherwise attempts that were in flight, and probes, would end the plan before the backend is back. A failure that looks
like the code's own is neither counted here nor taken for an outage, so a bug ends as its task's error.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from asyncexec.errors import CircuitOpenError, OptionError
from asyncexec.plan.given_numbers import as_whole_number
from asyncexec.policies.classification import FailureKind

if TYPE_CHECKING:
    from collections.abc import Hashable

COUNTED = frozenset({FailureKind.TRANSIENT, FailureKind.WORKER_LOST, FailureKind.TIMED_OUT})
"""The kinds of failure that may be the backend's fault; others say nothing about it."""

# A timeout is counted, as storage may hang, but also counts against its task: it may as well be too short, and the
# task's own error says so.
_OUTAGES = COUNTED - {FailureKind.TIMED_OUT}


class State(StrEnum):
    """The state of the circuit: work is sent, is held back, or one attempt is sent as a probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitOptions:
    """Limits of the breaker: when it opens, how long it pauses, when it gives up.

    >>> from asyncexec.policies import CircuitOptions
    >>> CircuitOptions(failures=10, tasks=5).pause_seconds
    1.0

    Attributes
    ----------
    failures, tasks : int
        It opens after so many failures in a row, of so many different tasks.
    pause_seconds, cap_seconds : float
        The first pause; it doubles with each opening that no success came before, up to the cap.
    openings : int
        After so many openings without a success, the next failure gives up. With the defaults that takes a minute.
    """

    failures: int = 50
    tasks: int = 20
    pause_seconds: float = 1.0
    cap_seconds: float = 30.0
    openings: int = 6

    def __post_init__(self) -> None:
        for name in ("failures", "tasks", "openings"):
            count = as_whole_number(getattr(self, name))
            if count is None or count < 1:
                raise OptionError(
                    "circuit breaker: failures, tasks and openings must be whole numbers of at least 1"
                )
            object.__setattr__(self, name, count)
        if not 0 < self.pause_seconds <= self.cap_seconds:
            raise OptionError(
                "circuit breaker: pauses must be above 0, and the first not above the cap"
            )


_USUAL = CircuitOptions()


class CircuitBreaker:
    """The decision whether anything may be sent; the time, in seconds, is an argument.

    >>> from asyncexec.policies import CircuitBreaker, CircuitOptions
    >>> breaker = CircuitBreaker(CircuitOptions(failures=2, tasks=2, pause_seconds=5.0))
    >>> breaker.record(False, "task 0", now=10.0), str(breaker.record(False, "task 1", now=11.0))
    (None, 'open')
    >>> breaker.allows(now=12.0), breaker.allows(now=16.0), breaker.allows(now=16.0)
    (False, True, False)

    Attributes
    ----------
    state : State
    failures : int
        Counted failures since the last success.
    resumes_at : float
        The time from which a probe may be sent, while not closed.
    gave_up : bool
        True once the allowed openings are used up: the run is to end with :meth:`error`.
    """

    __slots__ = ("_openings", "_options", "_tasks", "failures", "gave_up", "resumes_at", "state")

    def __init__(self, options: CircuitOptions | None = None) -> None:
        self._options = options or _USUAL
        self.state = State.CLOSED
        self.failures = 0
        self.resumes_at = 0.0
        self.gave_up = False
        self._openings = 0
        self._tasks: dict[Hashable, None] = {}

    @property
    def pause_seconds(self) -> float:
        """The length of the present (or, when closed, the next) opening."""
        doublings = max(self._openings - 1, 0)
        return min(
            self._options.cap_seconds, self._options.pause_seconds * 2.0 ** min(doublings, 64)
        )

    def record(self, success: bool, task: Hashable, now: float) -> State | None:  # noqa: FBT001 - the verb reads so
        """Record how an attempt of ``task`` ended; return the new state if this changed it.

        Failures of kinds that are not in :data:`COUNTED` are not to be recorded.
        """
        if success:
            return self._succeed()
        self.failures += 1
        if self.state is State.CLOSED:
            # No more tasks are kept than the limit needs, so that a long run does not grow the set.
            if len(self._tasks) < self._options.tasks:
                self._tasks[task] = None
            enough = (
                self.failures >= self._options.failures and len(self._tasks) >= self._options.tasks
            )
            return self._open(now) if enough else None
        # Attempts sent before the circuit opened say nothing new about the backend.
        return self._open(now) if self.state is State.HALF_OPEN else None

    def allows(self, now: float) -> bool:
        """Return whether one more attempt may be sent now; while not closed, True admits that one as the only probe.

        A probe that is not sent, or never reports, costs one pause and blocks nothing for longer.
        """
        if self.state is State.CLOSED:
            return True
        if self.gave_up or now < self.resumes_at:
            return False
        self.state = State.HALF_OPEN
        self.resumes_at = now + self.pause_seconds
        return True

    def is_outage(self, kind: FailureKind) -> bool:
        """Return whether a failure of this kind is the backend's now: recorded, and not counted against its task."""
        return self.state is not State.CLOSED and kind in _OUTAGES

    def error(self, plan: str, *, last: str = "") -> CircuitOpenError:
        """Return the error that ends ``plan`` after giving up; ``last`` names the last failure and its reason."""
        why = f" (the last: {last})" if last else ""
        return CircuitOpenError(
            f"plan {plan!r}: the last {self.failures} attempts failed without a success between, of at least "
            f"{len(self._tasks)} different tasks, also after {self._openings} pauses of up to "
            f"{self.pause_seconds:g} s{why}. Check the backend and the storage that tasks use, then run again "
            f"with resume=True",
            plan=plan,
        )

    def _succeed(self) -> State | None:
        if not self.failures:
            return None
        self.failures = self._openings = 0
        self.gave_up = False
        self._tasks.clear()
        changed = self.state is not State.CLOSED
        self.state = State.CLOSED
        return State.CLOSED if changed else None

    def _open(self, now: float) -> State:
        # Openings, not time: a run that is idle meanwhile does not use up its chances.
        if self._openings >= self._options.openings:
            self.gave_up = True
        else:
            self._openings += 1
        self.state = State.OPEN
        self.resumes_at = now + self.pause_seconds
        return State.OPEN
