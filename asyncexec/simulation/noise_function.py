"""Noise as a function: how long an attempt takes, from its time, worker, host, task and number."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from asyncexec.errors import OptionError
from asyncexec.plan.given_numbers import as_real_number


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
    """Return ``value`` if it can be called.

    Raises
    ------
    OptionError
        If it cannot.
    """
    if not isinstance(value, NoiseFunction):
        raise OptionError(
            f"{where} must be a function of a SimulatedAttempt that returns seconds, not {value!r}"
        )
    return value


def seconds_of(function: NoiseFunction, attempt: SimulatedAttempt) -> float:
    """Return what ``function`` says of ``attempt``.

    Raises
    ------
    OptionError
        If it fails, or does not return seconds.
    """
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
