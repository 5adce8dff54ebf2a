"""Random durations and failures: a function of the seed, the stage, the task and the attempt's number alone.

Two runs with one seed meet the same tasks and the same first attempts, whatever their policies do: they can be compared
pair by pair.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from asyncexec.simulation.durations import Durations, Seconds
from asyncexec.simulation.noise import Noise

BLOCK = 8_192
KEPT_BLOCKS = 64


class Draw(NamedTuple):
    """The duration and the end of an attempt on a worker of ordinary speed.

    Attributes
    ----------
    seconds : float
        How long it runs; infinity if it hangs.
    fails : bool
    """

    seconds: float
    fails: bool


class _Block(NamedTuple):
    # Lists: an element of an array costs several times as much to get.
    natural: list[float]
    run: list[float]
    fails: list[float]


class Draws:
    """Draws tasks and attempts, block by block.

    Parameters
    ----------
    seed : int
    durations : sequence of Durations
        Of each stage's tasks.
    noises : sequence of Noise
        Of each stage's attempts.
    """

    def __init__(self, seed: int, durations: Sequence[Durations], noises: Sequence[Noise]) -> None:
        self._seed = seed
        self._durations = durations
        self._noises = noises
        self._blocks: OrderedDict[tuple[int, int], _Block] = OrderedDict()

    def naturals(self, stage: int, tasks: int) -> tuple[float, float, float]:
        """Return sum, least and greatest of what the tasks of a stage take by nature."""
        total, least, greatest = 0.0, np.inf, 0.0
        for block in range(-(-tasks // BLOCK)):
            seconds = self._natural(stage, block)[: tasks - block * BLOCK]
            total += float(seconds.sum())
            least, greatest = min(least, float(seconds.min())), max(greatest, float(seconds.max()))
        return total, float(least), greatest

    def attempt(self, stage: int, task: int, number: int) -> Draw:
        """Return what becomes of the ``number``-th start (from 1) of a task."""
        block = self._block(stage, task // BLOCK)
        place = task % BLOCK
        noise = self._noises[stage]
        if number == 1:
            run, fails = block.run[place], block.fails[place]
        else:
            random = np.random.default_rng((self._seed, 2, stage, task, number))
            drawn, failing = noise.sample(random, np.array([block.natural[place]]))
            run, fails = float(drawn[0]), float(failing[0])
        return Draw(run, fails < noise.failure_share)

    def _natural(self, stage: int, block: int) -> Seconds:
        random = np.random.default_rng((self._seed, 0, stage, block))
        return self._durations[stage].sample(random, BLOCK)

    def _block(self, stage: int, block: int) -> _Block:
        key = stage, block
        found = self._blocks.get(key)
        if found is None:
            natural = self._natural(stage, block)
            random = np.random.default_rng((self._seed, 1, stage, block))
            run, fails = self._noises[stage].sample(random, natural)
            found = _Block(natural.tolist(), run.tolist(), fails.tolist())
            self._blocks[key] = found
            if len(self._blocks) > KEPT_BLOCKS:
                self._blocks.popitem(last=False)
        return found
