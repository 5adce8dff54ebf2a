"""A loop on virtual time: jumps when idle, waits for real work, and says so when nothing can happen."""

import asyncio
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
from hypothesis import given, strategies as st

from asyncexec.errors import UsageError
from asyncexec.testing.virtual_clock import DeadlockError, VirtualClockLoop, real_work
from asyncexec.testing.virtual_time import explore, run, virtual_time


def now() -> float:
    return asyncio.get_running_loop().time()


@virtual_time
async def test_a_year_of_sleeping_takes_no_real_time():
    before = time.monotonic()
    await asyncio.sleep(365 * 24 * 3600)
    assert now() == 365 * 24 * 3600
    assert time.monotonic() - before < 60


@virtual_time
async def test_sleepers_wake_in_the_order_of_their_times():
    woken = []

    async def sleeper(seconds):
        await asyncio.sleep(seconds)
        woken.append((seconds, now()))

    await asyncio.gather(*(sleeper(s) for s in (30, 10, 20, 10.5)))
    assert woken == [(10, 10), (10.5, 10.5), (20, 20), (30, 30)]


@virtual_time
async def test_anyio_follows_the_virtual_clock():
    with anyio.move_on_after(5) as scope:
        await anyio.sleep(3600)
    assert scope.cancelled_caught
    assert anyio.current_time() == 5

    with pytest.raises(TimeoutError):
        with anyio.fail_after(10):
            await anyio.sleep_forever()
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep, 100)
        group.start_soon(anyio.sleep, 200)
    assert anyio.current_time() == 215


@virtual_time
async def test_asyncio_timeouts_follow_the_virtual_clock():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(60):
            await asyncio.Event().wait()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.sleep(3600), 30)
    assert now() == 90


def test_waiting_for_what_nobody_can_do_is_an_error_that_says_where():
    async def forgotten():
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError, match=r"at .*test_virtual_clock\.py:\d+ in .*forgotten"):
        run(forgotten(), patience_seconds=0.05)


def test_a_deadlock_after_some_sleeping_names_every_task():
    async def first():
        await asyncio.Event().wait()

    async def main():
        async with asyncio.TaskGroup() as group:
            group.create_task(first(), name="one")
            group.create_task(asyncio.sleep(10))
            group.create_task(first(), name="two")

    with pytest.raises(DeadlockError, match=r"(?s)one waits.*two waits"):
        run(main(), patience_seconds=0.05)


@virtual_time
async def test_time_stands_still_while_a_thread_works():
    timer = asyncio.get_running_loop().call_later(0.001, pytest.fail, "time went on")
    assert await asyncio.to_thread(_work) == "done"
    assert now() == 0
    timer.cancel()


@virtual_time
async def test_time_stands_still_while_a_thread_of_anyio_works():
    timer = asyncio.get_running_loop().call_later(0.001, pytest.fail, "time went on")
    assert await anyio.to_thread.run_sync(_work) == "done"
    assert await anyio.to_thread.run_sync(_work, limiter=anyio.CapacityLimiter(1)) == "done"
    assert now() == 0
    timer.cancel()
    await anyio.sleep(1)
    assert now() == 1


@virtual_time
async def test_threads_may_call_back_into_the_loop():
    result = await anyio.to_thread.run_sync(lambda: anyio.from_thread.run(_answer))
    assert result == 42


@virtual_time
async def test_an_undeclared_thread_can_wake_a_loop_that_has_nothing_else_to_do():
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    thread = threading.Thread(target=lambda: (_work(), loop.call_soon_threadsafe(event.set)))
    thread.start()
    await event.wait()
    thread.join()
    assert now() == 0


@virtual_time
async def test_undeclared_threads_do_not_hold_time():
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    await asyncio.sleep(3600)
    release.set()
    thread.join()
    assert now() == 3600


@virtual_time
async def test_declared_real_work_holds_time():
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    with ThreadPoolExecutor(1) as pool, real_work():
        pool.submit(lambda: (_work(), loop.call_soon_threadsafe(event.set)))
        async with asyncio.timeout(0.001):
            await event.wait()
    assert now() == 0


