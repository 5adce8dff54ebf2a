"""Array stages in stores elsewhere: how many of their tasks share a slot, and within which memory."""

import asyncio
import dataclasses
from pathlib import Path

import numpy as np
import pytest

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.backends.contract import Capabilities
from asyncexec.plan import ChunkedOutput, Plan, Stage
from asyncexec.plan.locality import Locality
from asyncexec.plan.memory import Memory
from asyncexec.scheduler.batching import FIRST_AT_ONCE, BatchSize, batch_size
from asyncexec.scheduler.overlap import overlap_width, share_bytes, slot_bytes
from asyncexec.storage.chunks.arrays import planned_array
from asyncexec.storage.chunks.block_io import BlockIO, TaskInput, TaskOutput
from asyncexec.testing.kernels import FarFiles

MB = 10**6
THREADS = Capabilities(name="threads", locality=Locality.SAME_PROCESS, overlaps=True)
PROCESSES = Capabilities(name="processes", locality=Locality.SAME_HOST, overlaps=True)


def kernel(index):
    return index


async def coroutine(index):
    return index


def stage(projected=0, allowed=None, **options):
    memory = Memory(
        projected_bytes=projected, reserved_bytes=min(projected, 100 * MB), allowed_bytes=allowed
    )
    output = ChunkedOutput(location="y", shape=(4,), block=(1,), unit=(1,), dtype="f8")
    return Stage(
        name="s",
        shape=(4,),
        outputs=(output,),
        memory=memory,
        **{"kernel": kernel, **options},
    )


def block_of(index):
    return (slice(index[0], index[0] + 1),)


def far(requests=64):
    return FarFiles(directory=Path(), requests=requests)


def test_the_slots_of_one_process_share_its_budget_of_requests():
    assert overlap_width(stage(), far(), THREADS, slots=4) == 16
    assert overlap_width(stage(), far(), PROCESSES, slots=4) == 64
    assert overlap_width(stage(), far(), THREADS, slots=100) == 1


def test_there_are_two_tasks_that_take_pieces_for_each_request_of_a_process_with_one_loop():
    mean = xp.mean(xp.ones((100, 2), chunks=(1, 2), spec=ax.Spec(reduction_tasks=10)), axis=0)
    taking = mean.to_plan().stages[0]
    assert overlap_width(taking, far(), THREADS, slots=4) == 32
    assert overlap_width(taking, far(), PROCESSES, slots=4) == 64


@pytest.mark.parametrize("allowed_mb, width", [(2000, 25), (400, 4), (250, 2), (175, 1)])
def test_no_more_tasks_share_a_slot_than_fit_in_the_memory_of_a_worker(allowed_mb, width):
    heavy = stage(projected=175 * MB, allowed=allowed_mb * MB)
    assert overlap_width(heavy, far(), PROCESSES, slots=2) == width
    assert slot_bytes(heavy.memory, width) <= allowed_mb * MB
    limited = dataclasses.replace(PROCESSES, worker_bytes=250 * MB)
    assert overlap_width(heavy, far(), limited, slots=2) == min(width, 2)


@pytest.mark.parametrize(
    "made, io, can",
    [
        (stage(), far(requests=1), PROCESSES),
        (stage(), far(requests=1), THREADS),
        (stage(), None, PROCESSES),
        (stage(), far(), Capabilities(name="plain")),
        (stage(idempotent=False), far(), PROCESSES),
        (stage(kernel=coroutine), far(), PROCESSES),
    ],
    ids=["local", "local-threads", "values", "backend", "not-repeated", "coroutine"],
)
@pytest.mark.parametrize("slots", [1, 2])
def test_other_stages_keep_a_slot_for_each_task(made, io, can, slots):
    assert overlap_width(made, io, can, slots=slots) == 1


def test_arrays_on_this_machine_are_not_waited_for(tmp_path):
    def io(place):
        array = planned_array(place, shape=(4,), dtype="f8", chunks=(1,))
        return BlockIO(targets=(TaskOutput(array=array, block=(1,)),))

    assert io(tmp_path / "x").requests == 1
    assert io("memory://x").requests == 1
    assert io("s3://bucket/x").requests == 128
    assert dataclasses.replace(io("s3://bucket/x"), most_requests=5).requests == 5


def test_what_a_worker_holds_before_any_data_is_counted_once_a_slot():
    memory = Memory(projected_bytes=175 * MB, reserved_bytes=100 * MB)
    assert slot_bytes(memory, 1) == 175 * MB
    assert slot_bytes(memory, 4) == 400 * MB
    assert share_bytes(memory, 4) == 100 * MB
    assert share_bytes(memory, 1) == 175 * MB
    assert share_bytes(Memory(), 4) == 0


def test_a_slot_is_sent_a_few_tasks_until_one_says_how_many_it_should_have():
    size = BatchSize(512, at_once=64, first=FIRST_AT_ONCE)
    assert size.size(ready=10_000, slots=2) == FIRST_AT_ONCE
    size.widen(1000)
    size.measured(0.1)
    assert size.at_once == 64
    assert size.size(ready=10_000, slots=2) == 64
    size.widen(2)
    size.measured(10.0)
    assert size.size(ready=10_000, slots=2) == 2
    assert size.size(ready=2, slots=2) == 1


def test_slots_of_one_process_share_what_they_are_sent_so_that_it_is_as_many_as_they_may_run_at_once():
    capabilities = dataclasses.replace(UNTOLD, tells_progress=True, shares_slots=True)
    process = dataclasses.replace(capabilities, locality=Locality.SAME_PROCESS)
    several = batch_size(stage(), capabilities, at_once=64, overlaps=True)
    assert several.size(ready=10_000, slots=2) == FIRST_AT_ONCE
    one = batch_size(stage(), process, at_once=64, overlaps=True)
    assert one.size(ready=10_000, slots=2) == 64


