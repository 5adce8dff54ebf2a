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
    texts: Iterable[str], names: Sequence[str]
) -> Durations | dict[str, Durations]:
    """Return the durations of a plan's tasks: one for all stages, or (``NAME=...``) stage by stage.

    Raises
    ------
    OptionError
        As :func:`durations_given`, or if some stages have none.
    """
    general, by_stage = durations_given(texts, names)
    if not by_stage:
        return general or Constant(10.0)
    for name in names:
        if name not in by_stage and general is None:
            raise OptionError(
                f"no durations are given for stage {name!r}: give {name}=HOW, or HOW for all others"
            )
    return dict.fromkeys(names, general) | by_stage if general is not None else by_stage


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
        name, spelled = _stage_and_spelling(text, names)
        if name in found:
            which = f"stage {name!r}" if name else "all stages"
            raise OptionError(f"durations are given twice for {which}: {text!r}")
        found[name] = parse_durations(spelled)
    return found.pop("", None), found


def _stage_and_spelling(text: str, names: Sequence[str]) -> tuple[str, str]:
    """Take ``NAME=HOW`` apart; the folder of a run, which comes after a colon, may hold a ``=`` as well."""
    for name in names:
        if text.startswith(f"{name}="):
            return name, text.removeprefix(f"{name}=")
    name, equals, _ = text.partition(":")[0].partition("=")
    if equals:
        raise OptionError(f"durations are given for {name!r}; the stages are {', '.join(names)}")
    return "", text


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
        folder, stage = text, ""
    return Empirical(read_run(Path(folder)).succeeded_seconds(stage or None))


def _share(part: str) -> tuple[float, Durations]:
    share, star, spelled = part.partition("*")
    numbers = _numbers(share)
    if not star or len(numbers) != 1:
        raise OptionError(f"{part!r} has no share: write 0.95*constant:10+0.05*constant:30")
    return numbers[0], parse_durations(spelled)
