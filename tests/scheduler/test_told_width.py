"""How many tasks a slot is to run at once, as the first piece of one that still runs says."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.plan import Plan, Stage
from asyncexec.scheduler.batching import FIRST_AT_ONCE, BatchSize
from asyncexec.scheduler.dispatch import WINDOW
from asyncexec.testing.patience import scaled
from asyncexec.worker.codec import decode_reports, encode_reports
from asyncexec.worker.records import WIDTH, Note
from tests.scheduler.workbench import Workbench

TASKS = 40
ENOUGH = WINDOW * FIRST_AT_ONCE + 1
"""More tasks than a worker is sent before one has said how many it should have."""
LOADING_SECONDS = 0.5
"""Far longer than what a kernel takes, so that many tasks keep it busy."""


async def kernel(item):
    return item


def bench(concurrency=8):
    stage = Stage(name="s", shape=(100,), kernel=kernel, concurrency=concurrency)
    return Workbench(Plan((stage,)), slots=1, batch=512, shares_slots=True)


def narrow(started):
    """Run a stage with two tasks at once in a slot, of eight that there may be."""
    stage = started.run.stages[0]
    stage.running = stage.running._replace(batch=BatchSize(512, at_once=8, first=2))
    return started.send()


def told(started, job, width):
    started.run.report([Note(job.attempt, WIDTH, "", "w", width=width)], started.now)


def test_a_slot_that_is_to_run_more_at_once_is_sent_more_while_all_of_its_tasks_run():
    started = bench()
    first = narrow(started)
    assert len(first) == 2 * WINDOW
    told(started, first[0], 8)
    assert started.budget.slots_taken == pytest.approx(len(first) / 8)
    more = started.send()
    assert len(first) + len(more) >= 8 * WINDOW
    assert not started.run.event_buffer.notes
    for job in (*first, *more):
        started.end(job)
    started.finish()
    assert (started.budget.slots_taken, started.budget.batches) == (0.0, 0)


def test_slots_are_given_back_for_what_batches_took_when_they_were_told():
    started = bench()
    first = narrow(started)
    started.end(first[0])
    told(started, first[1], 6)
    taken = started.budget.slots_taken
    started.end(first[1])
    assert started.budget.slots_taken == pytest.approx(taken - 1 / 6)


@pytest.mark.parametrize("width", [1, 2])
def test_a_first_piece_does_not_have_fewer_tasks_run_at_once(width):
    started = bench()
    first = narrow(started)
    told(started, first[0], width)
    assert started.run.stages[0].running.batch.at_once == 2
    assert started.budget.slots_taken == WINDOW


def test_a_note_of_a_width_travels():
    note = Note(3, WIDTH, "", "w", width=17)
    assert decode_reports(encode_reports([note])) == [note]


@dataclass(frozen=True, kw_only=True)
class MeetingIO:
    """Has the second of two pieces of a task loaded when the first of ``ENOUGH`` tasks are."""

    inner: Any
    folder: Path
    requests: int = 64

    async def aload(self, index, in_thread):
        task, second = divmod(index[0], 2)
        (self.folder / f"task-{task}").touch()
        if not second:
            await asyncio.sleep(LOADING_SECONDS)
        give_up = time.monotonic() + scaled(30)
        while second and len(list(self.folder.iterdir())) < ENOUGH:
            if time.monotonic() > give_up:
                raise TimeoutError("too few tasks run at once")
            await asyncio.sleep(0.01)
        return await in_thread(self.inner.load, index)

    async def asave(self, index, result, in_thread):
        return await in_thread(self.inner.save, index, result)

    def load(self, index):
        return self.inner.load(index)

    def save(self, index, result):
        return self.inner.save(index, result)


class MeetingWorkspace:
    """A workspace of which the first stage is in a store elsewhere."""

    def __init__(self, inner, name, folder):
        self._inner, self._name, self._folder = inner, name, folder

    def open(self, stages, opening):
        return MeetingWorkspace(self._inner.open(stages, opening), self._name, self._folder)

    def io(self, stage):
        found = self._inner.io(stage)
        return MeetingIO(inner=found, folder=self._folder) if stage.name == self._name else found

    def __getattr__(self, name):
        return getattr(self._inner, name)


@pytest.mark.usefixtures("functions_by_value")
@pytest.mark.parametrize("executor", ["processes", "threads"])
async def test_the_first_piece_of_a_reduction_says_how_many_tasks_a_worker_is_sent(
    tmp_path, executor
):
    """No task ends before more run at once than a worker is sent as long as none has said anything."""
    met = tmp_path / "met"
    met.mkdir()
    spec = ax.Spec(work_dir=str(tmp_path / "work"), reduction_tasks=TASKS)
    mean = xp.mean(xp.ones((2 * TASKS, 10), chunks=(1, 10), spec=spec), axis=0)
    plan = mean.to_plan()
    first = plan.stages[0]
    assert hasattr(first.kernel, "pieces")
    assert first.shape[0] == TASKS
    workspace = MeetingWorkspace(plan.workspace, first.name, met)
    plan = Plan(plan.stages, plan.name, plan.returns, workspace=workspace)
    options = {"max_workers": 1}
    async with ax.Engine(executor, executor_options=options, straggler=False) as engine:
        result = await engine.execute(plan, retry=1)
    np.testing.assert_array_equal(result.value, np.ones(10))
