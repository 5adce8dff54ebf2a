"""The budget of requests of a process: held in threads and event loops, and never lost."""

import asyncio
import threading

from asyncexec.storage.places.request_budget import RequestBudget, shared_budget
from asyncexec.testing.patience import scaled


async def test_no_more_are_under_way_than_the_budget_has():
    budget, most, now = RequestBudget(3), 0, 0

    async def one():
        nonlocal most, now
        async with budget:
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1

    await asyncio.gather(*(one() for _ in range(20)))
    assert most == 3
    assert budget.held == 0


async def test_a_cancelled_wait_holds_nothing():
    budget = RequestBudget(1)
    async with budget:
        waiting = [asyncio.create_task(budget.__aenter__()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
    # Its turn has come, and it is cancelled before it hears of that.
    waiting[1].cancel()
    await asyncio.wait(waiting)
    assert waiting[2].exception() is None
    await budget.__aexit__(None, None, None)
    assert budget.held == 0


def test_threads_and_loops_share_one_budget():
    budget, held, go = RequestBudget(1), threading.Event(), threading.Event()

    def hold():
        with budget:
            held.set()
            go.wait(scaled(30))

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(scaled(10))

    async def wait():
        task = asyncio.create_task(budget.__aenter__())
        await asyncio.sleep(0)
        assert not task.done()
        go.set()
        await asyncio.wait_for(task, scaled(10))
        await budget.__aexit__(None, None, None)

    asyncio.run(wait())
    thread.join()
    assert budget.held == 0


def test_a_loop_that_ends_while_one_waits_keeps_nothing():
    budget = RequestBudget(1)

    async def leave():
        async with budget:
            waiting = asyncio.create_task(budget.__aenter__())
            await asyncio.sleep(0)
        return waiting

    asyncio.run(leave())
    # What waited was cancelled with the loop, whether its turn had come or not.
    assert budget.held == 0


def test_a_process_has_one_of_128(monkeypatch):
    # A process that has had none yet: in this one, runs may have asked for more.
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert shared_budget() is shared_budget()
    assert shared_budget().width == 128
