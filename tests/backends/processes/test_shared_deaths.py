"""Workers that die while many tasks share their slot: who is charged, and which task is found to be poison."""

import asyncio
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import zarr

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.backends.processes import ProcessesBackend
from asyncexec.errors import PoisonTaskError
from asyncexec.events.outcome import Status
from asyncexec.testing.driving import Driven
from asyncexec.testing.faults import Die, Faults, Moment, Slow
from asyncexec.testing.injection import inject
from asyncexec.testing.kernels import FarFiles

TASKS = 64
AT_ONCE = ax.Retry(base_seconds=0.0)


@dataclass(frozen=True)
class Dies:
    """Adds one; kills its process in the first attempt of chosen blocks, or in all of them."""

    folder: Path
    blocks: tuple[int, ...]
    always: bool = False

    def __call__(self, block):
        number = int(block[0])
        trace = self.folder / f"block-{number}"
        if number in self.blocks and (self.always or not trace.exists()):
            with trace.open("a") as file:
                file.write(".")
            os.kill(os.getpid(), signal.SIGKILL)
        return block + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TellsProcess(FarFiles):
    """Writes down its process before it loads."""

    async def aload(self, index, in_thread):
        (self.directory / "process").write_text(str(os.getpid()))
        return await FarFiles.aload(self, index, in_thread)


def storing(folder, kernel, faults=None, tasks=TASKS):
    """Return a plan of one stage, whose tasks all load for a while at once."""
    (folder / "faults").mkdir(exist_ok=True)
    x = xp.arange(tasks, chunks=1, spec=xp.Spec(work_dir=str(folder / "work")))
    y = xp.map_blocks(kernel, x, dtype=x.dtype)
    plan = xp.store([y], [str(folder / "y.zarr")]).to_plan()
    (stage,) = plan.stages
    chosen = {(stage.name, (block,)): strikes for block, strikes in (faults or {}).items()}
    slow = [(1.0, Slow(seconds=0.02, moment=Moment.LOAD))]
    made = Faults(folder=folder / "faults", chosen=chosen, rates=slow, spared_after=99)
    return inject(plan, made, requests=tasks)


async def run(plan, workers=1, retry=AT_ONCE):
    backend = ProcessesBackend(max_workers=workers)
    async with ax.Engine(backend, straggler=False) as engine:
        return await engine.execute(plan, retry=retry)


def stored(folder):
    return zarr.open_array(str(folder / "y.zarr"), mode="r")[:]


@pytest.mark.slow
async def test_of_many_that_share_a_slot_those_whose_kernels_kill_it_are_charged(tmp_path):
    blocks = tuple(range(0, TASKS, 16))
    result = await run(storing(tmp_path, Dies(tmp_path, blocks)))
    assert result.stages[0].retries == len(blocks)
    np.testing.assert_array_equal(stored(tmp_path), np.arange(TASKS) + 1)


@pytest.mark.slow
@pytest.mark.parametrize("moment", [Moment.LOAD, Moment.SAVE])
async def test_of_many_that_share_a_slot_none_is_poison_for_one_death_while_it_loads_or_saves(
    tmp_path, moment
):
    faults = {block: [Die(moment=moment)] for block in range(0, TASKS, 16)}
    await run(storing(tmp_path, Dies(tmp_path, ()), faults), workers=2)
    np.testing.assert_array_equal(stored(tmp_path), np.arange(TASKS) + 1)


@pytest.mark.slow
async def test_a_kernel_that_always_kills_its_worker_is_found_in_three_attempts(tmp_path):
    with pytest.raises(PoisonTaskError) as caught:
        await run(storing(tmp_path, Dies(tmp_path, (37,), always=True)))
    assert caught.value.index == (37,)
    assert (tmp_path / "block-37").stat().st_size == 3


@pytest.mark.slow
@pytest.mark.parametrize("moment", [Moment.LOAD, Moment.SAVE])
async def test_a_task_whose_loading_or_saving_always_kills_its_worker_is_found(tmp_path, moment):
    with pytest.raises(PoisonTaskError) as caught:
        await run(storing(tmp_path, Dies(tmp_path, ()), {13: [Die(moment=moment)] * 30}, tasks=16))
    assert caught.value.index == (13,)


async def test_a_worker_that_is_killed_while_all_load_is_charged_to_none_of_them(tmp_path):
    io = TellsProcess(directory=tmp_path)
    io.away.touch()
    async with Driven(ProcessesBackend(max_workers=1), patience=20) as driven:
        kernel = Dies(tmp_path, ())
        batch = driven.send(driven.program(kernel, io=io, concurrency=8, overlaps=True), range(2))
        while not (io.asked(0).exists() and io.asked(1).exists()):
            await asyncio.sleep(0.005)
        os.kill(int((tmp_path / "process").read_text()), signal.SIGKILL)
        outcomes = await driven.outcomes_of(batch)
    assert [(o.status, o.started, o.worker) for o in outcomes] == [(Status.LOST, True, "")] * 2
