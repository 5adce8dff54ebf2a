"""Distributions as people type them: ``lognormal:10,0.6``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from asyncexec.errors import OptionError
from asyncexec.simulation.durations import (
    Constant,
    Durations,
    Empirical,
    Lognormal,
    Mixture,
    Pareto,
)
from asyncexec.simulation.recorded import read_run

SPELLINGS = (
    "constant:SECONDS, lognormal:MEAN,SIGMA, pareto:LEAST,EXPONENT,MOST, empirical:RUN, "
    "or shares of them (0.95*constant:10+0.05*constant:30)"
)

_NUMBERED: Mapping[str, tuple[int, Callable[..., Durations]]] = {
    "constant": (1, Constant),
    "lognormal": (2, lambda mean, sigma: Lognormal(mean_seconds=mean, sigma=sigma)),
    "pareto": (3, lambda least, exponent, most: Pareto(least_seconds=least, exponent=exponent, most=most)),
}  # fmt: skip


def durations_of(text: str) -> Durations:
    """Return the distribution that ``text`` spells; a bare number is constant.

    Raises
    ------
    OptionError
        If it spells none.
    """
    if "*" in text:
        return Mixture(tuple(_share(part) for part in text.split("+")))
    kind, colon, rest = text.strip().partition(":")
    if not colon:
        kind, rest = "constant", kind
    if kind == "empirical":
        return Empirical(read_run(Path(rest)).succeeded_seconds())
    if kind not in _NUMBERED:
        raise OptionError(f"{text!r} is no distribution; write {SPELLINGS}")
    count, make = _NUMBERED[kind]
    numbers = numbers_of(rest, count, what=text)
    return make(*numbers)


def durations_by_stage(
    texts: Iterable[str], stages: Iterable[str]
) -> Durations | dict[str, Durations]:
    """Return the durations of a plan's tasks: one for all, or (``NAME=...``) stage by stage.

    Raises
    ------
    OptionError
        If a text spells no distribution, two are for all stages, or there is no stage of the name.
    """
    names = list(stages)
    general: Durations | None = None
    by_stage: dict[str, Durations] = {}
    for text in texts:
        name, equals, spelled = text.rpartition("=")
        if not equals:
            if general is not None:
                raise OptionError(f"durations are given twice for all stages: {text!r}")
            general = durations_of(spelled)
        elif name not in names:
            raise OptionError(
                f"durations are given for {name!r}; the stages are {', '.join(names)}"
            )
        else:
            by_stage[name] = durations_of(spelled)
    if not by_stage:
        return general or Constant(10.0)
    if general is not None:
        return {name: by_stage.get(name, general) for name in names}
    return by_stage


def numbers_of(text: str, count: int, *, what: str) -> list[float]:
    """Return ``count`` numbers separated by commas.

    Raises
    ------
    OptionError
        If they are not so many, or no numbers; the message names ``what``.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        plural = "s separated by commas" if count > 1 else ""
        raise OptionError(f"{what!r} needs {count} number{plural}, not {text!r}")
    return numbers


def _share(part: str) -> tuple[float, Durations]:
    share, star, spelled = part.partition("*")
    if not star:
        raise OptionError(f"{part!r} has no share: write 0.95*constant:10+0.05*constant:30")
    (number,) = numbers_of(share, 1, what=part)
    return number, durations_of(spelled)
