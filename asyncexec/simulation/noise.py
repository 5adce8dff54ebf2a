"""Noise: slow attempts, hangs, failures and waits for storage, by their shares or by a function of the attempt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol, runtime_checkable

import numpy as np

from asyncexec.config.checks import Amount, Share
from asyncexec.config.fields import check_fields
from asyncexec.errors import OptionError
from asyncexec.histories.recorded import Seconds
from asyncexec.plan.given_numbers import as_real_number
from asyncexec.simulation.durations import Durations, as_distribution


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class SimulatedAttempt:
    """An attempt that starts in a simulation.

    >>> from asyncexec.simulation import Cluster, SimulatedAttempt, simulate
    >>> def grows(attempt: SimulatedAttempt) -> float:
    ...     return attempt.seconds + attempt.task
    >>> simulate(ax.Plan.map(abs, range(3)), Cluster(workers=1), noise=grows).makespan_seconds
    6.0

    Attributes
    ----------
    stage : str
    task : int
        Flat index of the task.
    number : int
        1 for the first start of the task.
    worker, host : int
        Numbers from 0; as many workers as :attr:`Cluster.workers_per_host` share a host.
    at : float
        The time of the start, in seconds since the run started.
    seconds : float
        How long it takes without the function: the task's duration, with all other noise and the worker's speed
        (infinity for a hang).
    seed : int
        Of the simulation.
    place : int
        The number of the stage in the plan.
    """

    stage: str
    task: int
    number: int
    worker: int
    host: int
    at: float
    seconds: float
    seed: int
    place: int
    _random: np.random.Generator | None = field(default=None, init=False)

    @property
    def random(self) -> np.random.Generator:
        """A generator of its own, which depends on the seed, the stage, the task and the number of the attempt alone.

        So the same attempts meet the same chances under every rule. For what is drawn for a worker or a host, make one:
        ``numpy.random.default_rng((attempt.seed, attempt.host))``.
        """
        if self._random is None:
            self._random = np.random.default_rng((self.seed, 4, self.place, self.task, self.number))
        return self._random

    def __repr__(self) -> str:
        return (
            f"attempt {self.number} of task {self.task} of stage {self.stage!r} on worker {self.worker} of host "
            f"{self.host} at {self.at:g} s"
        )


@runtime_checkable
class NoiseFunction(Protocol):
    """A function that says how long an attempt takes.

    It is called when the attempt starts; what happens to the attempt later (a pause of its host, say) is in the time
    that it returns.

    >>> from asyncexec.simulation import Cluster, SimulatedAttempt, simulate
    >>> def paused(attempt: SimulatedAttempt) -> float:
    ...     # Host 0 stops from the 15th to the 45th second, with all that runs on it.
    ...     runs_into_it = attempt.at < 45 and attempt.at + attempt.seconds > 15
    ...     left = 45 - max(attempt.at, 15) if attempt.host == 0 and runs_into_it else 0
    ...     return attempt.seconds + left
    >>> plan, cluster = ax.Plan.map(abs, range(16)), Cluster(workers=8, workers_per_host=4)
    >>> off, backed = (
    ...     simulate(plan, cluster, durations=10.0, noise=paused, straggler=rule)
    ...     for rule in ("off", "two_phase")
    ... )
    >>> off.makespan_seconds, backed.makespan_seconds < off.makespan_seconds
    (50.0, True)
    """

    def __call__(self, attempt: SimulatedAttempt, /) -> float:
        """Return the seconds that the attempt takes, at least 0; infinity for one that never ends by itself."""
        ...


def noise_function(value: object, where: str) -> NoiseFunction:
    """Return ``value`` if it can be called; raises OptionError if it cannot."""
    if not isinstance(value, NoiseFunction):
        raise OptionError(
            f"{where} must be a function of a SimulatedAttempt that returns seconds, not {value!r}"
        )
    return value


def seconds_of(function: NoiseFunction, attempt: SimulatedAttempt) -> float:
    """Return what ``function`` says of ``attempt``; raises OptionError if it fails, or does not return seconds."""
    called = f"simulation: the noise function {getattr(function, '__qualname__', function)!s}"
    try:
        found = function(attempt)
    except Exception as error:
        raise OptionError(
            f"{called} failed for {attempt}: {type(error).__name__}: {error}"
        ) from error
    seconds = as_real_number(found)
    if seconds is None or math.isnan(seconds) or seconds < 0:
        raise OptionError(
            f"{called} must return seconds, at least 0 (infinity for a hang), not {found!r}, for {attempt}"
        )
    return float(seconds)


def _range(value: Any, where: str) -> tuple[float, float]:
    given = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
    match [as_real_number(each) for each in given]:
        case [int() | float() as least, int() | float() as most] if 1 <= least <= most < math.inf:
            return float(least), float(most)
        case _:
            raise OptionError(
                f"{where} must be two numbers from 1 up, the smaller first, such as (2.0, 10.0), not {value!r}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Differences between the attempts of a task and its duration.

    >>> from asyncexec.simulation import Cluster, Noise, simulate
    >>> plan, noise = ax.Plan.map(abs, range(1_000)), Noise(failure_share=0.02)
    >>> simulate(plan, Cluster(workers=50), noise=noise, seed=1).retries
    24

    Raises
    ------
    OptionError
        If a share is not from 0 to 1, a factor not from 1 up, or a time negative.
    """

    factor: Annotated[Durations, as_distribution] | None = None
    """Factor of an attempt's duration (``Lognormal(sigma=0.6)``, ``"pareto:1,1.5,100"``)."""

    slow_share: Share = 0.0
    """Share of attempts that are slow."""

    slow_factors: Annotated[tuple[float, float], _range] = (2.0, 10.0)
    """Factor of their durations: uniform between the two."""

    hang_share: Share = 0.0
    """Share of attempts that never end by themselves."""

    failure_share: Share = 0.0
    """Share that fails with a transient error, at the end of its time."""

    storage_share: Share = 0.0
    """Share that waits for storage."""

    storage_seconds: Amount = 1.0
    """Mean duration of such a wait (exponential)."""

    function: Annotated[NoiseFunction, noise_function] | None = None
    """Function that says how long an attempt takes, given all that is above, its time, worker, host and task."""

    def __post_init__(self) -> None:
        check_fields(self, "simulation: ")

    def sample(self, random: np.random.Generator, seconds: Seconds) -> tuple[Seconds, Seconds]:
        """Return the seconds of attempts (infinity for one that hangs), and draws from 0 to 1 that decide if they fail.

        Both, and the durations of their tasks, ``seconds``, have shape (n,). An attempt fails if its draw is below
        ``failure_share``.
        """
        count = len(seconds)
        # Everything is drawn whatever the shares are, so that cases that differ in one share agree otherwise.
        draws = random.random((4, count))
        low, high = self.slow_factors
        slow = low + (high - low) * random.random(count)
        waits = random.exponential(self.storage_seconds, count)
        run = seconds * (1.0 if self.factor is None else self.factor.sample(random, count))
        run = np.where(draws[0] < self.slow_share, run * slow, run)
        run = np.where(draws[1] < self.storage_share, run + waits, run)
        run = np.where(draws[2] < self.hang_share, math.inf, run)
        return run, draws[3]


QUIET = Noise()
"""No noise at all."""

type AnyNoise = Noise | NoiseFunction | Mapping[str, Noise | NoiseFunction]
"""Noise of all stages alike, or by the names of stages; a function is ``Noise(function=...)``."""


def noise_of(stage: str, given: AnyNoise) -> Noise:
    """Return the noise of a stage; none if ``given`` is a mapping that does not name it."""
    if isinstance(given, Mapping):
        return noise_of(stage, given.get(stage, QUIET))
    return given if isinstance(given, Noise) else Noise(function=given)