UNTOLD = Capabilities(name="untold", batch_limit=512, overlaps=True, tells_progress=False)


def test_where_nothing_is_told_within_a_batch_one_task_says_first_how_many_a_slot_should_have():
    size = batch_size(stage(), UNTOLD, at_once=64, overlaps=True)
    assert size.size(ready=10_000, slots=2) == 1
    size.measured(0.01, 40)
    assert size.size(ready=10_000, slots=2) >= 40


@pytest.mark.parametrize("seconds, most", [(0.1, 512), (6.0, 3), (11.0, 1)])
def test_a_batch_that_tells_nothing_has_ended_before_its_first_task_runs_into_its_timeout(
    seconds, most
):
    """Which seems to run as long as all of them; tasks that overlap take two rounds at most."""
    size = batch_size(stage(), UNTOLD, at_once=3, overlaps=True, task_timeout=20.0)
    size.measured(seconds, 3)
    assert size.size(ready=10_000, slots=2) <= most
    alone = batch_size(stage(), UNTOLD, at_once=1, task_timeout=20.0)
    alone.measured(seconds)
    assert alone.size(ready=10_000, slots=2) * seconds <= max(10.0, seconds)


def test_a_dear_message_is_no_reason_for_a_batch_beyond_the_timeout_of_its_first_task():
    dear = dataclasses.replace(UNTOLD, call_seconds=2.0)
    size = batch_size(stage(), dear, at_once=1, task_timeout=4.0)
    size.measured(0.1)
    assert 1 < size.size(ready=10_000, slots=1) <= 20


class CountingIO:
    """Counts the tasks that hold data, and has all but the first few loaded when there are no more to come."""

    requests = 64

    def __init__(self, inner, counts):
        self._inner = inner
        self._counts = counts

    async def aload(self, index, in_thread):
        counts = self._counts
        counts["held"] += 1
        counts["peak"] = max(counts["peak"], counts["held"])
        peak = -1
        while counts["began"] > 10 and peak < counts["peak"]:
            peak = counts["peak"]
            await asyncio.sleep(0.01)
        counts["began"] += 1
        return await in_thread(self._inner.load, index)

    async def asave(self, index, result, in_thread):
        saved = await in_thread(self._inner.save, index, result)
        self._counts["held"] -= 1
        return saved

    def load(self, index):
        self._counts["held"] += 1
        self._counts["peak"] = max(self._counts["peak"], self._counts["held"])
        return self._inner.load(index)

    def save(self, index, result):
        saved = self._inner.save(index, result)
        self._counts["held"] -= 1
        return saved


class Counted:
    """A workspace whose tasks are counted while they hold data."""

    def __init__(self, inner, counts):
        self._inner = inner
        self._counts = counts

    def open(self, stages, opening):
        return Counted(self._inner.open(stages, opening), self._counts)

    def io(self, stage):
        return CountingIO(self._inner.io(stage), self._counts)

    def __getattr__(self, name):
        return getattr(self._inner, name)


def lowered(folder, allowed):
    spec = xp.Spec(allowed_mem=allowed, reserved_mem=0, work_dir=str(folder / "work"))
    x = xp.ones((80, 1000), chunks=(1, 1000), spec=spec)
    return xp.store([x + 1], [str(folder / "y.zarr")]).to_plan()


@pytest.mark.parametrize("fitting", [64, 7, 1])
async def test_tasks_in_flight_hold_no_more_than_a_worker_may(tmp_path, fitting):
    """The data of those that share a slot, each as it is projected, stay within ``allowed_mem``."""
    per_task = lowered(tmp_path, 10**9).projected_bytes
    plan = lowered(tmp_path, per_task * fitting + per_task // 2)
    assert plan.projected_bytes == per_task
    # The first has to end before others are begun: its kernel sets the pace.
    counts = {"held": 0, "peak": 0, "began": 0}
    workspace = Counted(plan.workspace, counts)
    plan = Plan(plan.stages, plan.name, plan.returns, workspace=workspace)
    async with ax.Engine("threads", executor_options={"max_workers": 1}, straggler=False) as engine:
        result = await engine.execute(plan)
    assert result.attempts == 80
    assert counts["held"] == 0
    assert min(fitting, 2) <= counts["peak"] <= fitting


async def test_what_a_spec_says_of_requests_reaches_the_budget_of_the_process():
    """Inputs and outputs of a task are awaited together, and more requests than usual may be in flight."""
    pytest.importorskip("obstore")
    from obstore.store import MemoryStore
    from zarr.storage import ObjectStore

    from asyncexec.storage import create_array, open_array
    from asyncexec.storage.places.request_budget import RequestBudget, shared_budget

    async def in_thread(function, *arguments):
        return function(*arguments)

    planned = planned_array(
        ObjectStore(MemoryStore()), path="y", shape=(4,), dtype="f8", chunks=(1,)
    )
    create_array(planned)
    array = open_array(planned.location)
    io = BlockIO(
        sources=(TaskInput(array=array, select=block_of),) * 2,
        targets=(TaskOutput(array=array, block=(1,)),),
        most_requests=70,
    )
    assert await io.asave((2,), np.full(1, 7.0), in_thread) == 8
    (one, other), nbytes = await io.aload((2,), in_thread)
    assert (one[0], other[0], nbytes) == (7.0, 7.0, 16)
    assert shared_budget().width >= 70
    budget = RequestBudget(5)
    budget.widen(3)
    assert budget.width == 5
