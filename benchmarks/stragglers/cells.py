"""The cases: kinds of slowness x shapes of plans x whether losers can be stopped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import asyncexec as ax
from asyncexec.plan import Plan
from asyncexec.plan.relations import identity
from asyncexec.plan.stage import Read, Stage
from asyncexec.simulation import Cluster, Durations, Simulated, simulate
from benchmarks.stragglers.kind import Kind, Part
from benchmarks.stragglers.kinds import KINDS
from benchmarks.stragglers.natures import ByBytes, Growing, Region

RULES = ("off", "cubed", "spark", "late", "two_phase")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """So many stages of so many tasks, one to one, on so many slots."""

    tasks: int
    slots: int
    stages: int = 1
    barriers: bool = False

    def __str__(self) -> str:
        flow = f" x {self.stages}" if self.stages > 1 else ""
        return f"{self.tasks}/{self.slots}{flow}{' with barriers' if self.barriers else ''}"


SHAPES = (
    Shape(tasks=1000, slots=1000),
    Shape(tasks=1000, slots=100),
    Shape(tasks=100, slots=10),
    Shape(tasks=50, slots=50),
    Shape(tasks=8, slots=8),
    Shape(tasks=200, slots=200, stages=5),
    Shape(tasks=200, slots=40, stages=5),
    Shape(tasks=8, slots=8, stages=6),
    Shape(tasks=50, slots=50, stages=6, barriers=True),
)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One case."""

    kind: str
    shape: Shape
    kills: bool = True

    @property
    def name(self) -> str:
        return f"{self.kind}, {self.shape}{'' if self.kills else ', losers run on'}"

    @property
    def of(self) -> Kind:
        return KINDS[self.kind]

    @property
    def durations(self) -> Durations:
        given = self.of.durations
        if isinstance(given, Growing | Region | ByBytes):
            return replace(given, tasks=self.shape.tasks)
        return given

    def run(self, rule: str, seed: int) -> Simulated:
        kind, shape = self.of, self.shape
        cluster = Cluster(
            workers=shape.slots,
            slow_share=kind.slow_workers,
            slow_factor=5.0,
            cold_start_seconds=kind.cold_start,
            kills=self.kills,
        )
        # With the limit that everybody has who has none of his own: an hour.
        timeout = ax.Timeout(task=3600.0) if rule != "two_phase" else None
        plan = plan_of(shape.tasks, shape.stages)
        return simulate(
            plan,
            cluster,
            durations=self.durations,
            noise=kind.noise,
            sizes={} if kind.sizes is None else {s.name: kind.sizes for s in plan.stages},
            straggler=rule,
            barriers=shape.barriers,
            timeout=timeout,
            retry=10,
            seed=seed,
        )


def plan_of(tasks: int, stages: int) -> Plan:
    """Return a chain of one-to-one stages."""
    made = [Stage(name="s0", kernel=max, shape=(tasks,))]
    for number in range(1, stages):
        read = (Read(made[-1].name, identity((tasks,))),)
        made.append(Stage(name=f"s{number}", kernel=max, shape=(tasks,), inputs=read))
    return Plan(tuple(made))


def cells(part: Part) -> Iterator[Cell]:
    """Yield the cases of the kinds that rules are tuned on, or judged by."""
    for name, kind in KINDS.items():
        for shape in SHAPES if kind.part == part else ():
            for kills in (True, False):
                if name != "0.2% hang" or kills:  # Else every worker would be held in the end.
                    yield Cell(kind=name, shape=shape, kills=kills)
