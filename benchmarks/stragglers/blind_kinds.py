"""A third set of kinds, of other distributions and parameters than those that rules were tuned on and judged by.

Written down, and recorded in the repository's history, before any of them was run; no choice of a rule follows them.
"""

from __future__ import annotations

from asyncexec.simulation import Lognormal, Noise, Pareto
from benchmarks.stragglers.kind import ATTEMPTS, NATURE, NONE, WORKERS, Kind
from benchmarks.stragglers.natures import (
    SECONDS,
    ByBytes,
    Gamma,
    Growing,
    Region,
    TaskBytes,
    Uniform,
    Weibull,
    shares,
)
from benchmarks.stragglers.noises import ColdStart, Outage, Pause, SlowGroup


def _blind(family: str, **given: object) -> Kind:
    return Kind(family=family, part="blind", **given)  # type: ignore[arg-type]  # one of Kind's own


_PARETO_BYTES = TaskBytes(Pareto(exponent=1.8, most=20.0))
_WIDE_BYTES = TaskBytes(Lognormal(sigma=0.9))
_TWO_BYTES = TaskBytes(shares((0.8, 1), (0.2, 4)))

BLIND_KINDS = {
    "uniform .8-1.2 by nature": _blind(NONE, durations=Uniform(0.8, 1.2)),
    "lognormal .25": _blind(NONE, noise=Noise(factor=Lognormal(sigma=0.25))),
    "gamma .6 by nature": _blind(NATURE, durations=Gamma(0.6)),
    "uniform 1-4 by nature": _blind(NATURE, durations=Uniform(1.0, 4.0)),
    "4% 12x by nature": _blind(NATURE, durations=shares((0.96, 1), (0.04, 12))),
    "half 2x by nature": _blind(NATURE, durations=shares((0.5, 1), (0.5, 2))),
    "shrinking to a fifth": _blind(NATURE, durations=Growing(0.2)),
    "a region of 15% 5x": _blind(NATURE, durations=Region(5.0, 0.15)),
    "by bytes, Pareto 1.8, half fixed": _blind(
        NATURE, durations=ByBytes(_PARETO_BYTES, fixed=0.5), sizes=_PARETO_BYTES
    ),
    "by bytes, 20% 4x": _blind(NATURE, durations=ByBytes(_TWO_BYTES), sizes=_TWO_BYTES),
    "by nature, bytes say nothing": _blind(
        NATURE, durations=Lognormal(mean_seconds=SECONDS, sigma=0.8), sizes=_WIDE_BYTES
    ),
    "5% slow 3-8x": _blind(ATTEMPTS, noise=Noise(slow_share=0.05, slow_factors=(3.0, 8.0))),
    "1% slow 20-40x": _blind(ATTEMPTS, noise=Noise(slow_share=0.01, slow_factors=(20.0, 40.0))),
    "Weibull .6": _blind(ATTEMPTS, noise=Noise(factor=Weibull(0.6)), durations=Uniform(0.19, 0.21)),
    "lognormal 1.2": _blind(ATTEMPTS, noise=Noise(factor=Lognormal(sigma=1.2))),
    "15% wait for storage": _blind(ATTEMPTS, noise=Noise(storage_share=0.15, storage_seconds=15.0)),
    "4% slow, half 2x by nature": _blind(
        ATTEMPTS,
        noise=Noise(slow_share=0.04, slow_factors=(4.0, 12.0)),
        durations=shares((0.5, 1), (0.5, 2)),
    ),
    "3% slow, by bytes, lognormal .9": _blind(
        ATTEMPTS,
        noise=Noise(slow_share=0.03, slow_factors=(5.0, 15.0)),
        durations=ByBytes(_WIDE_BYTES),
        sizes=_WIDE_BYTES,
    ),
    "6% slow workers": _blind(WORKERS, slow_workers=0.06),
    "a quarter of groups of four pause": _blind(WORKERS, noise=Pause(0.25, 15.0, 80.0, group=4)),
    "workers started together 4x": _blind(WORKERS, noise=SlowGroup(0.15, 4.0, group=5)),
    "storage throttled for a while": _blind(WORKERS, noise=Outage(0.0, 9.0, 0.12, 45.0)),
    "cold starts inside attempts, 10%": _blind(WORKERS, noise=ColdStart(0.1, 90.0)),
}
