"""Distributions of the durations of tasks, and their spelling as text: ``lognormal:10,0.6``.

A task has one duration without noise, the same for all of its attempts, on a worker of ordinary speed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Annotated, Protocol, runtime_checkable

import numpy as np

from asyncexec.config.checks import amount
from asyncexec.config.fields import check_fields
from asyncexec.errors import OptionError
from asyncexec.histories import read_run
from asyncexec.histories.recorded import Seconds
from asyncexec.plan.given_numbers import as_real_number
from asyncexec.simulation.plans import refuse_other_stages

SPELLINGS = (
    "constant:SECONDS, lognormal:MEAN,SIGMA, pareto:LEAST,EXPONENT,MOST, empirical:RUN, empirical:RUN#STAGE, "
    "or shares of them (0.95*constant:10+0.05*constant:30)"
)
# With a greater sigma, nearly all of the mean comes from tasks so rare that most runs have none.
_MOST_SIGMA = 5.0

_AboveZero = Annotated[float, partial(amount, above_zero=True)]

type AnyDurations = Durations | Mapping[str, Durations | float] | float
"""Durations of all stages alike, or by the names of stages; a number is seconds."""


@runtime_checkable
class Durations(Protocol):
    """A distribution of seconds."""

    def sample(self, random: np.random.Generator, count: int) -> Seconds:
        """Return ``count`` durations, shape (count,), float64, all above 0."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    """Every task takes ``seconds``.

    >>> from asyncexec.simulation import Constant
    >>> Constant(2.0).sample(np.random.default_rng(0), 3)
    array([2., 2., 2.])
    """

    seconds: _AboveZero = 1.0

    def __post_init__(self) -> None:
        check_fields(self, "simulation: ")

    def sample(self, random: np.random.Generator, count: int) -> Seconds:
        return np.full(count, self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lognormal:
    """Lognormal with ``mean_seconds``; ``sigma``, up to 5, is the standard deviation of the logarithm.

    >>> from asyncexec.simulation import Lognormal
    >>> seconds = Lognormal(mean_seconds=10.0, sigma=0.5).sample(np.random.default_rng(0), 100_000)
    >>> round(float(seconds.mean()), 1)
    10.0
    """

    mean_seconds: _AboveZero = 1.0
    sigma: Annotated[float, partial(amount, most=_MOST_SIGMA, above_zero=True)] = 0.15

    def __post_init__(self) -> None:
        check_fields(self, "simulation: ")

    def sample(self, random: np.random.Generator, count: int) -> Seconds:
        mu = math.log(self.mean_seconds) - self.sigma**2 / 2
        return random.lognormal(mu, self.sigma, count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pareto:
    """Pareto from ``least_seconds`` up, truncated at ``most`` times that.

    >>> from asyncexec.simulation import Pareto
    >>> seconds = Pareto(least_seconds=2.0, most=10.0).sample(np.random.default_rng(0), 1_000)
    >>> bool(seconds.min() >= 2.0), bool(seconds.max() <= 20.0)
    (True, True)
    """

    least_seconds: _AboveZero = 1.0
    exponent: _AboveZero = 1.5
    most: float = 100.0

    def __post_init__(self) -> None:
        check_fields(self, "simulation: ")
        if not self.most > 1:
            raise OptionError(f"simulation: most must be above 1, not {self.most!r}")

    def sample(self, random: np.random.Generator, count: int) -> Seconds:
        # By the inverse of the truncated distribution function, so that nothing piles up at the end.
        share = random.random(count) * (1.0 - self.most**-self.exponent)
        drawn: Seconds = self.least_seconds * (1.0 - share) ** (-1.0 / self.exponent)
        return drawn


@dataclass(frozen=True, slots=True)
class Mixture:
    """Shares of several distributions: ``Mixture(((0.95, Constant(1.0)), (0.05, Constant(3.0))))``.

    >>> from asyncexec.simulation import Constant, Mixture
    >>> mixture = Mixture(((0.75, Constant(1.0)), (0.25, Constant(3.0))))
    >>> round(float(mixture.sample(np.random.default_rng(0), 100_000).mean()), 1)
    1.5
    """

    parts: tuple[tuple[float, Durations], ...]

    def __post_init__(self) -> None:
        shares = [share for share, _ in self.parts]
        if not shares or min(shares) < 0 or not math.isclose(sum(shares), 1.0):
            raise OptionError(f"simulation: the shares of a mixture add up to 1, not {shares!r}")

    def sample(self, random: np.random.Generator, count: int) -> Seconds:
        shares = [share for share, _ in self.parts]
        kinds = random.choice(len(self.parts), size=count, p=np.array(shares) / sum(shares))
        # All parts are drawn for each task, so that the kind of one task does not shift the draws of the next.
        drawn = np.stack([part.sample(random, count) for _, part in self.parts])
        return drawn[kinds, np.arange(count)]


class Empirical:
    """Measured durations, such as those of a run's history, from which tasks draw theirs.

    >>> from asyncexec.simulation import Empirical
    >>> Empirical([1.0, 2.0, 9.0])
    Empirical(3 durations, median 2 s)

    Raises
    ------
    OptionError
        If there are none, or one is not above 0.
    """

    def __init__(self, seconds: Sequence[float] | Seconds) -> None:
        self._seconds = np.asarray(seconds, dtype=np.float64)
        if not self._seconds.size:
            raise OptionError("simulation: there are no measured durations to draw from")
        if not self._seconds.min() > 0 or not np.isfinite(self._seconds).all():
            raise OptionError("simulation: measured durations must be finite and above 0")

    def sample(self, random: np.random.Generator, count: int) -> Seconds:
        return random.choice(self._seconds, size=count)

    def __repr__(self) -> str:
        name, median = type(self).__name__, float(np.median(self._seconds))
        return f"{name}({self._seconds.size} durations, median {median:g} s)"


class ByTask(Empirical):
    """The duration of each task by its flat index; further tasks begin again with the first.

    >>> from asyncexec.simulation import ByTask, Cluster, simulate
    >>> plan, grows = ax.Plan.map(abs, range(4)), ByTask([1.0, 2.0, 3.0, 4.0])
    >>> simulate(plan, Cluster(workers=1), durations=grows).makespan_seconds
    10.0
    """

    def of(self, first: int, count: int) -> Seconds:
        """Return the durations of ``count`` tasks from ``first`` on, shape (count,)."""
        return self._seconds[np.arange(first, first + count) % self._seconds.size]


def durations_of(stage: str, given: AnyDurations) -> Durations:
    """Return the durations of a stage; raises OptionError if a mapping does not name it, or they are none."""
    if not isinstance(given, Mapping):
        return as_distribution(given, "simulation: durations")
    if stage not in given:
        raise OptionError(
            f"simulation: no durations for stage {stage!r}; there are some for {', '.join(given)}"
        )
    return durations_of(stage, given[stage])


def as_distribution(value: object, where: str) -> Durations:
    """Return the distribution that ``value`` is or spells; a number is constant.

    Raises
    ------
    OptionError
        If it is none.
    """
    if isinstance(value, str):
        return parse_durations(value)
    number = as_real_number(value)
    if number is not None:
        return Constant(float(number))
    if not isinstance(value, Durations):
        raise OptionError(
            f"{where} must be a distribution, such as 'lognormal:1,0.6', not {value!r}"
        )
    return value


def parse_durations(text: str) -> Durations:
    """Return the distribution that ``text`` spells; a bare number is constant.

    Raises
    ------
    OptionError
        If it spells none.
    """
    if "*" in text:
        return Mixture(tuple(_share(part) for part in text.split("+")))
    kind, colon, rest = text.strip().partition(":")
    if not colon and _numbers(kind):
        kind, rest = "constant", kind
    if kind == "empirical":
        return _measured(rest)
    if kind not in _NUMBERED:
        raise OptionError(f"{text!r} is no distribution; write {SPELLINGS}")
    numbers, count = _numbers(rest), len(fields(_NUMBERED[kind]))
    if len(numbers) != count:
        raise OptionError(f"{text!r} needs {count} number{'s' * (count > 1)} after the colon")
    named = zip((each.name for each in fields(_NUMBERED[kind])), numbers, strict=True)
    return _NUMBERED[kind](**dict(named))


_NUMBERED: Mapping[str, type[Constant | Lognormal | Pareto]] = {
    "constant": Constant,
    "lognormal": Lognormal,
    "pareto": Pareto,
}


def _numbers(text: str) -> list[float]:
    """Return the numbers in ``text``, separated by commas, or none if a part is not a number."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return []


