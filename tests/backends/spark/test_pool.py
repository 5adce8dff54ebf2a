"""Which of Spark's workers gets the next batch; the workers are real, and what would be Spark starts them here."""

import asyncio
import pickle
import subprocess
import sys

import pytest

pytest.importorskip("pyspark")

from asyncexec.backends.contract import AttemptSpec, Batch, Capabilities, StageProgram
from asyncexec.backends.spark.options import SparkOptions
from asyncexec.backends.spark.pool import WorkerPool
from asyncexec.backends.spark.system import SparkSystem
from asyncexec.errors import BackendError
from asyncexec.events.outcome import Status
from asyncexec.testing.kernels import Held
from asyncexec.testing.patience import scaled

PATIENCE = 30.0
RUN = "import pickle, sys; pickle.load(sys.stdin.buffer)()"


class Here:
    """A Spark that runs what it is asked to in a process each."""

    host = bind_address = "127.0.0.1"
    workers = 3
    paths = tuple(sys.path)

    def open(self):
        pass

    def interrupt(self):
        pass

    def run(self, work, group):
        ended = subprocess.run(
            [sys.executable, "-c", RUN],
            input=pickle.dumps(work),
            check=False,
            timeout=scaled(PATIENCE),
        )
        if ended.returncode:
            raise BackendError(f"a worker ended: {ended.returncode}")

    def stop(self, group):
        pass

    def close(self):
        pass


@pytest.fixture
async def pool():
    pool = WorkerPool(Here(), SparkOptions(), size=3)
    await pool.open()
    yield pool
    for link in pool._links:
        link.disconnect()
    await pool.close()


async def acquire(pool, *apart_from):
    return await asyncio.wait_for(pool.acquire(apart_from), scaled(PATIENCE))


async def three(pool):
    return await asyncio.gather(*[acquire(pool) for _ in range(3)])


async def test_a_worker_that_is_avoided_is_not_given_out_and_counts_no_more(pool):
    links = await three(pool)
    for link in links:
        pool.release(link)
    avoided = links[-1]
    pool.avoid({avoided.worker})
    assert pool.slots == 2
    assert {await acquire(pool), await acquire(pool)} == set(links) - {avoided}
    waiting = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    assert not waiting.done()
    pool.avoid(())
    assert pool.slots == 3
    assert await waiting is avoided


async def test_a_worker_that_is_avoided_goes_to_nobody_who_waits(pool):
    links = await three(pool)
    waiting = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    pool.avoid({links[0].worker})
    assert pool.slots == 3  # It has something to do.
    pool.release(links[0])
    assert pool.slots == 2
    pool.release(links[1])
    assert await waiting is links[1]


async def test_who_comes_for_an_avoided_worker_that_died_is_not_avoided(pool):
    links = await three(pool)
    pool.avoid({links[0].worker})
    waiting = asyncio.create_task(acquire(pool))
    await asyncio.sleep(0)
    await pool.kill(links[0])
    assert pool.slots == 3
    assert await waiting not in links


async def test_avoiding_all_or_nobody_that_is_there_changes_nothing(pool):
    links = await three(pool)
    for names in ({"elsewhere:1"}, {link.worker for link in links}):
        pool.avoid(names)
        for link in links:
            pool.release(link)
        assert pool.slots == 3
        assert set(await three(pool)) == set(links)


async def test_the_last_worker_that_is_left_has_to_work_also_if_it_is_avoided(pool):
    links = await three(pool)
    pool.avoid({links[0].worker})
    pool.release(links[0])
    waiting = asyncio.create_task(acquire(pool))
    await asyncio.sleep(0)
    assert not waiting.done()
    for link in links[1:]:
        await pool.kill(link)
    assert await waiting is links[0]


async def test_what_is_to_run_apart_takes_another_worker_if_one_is_idle(pool):
    links = await three(pool)
    for link in links:
        pool.release(link)
    first = await acquire(pool, links[2].worker, links[1].worker)
    assert first is links[0]
    assert await acquire(pool, links[2].worker, links[1].worker) in links[1:]


class Told:
    """A context that keeps what it is told."""

    def __init__(self):
        self.began_at = 0.0
        self.pending = set(range(100))
        self.outcomes = []
        self.starts = []

    def started(self, attempt, worker):
        self.starts.append((attempt, worker))
        return True

    def ended(self, *outcomes):
        self.outcomes.extend(outcomes)

    def noted(self, *notes):
        pass


async def test_what_an_avoided_worker_has_not_begun_of_its_batch_goes_to_another(tmp_path):
    system = SparkSystem(Here(), SparkOptions(), Capabilities(name="spark"))
    await system.open()
    assert system.slots == 3
    program = StageProgram(
        key="k", plan="p", stage="s", kernel=Held(directory=tmp_path), shape=(9,)
    )
    # Another is there.
    both = [Told(), Told()]
    calls = [
        asyncio.create_task(
            system.call(
                Batch(program, [AttemptSpec(10 * n, n), AttemptSpec(10 * n + 1, n)]), context
            )
        )
        for n, context in enumerate(both)
    ]
    async with asyncio.timeout(scaled(PATIENCE)):
        while not all(context.starts for context in both):
            await asyncio.sleep(0.02)
        ((_, avoided),) = both[0].starts
        system.avoid({avoided})
        Held(directory=tmp_path).release()
        await asyncio.gather(*calls)
    assert [o.status for context in both for o in context.outcomes] == [Status.SUCCEEDED] * 4
    assert both[0].outcomes[0].worker == avoided
    assert avoided not in {o.worker for o in (*both[0].outcomes[1:], *both[1].outcomes)}
    assert system.slots == 2
    await system.close()
