"""Random durations and failures: a function of the seed, the stage, the task and the attempt's number alone.

Two runs with one seed have the same tasks and the same first attempts under any policy, so that they can be compared
pair by pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from asyncexec.histories.recorded import Seconds
from asyncexec.plan.plan import Plan
from asyncexec.simulation.durations import ByTask, Durations
from asyncexec.simulation.noise import Noise

BLOCK = 8_192
KEPT_BLOCKS = 64


class Draw(NamedTuple):
    """The seconds of an attempt on a worker of ordinary speed (infinity for a hang), and whether it fails."""

    seconds: float
    fails: bool


class _Block(NamedTuple):
    # Lists: an element of an array costs several times as much to get.
    natural: list[float]
    run: list[float]
    fails: list[float]


class Draws:
    """Draws tasks and attempts block by block, from the durations and the noise of each stage."""

    def __init__(self, seed: int, durations: Sequence[Durations], noises: Sequence[Noise]) -> None:
        self.seed = seed
        self.noises = noises
        self._durations = durations
        self._block = lru_cache(KEPT_BLOCKS)(self._drawn_block)

    def attempt(self, stage: int, task: int, number: int) -> Draw:
        """Return the draw for the ``number``-th start (from 1) of a task."""
        block = self._block(stage, task // BLOCK)
        place = task % BLOCK
        noise = self.noises[stage]
        if number == 1:
            run, fails = block.run[place], block.fails[place]
        else:
            random = np.random.default_rng((self.seed, 2, stage, task, number))
            drawn, failing = noise.sample(random, np.array([block.natural[place]]))
            run, fails = float(drawn[0]), float(failing[0])
        return Draw(run, fails < noise.failure_share)

    def ideal_seconds(self, plan: Plan, slowness: Seconds) -> float:
        """Return a lower bound for the makespan on workers of this slowness, without noise.

        The longest way through the plan is counted with the shortest task of each stage on it, or as the longest single
        task, on the fastest worker.
        """
        work, longest = 0.0, 0.0
        way: dict[str, float] = {}
        for position, stage in enumerate(plan.stages):
            total, least, greatest = self._naturals(position, stage.tasks)
            work += total
            longest = max(longest, greatest)
            way[stage.name] = least + max((way[read.stage] for read in stage.reads), default=0.0)
        shared = work / float((1.0 / slowness).sum())
        return max(shared, float(slowness.min()) * max(longest, *way.values(), 0.0))

    def _naturals(self, stage: int, tasks: int) -> tuple[float, float, float]:
        """Return sum, least and greatest of the durations of a stage's tasks without noise."""
        total, least, greatest = 0.0, np.inf, 0.0
        for block in range(-(-tasks // BLOCK)):
            seconds = self._natural(stage, block)[: tasks - block * BLOCK]
            total += float(seconds.sum())
            least, greatest = min(least, float(seconds.min())), max(greatest, float(seconds.max()))
        return total, float(least), greatest

    def _natural(self, stage: int, block: int) -> Seconds:
        durations = self._durations[stage]
        if isinstance(durations, ByTask):
            return durations.of(block * BLOCK, BLOCK)
        return durations.sample(np.random.default_rng((self.seed, 0, stage, block)), BLOCK)

    def _drawn_block(self, stage: int, block: int) -> _Block:
        natural = self._natural(stage, block)
        random = np.random.default_rng((self.seed, 1, stage, block))
        run, fails = self.noises[stage].sample(random, natural)
        return _Block(natural.tolist(), run.tolist(), fails.tolist())
