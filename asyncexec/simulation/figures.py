"""Figures of a simulated run."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from asyncexec.simulation.as_json import attributes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from asyncexec.plan.plan import Plan
    from asyncexec.scheduler.run import Run
    from asyncexec.simulation.draws import Draws
    from asyncexec.simulation.trace import Bar
    from asyncexec.simulation.virtual_backend import VirtualBackend

PERCENTILES = (50, 90, 99, 99.9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """Figures of a simulated run; times are seconds on the simulated clock.

    >>> from asyncexec.simulation import Cluster, simulate
    >>> run = simulate(ax.Plan.map(abs, range(20)), Cluster(workers=8), durations=10.0)
    >>> run.makespan_seconds, run.ideal_seconds, run.percentiles["p99"]
    (30.0, 25.0, 10.0)
    >>> run.as_json()["tasks"]
    20

    Attributes
    ----------
    plan : str
    tasks, attempts : int
        How many tasks there are, and how many attempts of them started.
    makespan_seconds : float
        From the start of the run to its end.
    ideal_seconds : float
        What no scheduler can be faster than: the greater of all work shared evenly by all workers, and the longest way
        through the plan, without noise (speeds of workers that differ by nature are none).
    slot_seconds, wasted_seconds : float
        That workers were taken by attempts, and by those of them that did not succeed.
    backups, useful_backups : int
        How many were started, and how many of them were the first to succeed.
    retries, lost_workers, slow_workers : int
        The last: how many workers were found to be slow, and left idle for a while.
    percentiles : dict of str to float
        Of the seconds of attempts that succeeded.
    billed_seconds : float
        As the cluster bills.
    cost : float
        In the currency of the cluster's prices.
    events, events_per_second : float
        What the scheduler went through, and how fast that was, by this machine's clock.
    seconds : float
        That the simulation took, by this machine's clock.
    peak_bytes : int
        The most that the tasks in flight were projected to hold together.
    seed : int
    bars : tuple of Bar
        Every attempt, where that was asked for.
    """

    plan: str
    tasks: int
    attempts: int
    makespan_seconds: float
    ideal_seconds: float
    slot_seconds: float
    wasted_seconds: float
    backups: int
    useful_backups: int
    retries: int
    lost_workers: int
    slow_workers: int
    percentiles: dict[str, float]
    billed_seconds: float
    cost: float
    events: int
    events_per_second: float
    seconds: float
    peak_bytes: int
    seed: int
    bars: tuple[Bar, ...] = field(default=(), repr=False)

    @property
    def efficiency(self) -> float:
        """The ideal time by the makespan: 1.0 is as fast as can be."""
        return self.ideal_seconds / self.makespan_seconds if self.makespan_seconds else 1.0

    @property
    def useless_backups(self) -> int:
        """The number of backups that were started and were not the first to succeed."""
        return self.backups - self.useful_backups

    def as_json(self) -> dict[str, Any]:
        """Return everything but the attempts, in plain types."""
        names = (each.name for each in fields(self) if each.name != "bars")
        return attributes(self, *names, "efficiency", "useless_backups")


def figures_of(
    plan: Plan,
    *,
    run: Run,
    backend: VirtualBackend,
    driver_seconds: float,
    seed: int,
    peak_bytes: int,
) -> Simulated:
    """Return the figures of a run that has ended."""
    trace = backend.trace
    # A start and an end of each attempt, and what else woke the scheduler.
    events = backend.events + trace.attempts
    return Simulated(
        plan=plan.name,
        tasks=plan.tasks,
        attempts=trace.attempts,
        makespan_seconds=backend.now,
        ideal_seconds=ideal_seconds(plan, backend.natural_slowness, backend.draws),
        slot_seconds=trace.slot_seconds,
        wasted_seconds=trace.wasted_seconds,
        backups=sum(stage.figures.backups for stage in run.stages),
        useful_backups=sum(stage.monitor.won_backups for stage in run.stages),
        retries=sum(stage.figures.retries for stage in run.stages),
        lost_workers=trace.lost_workers,
        slow_workers=len(run.slow_workers.found),
        percentiles={f"p{p:g}": trace.percentile(p) for p in PERCENTILES},
        billed_seconds=trace.billed_seconds,
        cost=backend.cluster.cost(trace.billed_seconds, trace.attempts),
        events=events,
        events_per_second=events / driver_seconds if driver_seconds else 0.0,
        seconds=driver_seconds,
        peak_bytes=peak_bytes,
        seed=seed,
        bars=tuple(trace.bars),
    )


def ideal_seconds(plan: Plan, slowness: NDArray[np.float64], draws: Draws) -> float:
    """Return what no scheduler can be faster than, without noise.

    The longest way is counted with the shortest task of each stage on it (which ones are chained is not asked), or as
    the longest single task; on the fastest of all workers.

    Parameters
    ----------
    plan : Plan
    slowness : array of float64, shape (workers,)
        How many times as long each worker takes as the draws say.
    draws : Draws
    """
    work, longest = 0.0, 0.0
    way: dict[str, float] = {}
    for position, stage in enumerate(plan.stages):
        total, least, greatest = draws.naturals(position, stage.tasks)
        work += total
        longest = max(longest, greatest)
        way[stage.name] = least + max((way[read.stage] for read in stage.reads), default=0.0)
    shared = work / float((1.0 / slowness).sum())
    return max(shared, float(slowness.min()) * max(longest, *way.values(), 0.0))
