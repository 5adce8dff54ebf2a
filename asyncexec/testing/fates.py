"""Fates of attempts on a model backend, and seeded ways to decide them."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from asyncexec.errors import OptionError
from asyncexec.events.outcome import Status


class Visit(NamedTuple):
    """An attempt that starts on a model worker.

    Attributes
    ----------
    stage : str
    task : int
        Flat index.
    number : int
        How often the task has started on this backend by now, this start included.
    attempt : int
    worker : str
    at : float
        When, by the loop's clock, in seconds.
    """

    stage: str
    task: int
    number: int
    attempt: int
    worker: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """Duration and end of an attempt.

    >>> from asyncexec.events.outcome import Status
    >>> from asyncexec.testing.fates import Fate
    >>> from asyncexec.testing.model_backend import ModelBackend
    >>> from asyncexec.testing.virtual_time import run
    >>> def fate(visit):
    ...     return Fate(seconds=5.0, status=Status.LOST) if visit.number == 1 else 60.0
    >>> async def main():
    ...     async with ax.Engine(ModelBackend(fate, slots=4)) as engine:
    ...         return (await engine.execute(ax.Plan.map(abs, range(4)))).retries
    >>> run(main())
    4

    Attributes
    ----------
    seconds : float
        How long it runs; infinity is a hang.
    status : Status
        ``SUCCEEDED``, ``FAILED`` or ``LOST`` (its worker dies after ``seconds``).
    error : BaseException or None
        What it fails with, or is lost for.
    peak_bytes : int
        What its worker measures.
    announced : bool
        Whether its start is reported (where it runs long enough to need it).
    """

    seconds: float = 0.0
    status: Status = Status.SUCCEEDED
    error: BaseException | None = None
    peak_bytes: int = 0
    announced: bool = True

    def __post_init__(self) -> None:
        if math.isnan(self.seconds) or self.seconds < 0:
            raise OptionError(f"an attempt cannot run for {self.seconds!r} seconds: give 0 or more")
        if self.status not in (Status.SUCCEEDED, Status.FAILED, Status.LOST):
            raise OptionError(
                f"an attempt cannot be {self.status.value!r} of itself: that is the scheduler's doing; "
                f"give SUCCEEDED, FAILED or LOST"
            )


class Decide(Protocol):
    """Decides what happens to an attempt as it starts; a number is a success after so many seconds."""

    def __call__(self, visit: Visit, /) -> Fate | float:
        """Return the attempt's fate."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomFates:
    """Lognormal durations, some attempts slow, some failing, some losing their worker.

    What happens depends on seed, stage, task and attempt alone, so it is the same whatever the order.

    >>> from asyncexec.testing.fates import RandomFates, Visit
    >>> fates = RandomFates(seconds=10.0, failing=0.5, seed=1)
    >>> visits = [Visit("s", task, number=1, attempt=task, worker="w", at=0.0) for task in range(6)]
    >>> [str(fates(visit).status) for visit in visits]
    ['failed', 'succeeded', 'failed', 'succeeded', 'failed', 'succeeded']

    Attributes
    ----------
    seconds : float
        Median duration.
    sigma : float
        Spread: the standard deviation of the logarithm (0 for none).
    slow : float
        Share of attempts that take ``slow_factor`` (drawn uniformly from these bounds) times as long.
    failing, lost, hanging : float
        Shares of attempts; all others succeed.
    error : BaseException, optional
        What the failing ones raise; by default a ``ConnectionError``, which is worth a retry.
    spared_after : int
        From this start of a task on, nothing fails, is lost or hangs, so that every task succeeds in the end.
    seed : int
    """

    seconds: float = 1.0
    sigma: float = 0.0
    slow: float = 0.0
    slow_factor: tuple[float, float] = (2.0, 10.0)
    failing: float = 0.0
    lost: float = 0.0
    hanging: float = 0.0
    error: BaseException | None = None
    spared_after: int = 3
    seed: int = 0

    def __call__(self, visit: Visit, /) -> Fate:
        source = random.Random(f"{self.seed}/{visit.stage}/{visit.task}/{visit.number}")
        seconds = self.seconds * math.exp(source.gauss(0.0, self.sigma))
        if source.random() < self.slow:
            seconds *= source.uniform(*self.slow_factor)
        if visit.number >= self.spared_after:
            return Fate(seconds=seconds)
        draw = source.random()
        if draw < self.failing:
            error = self.error or ConnectionError("injected")
            return Fate(seconds=seconds, status=Status.FAILED, error=error)
        if draw < self.failing + self.lost:
            return Fate(seconds=seconds, status=Status.LOST)
        if draw < self.failing + self.lost + self.hanging:
            return Fate(seconds=math.inf)
        return Fate(seconds=seconds)
