"""The kinds of what makes tasks slow, in four families; rules are tuned on some kinds and judged by the others.

by nature
    A task is long because it has more to do: every attempt of it takes the same time, so that no backup can help.
attempts
    An attempt is slow by chance: another one draws anew.
workers and times
    A worker or a host is slow, from some time on or for a while; an attempt elsewhere, or later, is not.
none
    Nothing is slow.

A kind belongs to the judged ones if it says so here, where it was written down before anything was measured. As they
were looked at more than once since, there is a third set (:mod:`benchmarks.stragglers.blind_kinds`).
"""

from __future__ import annotations

from asyncexec.simulation import Constant, Lognormal, Noise, Pareto
from benchmarks.stragglers.blind_kinds import BLIND_KINDS
from benchmarks.stragglers.kind import ATTEMPTS, NATURE, NONE, WORKERS, Kind
from benchmarks.stragglers.natures import (
    SECONDS,
    ByBytes,
    Growing,
    Periodic,
    Region,
    TaskBytes,
    Weibull,
    shares,
)
from benchmarks.stragglers.noises import ColdStart, Pause, slow_later


def _tuned(family: str, **given: object) -> Kind:
    return Kind(family=family, part="tuned", **given)  # type: ignore[arg-type]  # one of Kind's own


def _judged(family: str, **given: object) -> Kind:
    return Kind(family=family, part="judged", **given)  # type: ignore[arg-type]  # one of Kind's own


_SPREAD_BYTES = TaskBytes(Lognormal(sigma=0.6))

KINDS = {
    "none": _tuned(NONE, durations=Constant(SECONDS)),
    "lognormal .15 by nature": _judged(NONE, durations=Lognormal(mean_seconds=SECONDS, sigma=0.15)),
    "Weibull .7 by nature": _tuned(NATURE, durations=Weibull(0.7)),
    "bimodal by nature, 10% 3x": _tuned(NATURE, durations=shares((0.9, 1), (0.1, 3))),
    "growing 3x": _tuned(NATURE, durations=Growing(3.0)),
    # So far apart that they seem to hang.
    "2% 25x by nature": _tuned(NATURE, durations=shares((0.98, 1), (0.02, 25))),
    "1% 60x by nature": _tuned(NATURE, durations=shares((0.99, 1), (0.01, 60))),
    "10% 20x by nature": _tuned(NATURE, durations=shares((0.9, 1), (0.1, 20))),
    "a region of 5% 30x": _tuned(NATURE, durations=Region(30.0, 0.05)),
    "lognormal 1 by nature": _tuned(NATURE, durations=Lognormal(mean_seconds=SECONDS, sigma=1.0)),
    "by bytes, lognormal .6": _tuned(NATURE, durations=ByBytes(_SPREAD_BYTES), sizes=_SPREAD_BYTES),
    "lognormal .6 by nature": _judged(NATURE, durations=Lognormal(mean_seconds=SECONDS, sigma=0.6)),
    "bimodal by nature, 30% 5x": _judged(NATURE, durations=shares((0.7, 1), (0.3, 5))),
    "trimodal by nature": _judged(NATURE, durations=shares((0.8, 1), (0.15, 2), (0.05, 8))),
    "Pareto 1.5 by nature": _judged(NATURE, durations=Pareto(least_seconds=SECONDS, exponent=1.5)),
    "periodic, each 10th 4x": _judged(NATURE, durations=Periodic(4.0, 10)),
    "growing 6x": _judged(NATURE, durations=Growing(6.0)),
    "2% slow 2-10x": _tuned(ATTEMPTS, noise=Noise(slow_share=0.02)),
    "lognormal .6": _tuned(ATTEMPTS, noise=Noise(factor=Lognormal(sigma=0.6))),
    "Pareto 1.5": _tuned(ATTEMPTS, noise=Noise(factor=Pareto(exponent=1.5))),
    "0.2% hang": _tuned(ATTEMPTS, noise=Noise(hang_share=0.002)),
    "2% slow, 10% 3x by nature": _tuned(
        ATTEMPTS, noise=Noise(slow_share=0.02), durations=shares((0.9, 1), (0.1, 3))
    ),
    "2% slow, Weibull .7 by nature": _tuned(
        ATTEMPTS, noise=Noise(slow_share=0.02), durations=Weibull(0.7)
    ),
    "2% slow, by bytes, lognormal .6": _tuned(
        ATTEMPTS,
        noise=Noise(slow_share=0.02),
        durations=ByBytes(_SPREAD_BYTES),
        sizes=_SPREAD_BYTES,
    ),
    "2% slow, bytes say nothing": _tuned(
        ATTEMPTS, noise=Noise(slow_share=0.02), sizes=_SPREAD_BYTES
    ),
    "lognormal .15": _judged(NONE, noise=Noise(factor=Lognormal(sigma=0.15))),
    "10% slow 2-5x": _judged(ATTEMPTS, noise=Noise(slow_share=0.1, slow_factors=(2.0, 5.0))),
    "Pareto 1.1": _judged(ATTEMPTS, noise=Noise(factor=Pareto(exponent=1.1))),
    "Pareto 2": _judged(ATTEMPTS, noise=Noise(factor=Pareto(exponent=2.0))),
    "5% wait for storage": _judged(ATTEMPTS, noise=Noise(storage_share=0.05, storage_seconds=40.0)),
    "1% slow, lognormal .6 by nature": _judged(
        ATTEMPTS,
        noise=Noise(slow_share=0.01, slow_factors=(10.0, 20.0)),
        durations=Lognormal(mean_seconds=SECONDS, sigma=0.6),
    ),
    "2% slow workers": _tuned(WORKERS, slow_workers=0.02),
    "10% of workers pause": _tuned(WORKERS, noise=Pause(0.1, 5.0, 100.0)),
    "cold starts, then 2% slow": _tuned(WORKERS, cold_start=15.0, noise=Noise(slow_share=0.02)),
    "5% of workers slow later": _judged(WORKERS, noise=slow_later),
    "20% of workers pause": _judged(WORKERS, noise=Pause(0.2, 8.0, 50.0)),
    "10% of hosts stop": _judged(WORKERS, noise=Pause(0.1, 12.0, 300.0, group=8)),
    "cold starts inside attempts": _judged(WORKERS, noise=ColdStart(0.3, 40.0)),
    **BLIND_KINDS,
}
