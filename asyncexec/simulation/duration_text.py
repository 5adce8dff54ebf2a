"""Distributions of durations as text: ``lognormal:10,0.6``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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
    "constant:SECONDS, lognormal:MEAN,SIGMA, pareto:LEAST,EXPONENT,MOST, empirical:RUN, empirical:RUN#STAGE, "
    "or shares of them (0.95*constant:10+0.05*constant:30)"
)

_NUMBERED: Mapping[str, tuple[int, Callable[..., Durations]]] = {
    "constant": (1, Constant),
    "lognormal": (2, lambda mean, sigma: Lognormal(mean_seconds=mean, sigma=sigma)),
    "pareto": (3, lambda least, exponent, most: Pareto(least_seconds=least, exponent=exponent, most=most)),
}  # fmt: skip


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
    count, make = _NUMBERED[kind]
    numbers = _numbers(rest)
    if len(numbers) != count:
        raise OptionError(f"{text!r} needs {count} number{'s' * (count > 1)} after the colon")
    return make(*numbers)


def durations_by_stage(
    texts: Iterable[str], stages: Iterable[str]
) -> Durations | dict[str, Durations]:
    """Return the durations of a plan's tasks: one for all, or (``NAME=...``) stage by stage.

    Raises
    ------
    OptionError
        If a text spells no distribution, two are for all stages or for one, there is no stage of the name, or some
        stages have none.
    """
    names = list(stages)
    general, by_stage = durations_given(texts, names)
    if not by_stage:
        return general or Constant(10.0)
    missing = [name for name in names if name not in by_stage]
    if general is None and missing:
        raise OptionError(
            f"no durations are given for stage {missing[0]!r}: give {missing[0]}=HOW, or HOW for all others"
        )
    return {name: by_stage.get(name) or general or Constant(10.0) for name in names}


def durations_given(
    texts: Iterable[str], names: Sequence[str]
) -> tuple[Durations | None, dict[str, Durations]]:
    """Return the durations for all stages, if there are any, and those for one stage (``NAME=...``) each.

    Raises
    ------
    OptionError
        If a text spells no distribution, two are for all stages or for one, or there is no stage of the name.
    """
    found: dict[str | None, Durations] = {}
    for text in texts:
        name, spelled = _stage_and_spelling(text, names)
        if name in found:
            which = "all stages" if name is None else f"stage {name!r}"
            raise OptionError(f"durations are given twice for {which}: {text!r}")
        found[name] = parse_durations(spelled)
    general = found.pop(None, None)
    return general, {name: each for name, each in found.items() if name is not None}


def _stage_and_spelling(text: str, names: Sequence[str]) -> tuple[str | None, str]:
    """Take ``NAME=HOW`` apart; the folder of a run, which comes after a colon, may hold a ``=`` as well."""
    for name in names:
        if text.startswith(f"{name}="):
            return name, text.removeprefix(f"{name}=")
    name, equals, _ = text.partition(":")[0].partition("=")
    if equals:
        raise OptionError(f"durations are given for {name!r}; the stages are {', '.join(names)}")
    return None, text


def _numbers(text: str) -> list[float]:
    """Return the numbers that ``text`` holds, separated by commas; none if one of them is no number."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return []


def _measured(text: str) -> Durations:
    """Return the durations of a recorded run (``RUN``), or of one of its stages (``RUN#STAGE``)."""
    folder, mark, stage = text.rpartition("#")
    if not mark or Path(text).exists():
        return Empirical(read_run(Path(text)).succeeded_seconds())
    return Empirical(read_run(Path(folder)).succeeded_seconds(stage))


def _share(part: str) -> tuple[float, Durations]:
    share, star, spelled = part.partition("*")
    numbers = _numbers(share)
    if not star or len(numbers) != 1:
        raise OptionError(f"{part!r} has no share: write 0.95*constant:10+0.05*constant:30")
    return numbers[0], parse_durations(spelled)