def _measured(text: str) -> Durations:
    """Return the durations of a recorded run (``RUN``), or of one of its stages (``RUN#STAGE``)."""
    folder, mark, stage = text.rpartition("#")
    if not mark or Path(text).exists():
        folder, stage = text, ""
    return Empirical(read_run(Path(folder)).succeeded_seconds(stage or None))


def _share(part: str) -> tuple[float, Durations]:
    share, star, spelled = part.partition("*")
    numbers = _numbers(share)
    if not star or len(numbers) != 1:
        raise OptionError(f"{part!r} has no share: write 0.95*constant:10+0.05*constant:30")
    return numbers[0], parse_durations(spelled)


def durations_given(
    texts: Iterable[str], names: Sequence[str]
) -> tuple[Durations | None, dict[str, Durations]]:
    """Return the durations for all stages, if there are any, and those for one stage (``NAME=...``) each.

    Raises
    ------
    OptionError
        If a text spells no distribution, two are for all stages or for one, or there is no stage of the name.
    """
    found: dict[str, Durations] = {}
    for text in texts:
        # Known names first: the folder of a run, after a colon, may contain a ``=`` as well.
        name = next((name for name in names if text.startswith(f"{name}=")), "")
        unknown, equals, _ = text.partition(":")[0].partition("=")
        if equals and not name:
            refuse_other_stages([unknown], names, "durations")
        if name in found:
            which = f"stage {name!r}" if name else "all stages"
            raise OptionError(f"durations are given twice for {which}: {text!r}")
        found[name] = parse_durations(text.removeprefix(f"{name}=") if name else text)
    return found.pop("", None), found
