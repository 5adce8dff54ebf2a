"""How makespan and cost move with the number of workers and with the share of slow attempts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from asyncexec.simulation.comparison import Case, Comparison, OnRun, Variant, compare
from asyncexec.simulation.noise import noise_of

WORKER_FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
SLOW_SHARES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1)


@dataclass(frozen=True, slots=True)
class Curves:
    """A comparison for each value of what was varied.

    Attributes
    ----------
    name : str
        Of what was varied.
    values : tuple of float
    comparisons : tuple of Comparison
    """

    name: str
    values: tuple[float, ...]
    comparisons: tuple[Comparison, ...]


def against_workers(
    case: Case,
    variants: Sequence[Variant],
    seeds: Sequence[int],
    *,
    on_run: OnRun | None = None,
) -> Curves:
    """Compare ``variants`` on a quarter to four times the workers of ``case``."""
    workers = worker_numbers(case.cluster.workers)
    return Curves(
        "workers",
        tuple(float(n) for n in workers),
        tuple(compare(_on(case, n), variants, seeds, on_run=on_run) for n in workers),
    )


def against_slow_attempts(
    case: Case,
    variants: Sequence[Variant],
    seeds: Sequence[int],
    *,
    on_run: OnRun | None = None,
) -> Curves:
    """Compare ``variants`` where none to a tenth of all attempts are slow (besides all other noise of ``case``)."""
    return Curves(
        "slow attempts",
        SLOW_SHARES,
        tuple(
            compare(_slowed(case, share), variants, seeds, on_run=on_run) for share in SLOW_SHARES
        ),
    )


def worker_numbers(workers: int) -> list[int]:
    """Return the numbers of workers to compare around this one, ascending."""
    return sorted({max(1, round(workers * factor)) for factor in WORKER_FACTORS})


def _on(case: Case, workers: int) -> Case:
    return replace(case, cluster=replace(case.cluster, workers=workers))


def _slowed(case: Case, share: float) -> Case:
    noises = {stage.name: noise_of(stage.name, case.noise) for stage in case.plan.stages}
    slowed = {name: replace(each, slow_share=share) for name, each in noises.items()}
    return replace(case, noise=slowed)
