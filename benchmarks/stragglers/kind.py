"""A kind of what makes tasks slow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from asyncexec.simulation import Durations, Noise, NoiseFunction
from benchmarks.stragglers.natures import EVEN, TaskBytes

QUIET = Noise()
NATURE, ATTEMPTS, WORKERS, NONE = "by nature", "attempts", "workers and times", "none"

type Part = Literal["tuned", "judged", "blind"]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of slowness.

    Attributes
    ----------
    part : {"tuned", "judged", "blind"}
        Whether rules are tuned on it, or judged by it.
    sizes : TaskBytes or None
        The bytes that tasks read, which the scheduler knows; None where all read alike.
    slow_workers : float
        The share of workers that are five times as slow.
    cold_start : float
        The mean seconds that a worker takes to come up.
    """

    family: str
    part: Part
    noise: Noise | NoiseFunction = QUIET
    durations: Durations = EVEN
    sizes: TaskBytes | None = None
    slow_workers: float = 0.0
    cold_start: float = 0.0
