"""A comparison of policies of the scheduler on one plan and cluster, over several seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from statistics import median
from typing import Any

from asyncexec.histories.as_json import attributes
from asyncexec.plan.plan import Plan
from asyncexec.simulation.cluster import Cluster
from asyncexec.simulation.durations import AnyDurations
from asyncexec.simulation.figures import Simulated
from asyncexec.simulation.late_tasks import sized_plan, with_late_tasks
from asyncexec.simulation.noise import QUIET, AnyNoise, noise_of
from asyncexec.simulation.simulate import simulate

type OnRun = Callable[[Variant, int, Callable[[], float]], object]
"""Called when a run starts: with its variant and seed, and a function that returns the share of it that is complete."""

# Figures that depend on the machine that simulates, and not on the seed.
MACHINE_FIGURES = ("seconds", "events_per_second")


@dataclass(frozen=True, slots=True, order=True)
class Variant:
    """A policy of the scheduler: a straggler rule by its name, and whether stages wait for each other."""

    rule: str
    barriers: bool = False

    def __str__(self) -> str:
        return f"{self.rule}, {'barriers' if self.barriers else 'pipelined'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A plan, workers and noise; the attributes are parameters of :func:`simulate`."""

    plan: Plan
    cluster: Cluster
    durations: AnyDurations
    noise: AnyNoise = QUIET
    late_tasks: Mapping[str, int] = field(default_factory=dict[str, int])
    retry: Any = None
    timeout: Any = None

    @property
    def sized(self) -> Plan:
        """The plan, with the simulated number of tasks in every stage."""
        return sized_plan(with_late_tasks(self.plan, self.late_tasks))

    def run(self, variant: Variant, seed: int, **options: Any) -> Simulated:
        """Simulate one run."""
        given: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        given |= {"straggler": variant.rule, "barriers": variant.barriers, "seed": seed}
        return simulate(**given, **options)


@dataclass(frozen=True, slots=True)
class Spread:
    """The median and the range of a figure over several seeds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least one value."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Compared:
    """The runs of one variant, one for each seed."""

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
    """All variants on the same seeds; the others are compared to the first."""

    case: Case
    rows: tuple[Compared, ...]

    def faster(self, row: Compared) -> Spread:
        """Return the speed of ``row`` as a multiple of the first variant's, seed by seed."""
        pairs = zip(self.rows[0].runs, row.runs, strict=True)
        makespans = [(first.makespan_seconds, run.makespan_seconds) for first, run in pairs]
        return Spread.of([first / other if other else 1.0 for first, other in makespans])

    @property
    def seeds(self) -> list[int]:
        """The seeds."""
        return list(dict.fromkeys(run.seed for run in self.rows[0].runs))

    def as_json(self) -> dict[str, Any]:
        """Return everything in plain types; figures that depend on this machine are under ``machine``."""
        case, plan = self.case, self.case.sized
        by_stage = isinstance(case.noise, Mapping)
        return {
            "plan": attributes(plan, "name", "tasks")
            | {"stages": [attributes(stage, "name", "tasks") for stage in plan.stages]},
            **attributes(case, "durations", "retry", "timeout"),
            "cluster": attributes(case.cluster),
            "noise": {} if by_stage else attributes(noise_of("", case.noise)),
            "seeds": self.seeds,
            "variants": [self._row_json(row) for row in self.rows],
        }

    def _row_json(self, row: Compared) -> dict[str, Any]:
        runs = [run.as_json() for run in row.runs]
        return {
            **attributes(row.variant, "rule", "barriers"),
            "makespan_seconds": attributes(row.spread("makespan_seconds")),
            "times_as_fast": attributes(self.faster(row)),
            "cost": attributes(row.spread("cost")),
            "runs": [run | {"machine": {n: run.pop(n) for n in MACHINE_FIGURES}} for run in runs],
        }


def compare(
    case: Case,
    variants: Sequence[Variant],
    seeds: Sequence[int],
    *,
    on_run: OnRun | None = None,
) -> Comparison:
    """Simulate ``case`` under every variant with every seed.

    The tasks and their first attempts are the same in all variants with one seed. ``on_run`` is called when each run
    starts. Raises as :func:`simulate`.
    """

    def run(variant: Variant, seed: int) -> Simulated:
        starts = None if on_run is None else partial(on_run, variant, seed)
        return case.run(variant, seed, on_start=starts)

    rows = (Compared(v, tuple(run(v, seed) for seed in seeds)) for v in variants)
    return Comparison(case, tuple(rows))
