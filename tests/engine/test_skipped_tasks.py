"""A task whose function says that there is nothing to do is complete without a value, and is not tried again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import TaskFailedError
from asyncexec.events.outcome import Status
from asyncexec.testing.fates import Fate, RandomFates, Visit
from asyncexec.testing.model_backend import ModelBackend
from asyncexec.testing.virtual_time import virtual_time


class NoDataError(ax.SkippedError):
    """A class of the user's own."""


@virtual_time
async def test_a_backup_that_skips_its_task_ends_the_slow_attempt() -> None:
    def fate(visit: Visit) -> Fate | float:
        if visit.task:
            return 1.0
        if visit.number == 1:
            return 10_000.0
        return Fate(seconds=1.0, status=Status.FAILED, error=NoDataError("none today"))

    backend = ModelBackend(fate, slots=4)
    async with ax.Engine(backend) as engine:
        result = await engine.execute(ax.Plan.map(abs, range(40)).then(float))
    assert result.value == [ax.Skipped("none today"), *map(float, range(1, 40))]
    assert (result.backups, result.skipped_tasks, result.failures) == (1, 2, 0)
    assert backend.ledger.ended[Status.CANCELLED] == 1


@given(seed=st.integers(0, 10_000), slots=st.integers(1, 5))
@virtual_time
async def test_every_task_has_a_value_or_was_skipped_whatever_happens(
    seed: int, slots: int
) -> None:
    fates = RandomFates(
        sigma=1.0,
        failing=0.3,
        slow=0.1,
        error=NoDataError("no"),
        spared_after=9,
        seed=seed,
    )
    async with ax.Engine(ModelBackend(fates, slots=slots)) as engine:
        result = await engine.execute(ax.Plan.map(int, range(20), retry=20).then(int, retry=20))
    assert all(
        value == place or value == ax.Skipped("no") for place, value in enumerate(result.value)
    )
    first, second = result.stages
    assert result.value.count(ax.Skipped("no")) == second.skipped_tasks >= first.skipped_tasks
    assert (first.failed, second.failed) == (0, 0)


async def test_a_block_cannot_be_skipped() -> None:
    def skips(block: np.ndarray) -> np.ndarray:
        raise ax.SkippedError("nothing here")

    async with ax.Engine("threads") as engine:
        with pytest.raises(TaskFailedError, match="nothing here"):
            await engine.execute(xp.map_blocks(skips, xp.ones((4,), chunks=2), dtype="f8"))
