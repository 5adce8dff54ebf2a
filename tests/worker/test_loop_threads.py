"""Threads that block for an event loop, kernels that run in them a few at once, and the pace that these set."""

import asyncio
import threading

import pytest

from asyncexec.worker.loop_threads import KernelThreads, LoopThreads, PacedKernels, finished
from asyncexec.worker.pace import FIRST, Pace


@pytest.fixture
def threads():
    made = LoopThreads()
    yield made
    made.close()


async def test_threads_are_used_again_and_return_what_functions_do(threads):
    first = await threads.run(threading.get_ident)
    assert await threads.run(threading.get_ident) == first
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 / 0)


async def test_as_many_block_at_once_as_are_called(threads):
    barrier = threading.Barrier(40, timeout=30)
    assert len(set(await asyncio.gather(*(threads.run(barrier.wait) for _ in range(40))))) == 40


async def test_a_cancellation_waits_for_what_cannot_be_interrupted(threads):
    go = threading.Event()
    waits = asyncio.create_task(finished(threads.submit(go.wait, 30)))
    await asyncio.sleep(0)
    waits.cancel()
    await asyncio.sleep(0.01)
    assert not waits.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await waits


async def test_what_is_wanted_all_the_same_is_returned_after_a_cancellation(threads):
    go = threading.Event()
    waits = asyncio.create_task(finished(threads.submit(go.wait, 30), wanted=True))
    await asyncio.sleep(0)
    waits.cancel()
    go.set()
    assert await waits is True


async def test_kernels_take_turns_and_one_that_is_left_gives_up_its_turn():
    entered = []
    kernels = KernelThreads(1, entered.append)
    go = threading.Event()
    first = asyncio.create_task(kernels.run(1, lambda: go.wait(30)))
    second = asyncio.create_task(kernels.run(2, lambda: "second"))
    given_up = asyncio.create_task(kernels.run(3, lambda: "third"))
    await asyncio.sleep(0.01)
    assert entered == [1]
    given_up.cancel()
    kernels.leave(1)
    assert await second == "second"
    go.set()
    assert await first is True
    assert entered == [1, 0, 2, 0]
    with pytest.raises(asyncio.CancelledError):
        await given_up
    kernels.threads.close()


def test_a_pace_begins_with_one_that_computes_and_one_that_follows():
    assert Pace(64, kernels=1).width == FIRST
    assert Pace(64, kernels=4).width == 4 * FIRST
    assert Pace(1, kernels=4).width == 1


@pytest.mark.parametrize(
    "io_seconds, kernel_seconds, width",
    [(0.06, 0.0, 64), (0.06, 0.001, 62), (0.1, 0.1, 3), (0.1, 1.0, 2), (0.1, 10.0, 2)],
)
def test_a_pace_has_as_many_as_load_and_save_while_one_computes(io_seconds, kernel_seconds, width):
    pace = Pace(64, kernels=1)
    pace.measured(io_seconds, kernel_seconds)
    assert pace.width == width
    for _ in range(50):
        pace.measured(1.0, 1.0)
    assert 2 <= pace.width <= 3


async def test_the_first_piece_of_an_attempt_says_how_many_others_begin():
    threads, pace, widths = KernelThreads(1), Pace(64, kernels=1), []
    kernels = PacedKernels(threads, pace, 1, lambda: widths.append(pace.width))
    await kernels.run(1, lambda: None)
    assert kernels.measured_piece(1, 1000.0) == 64
    assert widths == [64]
    assert kernels.measured_piece(2, 0.0) == 0
    assert (widths, pace.width) == ([64], 64)
    threads.close()