def test_real_work_that_never_reports_is_an_error():
    async def main():
        with real_work():
            await asyncio.sleep(1)

    with pytest.raises(DeadlockError, match="real work that does not end"):
        run(main(), patience_seconds=0.05)


async def test_real_work_needs_a_virtual_clock():
    with pytest.raises(UsageError, match="virtual_time"), real_work():
        pytest.fail("entered")


@virtual_time
async def test_sockets_work():
    async def echo(reader, writer):
        writer.write(await reader.readline())
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, family=socket.AF_INET)
    async with server:
        with real_work():
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"hello\n")
            async with asyncio.timeout(0.001):
                assert await reader.readline() == b"hello\n"
            writer.close()
            await writer.wait_closed()


@virtual_time
async def test_child_processes_work():
    with real_work():
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "print('hello')", stdout=subprocess.PIPE
        )
        async with asyncio.timeout(0.001):
            out, _ = await child.communicate()
    assert out == b"hello\n"


def order_of(seed):
    order = []

    async def step(name):
        for _ in range(3):
            order.append(name)
            await asyncio.sleep(0)

    async def main():
        async with asyncio.TaskGroup() as group:
            for name in "abcd":
                group.create_task(step(name))

    run(main(), seed=seed)
    return "".join(order)


def test_the_same_seed_gives_the_same_order():
    assert order_of(7) == order_of(7)
    assert len({order_of(seed) for seed in range(20)}) > 10


def test_without_a_seed_the_order_is_that_of_asyncio():
    assert order_of(None) == "abcdabcdabcd"


def test_callbacks_keep_their_order_whatever_the_seed():
    async def main():
        order = []
        for i in range(50):
            asyncio.get_running_loop().call_soon(order.append, i)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return order

    assert all(run(main(), seed=seed) == list(range(50)) for seed in range(5))


def test_exploring_finds_a_race_and_says_the_seed():
    async def racy():
        order = []

        async def put(name):
            order.append(name)

        async with asyncio.TaskGroup() as group:
            group.create_task(put("first"))
            group.create_task(put("second"))
        assert order == ["first", "second"]

    run(racy())
    with pytest.raises(AssertionError) as caught:
        explore(racy)
    assert "seed=" in caught.value.__notes__[0]


@virtual_time(seeds=range(3))
async def test_a_test_can_run_once_per_seed(tmp_path):
    with (tmp_path / "runs").open("a") as file:
        file.write("x")
    assert 1 <= len((tmp_path / "runs").read_text()) <= 3


@pytest.mark.parametrize("seconds", [1, 1e9, 0.1])
@virtual_time
async def test_fixtures_and_parameters_reach_the_test(seconds, tmp_path):
    assert tmp_path.exists()
    await anyio.sleep(seconds)
    assert now() == seconds


@given(st.lists(st.floats(0, 1e7), max_size=20))
@virtual_time
async def test_time_never_passes_a_timer_by(delays):
    loop, fired = asyncio.get_running_loop(), []
    for delay in delays:
        loop.call_later(delay, lambda due: fired.append((due, loop.time())), delay)
    await asyncio.sleep(1e7 + 1)
    assert [due for due, _ in fired] == sorted(delays)
    assert all(at == pytest.approx(due, abs=1e-8) for due, at in fired)


def test_many_timers_are_quick():
    async def main():
        async with asyncio.TaskGroup() as group:
            for i in range(2_000):
                group.create_task(asyncio.sleep(3600 + i))
        return now()

    assert run(main()) == 3600 + 1999


def test_the_loop_serves_as_a_loop_factory():
    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        runner.run(asyncio.sleep(10))
        assert runner.get_loop().time() == 10
        runner.run(asyncio.sleep(10))
        assert runner.get_loop().time() == 20


def _work():
    time.sleep(0.02)
    return "done"


async def _answer():
    return 42
