import asyncio
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import loky
import numpy as np
import pytest
import zarr

import asyncexec.array as xp
from asyncexec.backends.futures import FuturesBackend
from asyncexec.engine import Engine
from asyncexec.errors import BackendError
from asyncexec.events.outcome import Status
from asyncexec.plan import Plan
from asyncexec.policies.retry import Retry
from asyncexec.testing import kernels
from asyncexec.testing.conformance import BackendConformance
from asyncexec.testing.driving import Driven
from asyncexec.testing.kernels import Held, Stumbling
from asyncexec.worker.attempt import decode
from tests.backends.brief import Again

pytestmark = [
    pytest.mark.backend,
    pytest.mark.leaks("loky's reusable pool keeps its workers, and both its trackers"),
]

PATIENCE = 60.0


def reusable():
    """Return the pool that loky keeps for the whole program; made anew where it broke."""
    return loky.get_reusable_executor(max_workers=2, timeout=60)


class TestOneCallATask(Again):
    patience = PATIENCE
    many = 2_000

    @pytest.fixture
    def backend(self):
        return lambda: FuturesBackend(executor=lambda: loky.ProcessPoolExecutor(2), batch_limit=1)


class TestReusable(BackendConformance):
    patience = PATIENCE
    many = 10_000

    @pytest.fixture
    def backend(self):
        return lambda: FuturesBackend(executor=reusable)


async def test_a_reusable_pool_that_is_lent_stays():
    pool = reusable()
    async with Engine(executor=FuturesBackend(executor=pool)) as engine:
        assert (await engine.execute(Plan.map(abs, range(-100, 0)))).tasks == 100
    assert pool.submit(abs, -3).result() == 3


async def test_a_worker_that_is_killed_between_tasks_costs_no_result():
    async with Driven(FuturesBackend(executor=reusable, batch_limit=1), patience=PATIENCE) as drive:
        (first,) = drive.send(drive.program(kernels.process), [0])
        os.kill(decode((await drive.outcome(first)).value), signal.SIGKILL)
        again = [drive.send(drive.program(kernels.echo), [task])[0] for task in range(20)]
        for outcome in await drive.outcomes_of(again):
            assert outcome.status in {Status.SUCCEEDED, Status.LOST}
        last = [drive.send(drive.program(kernels.echo), [task])[0] for task in range(20)]
        for outcome in await drive.outcomes_of(last):
            assert outcome.status is Status.SUCCEEDED


async def test_workers_that_die_again_and_again_do_not_end_a_run(tmp_path):
    deadly = Stumbling(directory=tmp_path, deed=kernels.exit_process, only=(3, 30, 60, 90))
    # A pool that breaks takes with it what its other workers had: one task a call keeps that to a few.
    backend = FuturesBackend(executor=reusable, batch_limit=1)
    async with Engine(executor=backend, straggler=False) as engine:
        result = await engine.execute(Plan.map(deadly, range(100)), retry=Retry(base_seconds=0.0))
    assert result.value == list(range(100))
    assert result.failures >= 4


async def test_a_pool_that_is_lent_and_breaks_says_what_to_do(tmp_path):
    held = Held(directory=tmp_path)
    pool = loky.ProcessPoolExecutor(2)
    async with Driven(FuturesBackend(executor=pool), patience=PATIENCE) as drive:
        (bystander,) = drive.send(drive.program(held), [0])
        await drive.started(bystander)
        (lethal,) = drive.send(drive.program(kernels.die), [1])
        waiting = drive.send(drive.program(kernels.echo), [2])
        lost = await drive.outcomes_of([bystander, lethal])
        assert [o.status for o in lost] == [Status.LOST, Status.LOST]
        with pytest.raises(BackendError, match="lambda: ProcessPoolExecutor"):
            await drive.outcomes_of(waiting)
    held.release()
    pool.shutdown(kill_workers=True)


async def test_memory_that_tasks_leave_behind_in_a_worker_does_not_lose_their_results():
    """loky replaces a worker that has grown by 300 MB, while the pool goes on."""
    keep = "import builtins; builtins.kept = getattr(builtins, 'kept', []) + [bytearray(8_000_000)]"

    def grow(item):
        exec(keep)
        time.sleep(0.03)
        return item

    backend = FuturesBackend(executor=lambda: loky.ProcessPoolExecutor(2), batch_limit=1)
    async with Engine(executor=backend, straggler=False) as engine:
        result = await engine.execute(Plan.map(grow, range(120)))
    assert result.value == list(range(120))


@dataclass(frozen=True)
class Waiting:
    """A function of blocks that says that it has begun, and goes on when it is let."""

    begun: Path
    let: Path

    def __call__(self, block):
        self.begun.touch()
        while not self.let.exists():
            time.sleep(0.02)
        return block - 100


async def test_an_attempt_that_a_cancelled_run_left_behind_does_not_touch_the_next_runs_target(
    tmp_path,
):
    waiting = Waiting(tmp_path / "begun", tmp_path / "let")
    target = tmp_path / "y.zarr"
    x = xp.arange(6.0, chunks=3)
    pool = loky.ProcessPoolExecutor(2)
    try:
        async with Engine(executor=FuturesBackend(executor=pool), straggler=False) as engine:
            plan = xp.store([xp.map_blocks(waiting, x, dtype=float)], [target])
            late = asyncio.create_task(engine.execute(plan))
            while not waiting.begun.exists():
                await asyncio.sleep(0.02)
            late.cancel()
            with pytest.raises(asyncio.CancelledError):
                await late
            # On another executor: this pool's workers are held by what was cancelled.
            async with Engine(executor="threads") as other:
                await other.execute(xp.store([x + 1], [target]))
            waiting.let.touch()
    finally:
        # What was cancelled has run to its end, its writes included.
        await asyncio.to_thread(pool.shutdown, wait=True)
    found = await asyncio.to_thread(lambda: zarr.open_array(target)[...])
    np.testing.assert_array_equal(found, np.arange(6.0) + 1)
    assert [p.name for p in tmp_path.iterdir() if "y.zarr" in p.name] == ["y.zarr"]
