"""One case under several rules, with and without barriers, over several seeds: medians, ranges, pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from statistics import median
from typing import Any

from asyncexec.plan.plan import Plan
from asyncexec.simulation.as_json import attributes
from asyncexec.simulation.cluster import Cluster
from asyncexec.simulation.durations import Durations
from asyncexec.simulation.figures import Simulated
from asyncexec.simulation.late_tasks import sized_plan, with_late_tasks
from asyncexec.simulation.noise import QUIET, Noise
from asyncexec.simulation.simulate import simulate

type OnRun = Callable[[Variant, int, Callable[[], float]], object]
"""Called when a run starts: with its variant and seed, and a function that says which share of it is complete."""

# What depends on the machine that simulates, and not on the seed.
MACHINE_FIGURES = ("seconds", "events_per_second")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Plan, workers and noise, whatever the scheduler does about them; attributes as :func:`simulate` takes them."""

    plan: Plan
    cluster: Cluster
    durations: Durations | Mapping[str, Durations | float] | float
    noise: Noise | Mapping[str, Noise] = QUIET
    late_tasks: Mapping[str, int] = field(default_factory=dict[str, int])
    retry: Any = None
    timeout: Any = None

    @property
    def sized(self) -> Plan:
        """The plan, with as many tasks in every stage as are simulated."""
        return sized_plan(with_late_tasks(self.plan, self.late_tasks))

    def run(self, variant: Variant, seed: int, **options: Any) -> Simulated:
        """Simulate one run."""
        given: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        given |= {"straggler": variant.rule, "barriers": variant.barriers, "seed": seed}
        return simulate(**given, **options)


@dataclass(frozen=True, slots=True, order=True)
class Variant:
    """A policy of the scheduler: a straggler rule by its name, and whether stages wait for each other."""

    rule: str
    barriers: bool = False

    def __str__(self) -> str:
        return f"{self.rule}, {'barriers' if self.barriers else 'pipelined'}"


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over several seeds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least one value."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Compared:
    """The runs of one variant, a seed each."""

    variant: Variant
    runs: tuple[Simulated, ...]

    def spread(self, figure: str) -> Spread:
        """Return the spread of a figure of :class:`Simulated` (``"makespan_seconds"``)."""
        return Spread.of([getattr(run, figure) for run in self.runs])

    def percentile(self, name: str) -> float:
        """Return the median over seeds of a percentile of attempts' seconds (``"p99"``)."""
        return median(run.percentiles[name] for run in self.runs)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All variants on the same seeds; the first is what others are compared to."""

    case: Case
    rows: tuple[Compared, ...]

    def faster(self, row: Compared) -> Spread:
        """Return how many times as fast as the first variant ``row`` is, seed by seed."""
        pairs = zip(self.rows[0].runs, row.runs, strict=True)
        return Spread.of(
            [_ratio(first.makespan_seconds, run.makespan_seconds) for first, run in pairs]
        )

    @property
    def seeds(self) -> list[int]:
        """The seeds."""
        return [run.seed for run in self.rows[0].runs]

    def as_json(self) -> dict[str, Any]:
        """Return everything in plain types; what depends on this machine stands under ``machine``."""
        case, plan = self.case, self.case.sized
        stages = [attributes(stage, "name", "tasks") for stage in plan.stages]
        return {
            "plan": attributes(plan, "name", "tasks") | {"stages": stages},
            **attributes(case, "durations", "retry", "timeout"),
            "cluster": attributes(case.cluster),
            "noise": attributes(case.noise) if isinstance(case.noise, Noise) else {},
            "seeds": self.seeds,
            "variants": [
                {
                    **attributes(row.variant, "rule", "barriers"),
                    "makespan_seconds": attributes(row.spread("makespan_seconds")),
                    "times_as_fast": attributes(self.faster(row)),
                    "cost": attributes(row.spread("cost")),
                    "runs": [_run_json(run) for run in row.runs],
                }
                for row in self.rows
            ],
        }


def compare(
    case: Case,
    variants: Sequence[Variant],
    seeds: Sequence[int],
    *,
    on_run: OnRun | None = None,
) -> Comparison:
    """Simulate ``case`` under every variant with every seed.

    Parameters
    ----------
    case : Case
    variants : sequence of Variant
        The first is what others are compared to.
    seeds : sequence of int
        Every variant meets the same tasks and first attempts under one seed.
    on_run : callable, optional
        Called when each run starts.

    Raises
    ------
    OptionError
        If a figure is out of range.
    ExecutionError
        If a simulated run fails.
    """

    def runs(variant: Variant) -> Iterator[Simulated]:
        for seed in seeds:
            starts = None if on_run is None else partial(on_run, variant, seed)
            yield case.run(variant, seed, on_start=starts)

    return Comparison(case, tuple(Compared(v, tuple(runs(v))) for v in variants))


def _ratio(first: float, other: float) -> float:
    return first / other if other else 1.0


def _run_json(run: Simulated) -> dict[str, Any]:
    told = run.as_json()
    return told | {"machine": {name: told.pop(name) for name in MACHINE_FIGURES}}
