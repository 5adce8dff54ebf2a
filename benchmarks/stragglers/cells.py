"""The cases: noise x size x whether stages wait for each other x whether losers can be stopped.

Half of them were looked at while rules were chosen and their figures set; rules are judged by the other half. Which
half a case belongs to is decided by its name alone (`Cell.judged`), before anything was measured.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import asyncexec as ax
from asyncexec.plan import Plan
from asyncexec.plan.relations import identity
from asyncexec.plan.stage import Read, Stage
from asyncexec.simulation import (
    Cluster,
    Constant,
    Durations,
    Lognormal,
    Mixture,
    Noise,
    Pareto,
    Simulated,
    simulate,
)

SECONDS = 10.0
QUIET = Noise()
EVEN = Constant(SECONDS)
RULES = ("off", "cubed", "spark", "late", "two_phase")
SIZES = ((1000, 1000), (1000, 100), (10_000, 100), (100, 10))
STAGES = 5


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of noise."""

    noise: Noise = QUIET
    durations: Durations = EVEN
    slow_workers: float = 0.0
    cold_start: float = 0.0


KINDS = {
    "none": Kind(),
    "lognormal .15": Kind(noise=Noise(factor=Lognormal(sigma=0.15))),
    "lognormal .6": Kind(noise=Noise(factor=Lognormal(sigma=0.6))),
    "2% slow 2-10x": Kind(noise=Noise(slow_share=0.02)),
    "Pareto 1.1": Kind(noise=Noise(factor=Pareto(exponent=1.1))),
    "Pareto 1.5": Kind(noise=Noise(factor=Pareto(exponent=1.5))),
    "Pareto 2": Kind(noise=Noise(factor=Pareto(exponent=2.0))),
    "0.2% hang": Kind(noise=Noise(hang_share=0.002)),
    "2% slow workers": Kind(slow_workers=0.02),
    "5% skew 3x": Kind(
        durations=Mixture(((0.95, Constant(SECONDS)), (0.05, Constant(3 * SECONDS))))
    ),
    "cold starts": Kind(cold_start=15.0, noise=Noise(slow_share=0.02)),
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One case."""

    kind: str
    tasks: int
    slots: int
    stages: int = 1
    barriers: bool = True
    kills: bool = True

    @property
    def name(self) -> str:
        flow = (
            ""
            if self.stages == 1
            else f", {self.stages} stages " + ("with barriers" if self.barriers else "pipelined")
        )
        stop = "" if self.kills else ", losers run on"
        return f"{self.kind}, {self.tasks}/{self.slots}{flow}{stop}"

    @property
    def judged(self) -> bool:
        """Whether rules are judged by it; they were chosen on the others."""
        return hashlib.blake2b(self.name.encode(), digest_size=1).digest()[0] % 2 == 1

    def run(self, rule: str, seed: int) -> Simulated:
        kind = KINDS[self.kind]
        cluster = Cluster(
            workers=self.slots,
            slow_share=kind.slow_workers,
            slow_factor=5.0,
            cold_start_seconds=kind.cold_start,
            kills=self.kills,
        )
        # With the limit that everybody has who has none of his own: an hour.
        timeout = ax.Timeout(task=3600.0) if rule != "two_phase" else None
        return simulate(
            plan_of(self.tasks, self.stages),
            cluster,
            durations=kind.durations,
            noise=kind.noise,
            straggler=rule,
            barriers=self.barriers,
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


def cells(*, several_stages: bool = False) -> Iterator[Cell]:
    for kind in KINDS:
        for tasks, slots in SIZES:
            for kills in (True, False):
                if kind == "0.2% hang" and not kills:
                    continue  # Every worker would be held in the end.
                if not several_stages:
                    yield Cell(kind=kind, tasks=tasks, slots=slots, kills=kills)
                elif tasks <= 1000:
                    for barriers in (True, False):
                        yield Cell(
                            kind=kind,
                            tasks=tasks,
                            slots=slots,
                            kills=kills,
                            stages=STAGES,
                            barriers=barriers,
                        )
