"""Models of recorded runs: durations and noise of their stages, and their workers."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncexec.simulation.durations import ByTask, Constant, Durations, Empirical
from asyncexec.simulation.noise import QUIET, Noise, NoiseFunction, SimulatedAttempt

if TYPE_CHECKING:
    from asyncexec.histories.overheads import Overheads
    from asyncexec.histories.recorded import RecordedRun
    from asyncexec.histories.separation import Separated
    from asyncexec.histories.worker_causes import WorkerCauses

_ABILITIES = ("kills", "avoids", "holds", "metered")
# Durations are above 0.
_LEAST_WARM_UP = 1e-3


def measured_cluster(
    run: RecordedRun, workers: WorkerCauses, overheads: Overheads
) -> dict[str, Any]:
    """Return the workers of ``run`` as attributes of a :class:`Cluster`."""
    extra = np.maximum(workers.warm_up, _LEAST_WARM_UP)
    return {
        **{name: getattr(run.figures, name) for name in _ABILITIES},
        **{name: getattr(overheads, name) for name in overheads.__slots__},
        "workers": run.slots,
        "slowness": tuple(workers.slowness.values()) or None,
        "warm_up": Empirical(extra) if len(extra) else None,
    }


def measured_stage(part: Separated, end: int) -> tuple[Durations, Noise]:
    """Return durations and noise of a stage, with the least (0) or the greatest (1) share by nature."""
    if not len(part.own):
        return Constant(), QUIET
    noise = Noise(hang_share=part.hang_share, failure_share=part.failure_share)
    share = part.by_nature[end]
    if share >= 1.0 and all(part.verdicts.values()):
        # Every attempt takes what its task took: nothing is drawn.
        return ByTask(part.expected * part.ordinary), noise
    return ByTask(part.expected), replace(noise, function=_remainder(part, share))


def _remainder(part: Separated, share: float) -> NoiseFunction:
    """Return noise in which so large a share of the undecided tasks is slow by nature; which, the seed decides."""
    own: list[float] = part.own.tolist()

    @cache
    def of_seed(seed: int) -> tuple[list[bool], list[float]]:
        natural, pool = part.dealt(share, np.random.default_rng((seed, 7, len(own))))
        return natural.tolist(), pool.tolist()

    def remainder(attempt: SimulatedAttempt) -> float:
        natural, pool = of_seed(attempt.seed)
        task = attempt.task % len(own)
        if natural[task]:
            return attempt.seconds * own[task]
        return attempt.seconds * pool[int(attempt.random.random() * len(pool))]

    return remainder
