"""Runs are cancelled at random moments, once to five times: nothing is left, and the next run is right."""

import asyncio

import pytest

import asyncexec as ax
from asyncexec.events.records import PlanSucceeded
from asyncexec.testing.patience import scaled
from tests.faults.executors import options
from tests.faults.places import (
    begin_in,
    check_nothing_else,
    check_targets,
    check_untouched,
    names,
)
from tests.faults.programs import PROGRAMS, made_again, storing
from tests.faults.rounds import RIGHT


@pytest.mark.faults("cancelled", ["serial", "threads", "processes", "futures", "dask"], share=2)
async def test_a_run_that_is_cancelled_leaves_nothing(trial, tmp_path):
    chance = trial.chance
    if trial.executor == "dask":
        pytest.importorskip("distributed")
    program = chance.choice(sorted(PROGRAMS))
    overwrite, resume = chance.random() < 0.5, chance.random() < 0.3
    targets = names(program)
    begin_in(tmp_path, existing=overwrite * len(targets))
    before = targets if overwrite else []
    cancelled = 0
    async with ax.Engine(trial.executor, executor_options=options(trial.executor)) as engine:
        for _ in range(3):
            plan = storing(program, tmp_path, overwrite=overwrite)
            seen = []
            run = engine.execute(plan, resume=resume, observers=[seen.append])
            hit = await cancel_often(asyncio.create_task(run), chance)
            cancelled += hit
            # A cancellation may come when all is done: its caller gets it all the same.
            if any(isinstance(event, PlanSucceeded) for event in seen):
                break
            if hit and not resume:
                await wait_for_nothing_else(tmp_path, before)
        else:
            plan = storing(program, tmp_path, overwrite=overwrite)
            await engine.execute(plan, resume=resume)
    trial.count("faults", cancelled)
    check_targets(tmp_path, program)
    check_nothing_else(tmp_path, targets)
    again = made_again(tmp_path)
    if resume:
        # An attempt that was running is given up with its run; its executor may have more of them at hand.
        trial.count("at most", 4 * cancelled)
        trial.count("made again", again)
        assert again <= 4 * cancelled
    trial.count(RIGHT)


async def cancel_often(task, chance):
    """Cancel a task some times at random moments; return whether that ended it."""
    await asyncio.sleep(chance.choice([chance.uniform(0, 0.05), chance.uniform(0, 0.6)]))
    for _ in range(chance.randrange(1, 6)):
        task.cancel()
        await asyncio.sleep(chance.choice([0, 0, chance.uniform(0, 0.01)]))
    async with asyncio.timeout(scaled(30)):
        await asyncio.wait([task])
    if task.cancelled():
        return True
    task.result()
    return False


async def wait_for_nothing_else(folder, before):
    """Wait until what was begun is undone: a caller that cancels again and again does not wait for that.

    What was there is as it was.
    """
    async with asyncio.timeout(scaled(5)):
        while True:
            try:
                check_nothing_else(folder, before)
            except AssertionError:
                await asyncio.sleep(0.02)
            else:
                check_untouched(folder, before)
                return
