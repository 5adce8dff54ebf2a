"""What a benchmark is: contenders that do the same thing, measured in turns."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

LIMIT = "limit"
"""The contender that stands for what the machine can do at best: a share of it is the ratio turned around."""

type Figures = Mapping[str, float]
"""Figures of one run by name; the name ends in the unit."""

type Measure = Callable[[], Figures]
"""One run: does the work and says what it took."""

type Prepare = Callable[[bool], AbstractContextManager[Measure]]
"""Sets up (given whether the run is a quick one), and yields what is measured again and again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One way of doing the work.

    `reference` marks what the ratios are against; `ours` what the project answers for; `warms_up` whether a first
    measurement is thrown away.
    """

    name: str
    prepare: Prepare
    ours: bool = False
    reference: bool = False
    warms_up: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a figure of one contender ought to be.

    `of` is the contender; with `against`, it is the ratio of the two medians that counts.
    """

    of: str
    figure: str
    at_most: float | None = None
    at_least: float | None = None
    against: str | None = None

    def __str__(self) -> str:
        what = f"{self.of}: {self.figure}"
        if self.against:
            what += f" / {self.against}"
        bound = f"<= {self.at_most:g}" if self.at_most is not None else f">= {self.at_least:g}"
        return f"{what} {bound}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A benchmark.

    `figure` is the one the ratios are of; `better` says which way it ought to go.
    """

    name: str
    about: str
    figure: str
    better: str
    contenders: Sequence[Contender]
    targets: Sequence[Target] = ()
    repeat: int = 7


@dataclass(slots=True, kw_only=True)
class Standing:
    """What one contender achieved: every run's figures, or why there are none."""

    contender: str
    ours: bool = False
    runs: list[Figures] = field(default_factory=list)
    missing: str = ""

    def median(self, figure: str) -> float | None:
        values = [run[figure] for run in self.runs if figure in run]
        return statistics.median(values) if values else None

    def spread(self, figure: str) -> tuple[float, float] | None:
        values = [run[figure] for run in self.runs if figure in run]
        return (min(values), max(values)) if values else None

    @property
    def figures(self) -> list[str]:
        return list(dict.fromkeys(name for run in self.runs for name in run))
