import multiprocessing
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import anyio
import pytest

import asyncexec as ax
from asyncexec.backends.adapters.packing import SMALL_PROGRAM_BYTES
from asyncexec.backends.futures import FuturesBackend
from asyncexec.errors import BackendError, OptionError, TaskMemoryError
from asyncexec.events.outcome import Status
from asyncexec.plan.locality import Locality
from asyncexec.testing import kernels
from asyncexec.testing.driving import Driven
from asyncexec.testing.kernels import Held, Meeting, Stumbling
from asyncexec.testing.patience import scaled
from asyncexec.worker.records import AttemptSpec
from asyncexec.worker.remote_batch import NEEDS_PROGRAM, RemoteBatch

PATIENCE = 20.0


@pytest.fixture
def processes():
    """A pool of two processes that stays the test's own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["asyncexec.testing.kernels", "asyncexec.backends.futures"])
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        yield pool


@pytest.fixture
def threads():
    with ThreadPoolExecutor(2) as pool:
        yield pool


def driven(executor, **options) -> Driven:
    return Driven(FuturesBackend(executor=executor, **options), patience=PATIENCE)


async def until(holds) -> None:
    with anyio.fail_after(scaled(PATIENCE)):
        while not holds():
            await anyio.sleep(0.001)


class Inline(Executor):
    """Runs calls as if far away, in this thread; keeps what it was given."""

    def __init__(self, max_workers=None) -> None:
        self.calls = []
        if max_workers is not None:
            self._max_workers = max_workers

    def submit(self, _run, call):
        self.calls.append(call)
        future = Future()
        future.set_running_or_notify_cancel()
        future.set_result(self.answer(call))
        return future

    def answer(self, call):
        return call()


async def test_a_pool_handed_in_stays_open(threads, processes):
    for pool in (threads, processes):
        async with driven(pool) as drive:
            attempts = drive.send_all(drive.program(kernels.echo), range(5))
            await drive.outcomes_of(attempts)
        assert pool.submit(abs, -3).result() == 3


async def test_slots_are_the_workers_of_the_pool(threads):
    async with driven(threads) as drive:
        assert drive.backend.slots == 2
    async with driven(threads, max_workers=1) as drive:
        assert drive.backend.slots == 1
    async with driven(Inline(), max_workers=5) as drive:
        assert drive.backend.slots == 5


async def test_a_pool_that_does_not_say_its_size_needs_max_workers():
    with pytest.raises(OptionError, match="Inline does not say how many workers"):
        async with FuturesBackend(executor=Inline()):
            pass


async def test_a_factory_must_make_a_pool():
    with pytest.raises(OptionError, match="returned 3, which is not"):
        async with FuturesBackend(executor=lambda: 3):
            pass


async def test_what_a_factory_raises_comes_out(monkeypatch):
    with pytest.raises(ZeroDivisionError):
        async with FuturesBackend(executor=lambda: 1 / 0):
            pass


async def test_pools_say_what_they_are(threads, processes):
    local = FuturesBackend(executor=threads).capabilities
    assert (local.locality, local.isolated) == (Locality.SAME_PROCESS, False)
    apart = FuturesBackend(executor=processes).capabilities
    assert (apart.locality, apart.isolated) == (Locality.SAME_HOST, True)
    far = FuturesBackend(executor=Inline()).capabilities
    assert (far.locality, far.isolated) == (Locality.ELSEWHERE, True)


async def test_a_batch_is_one_call(processes):
    async with driven(processes, batch_limit=16) as drive:
        attempts = drive.send_all(drive.program(kernels.echo), range(100))
        outcomes = await drive.outcomes_of(attempts)
    assert [o.status for o in outcomes] == [Status.SUCCEEDED] * 100
    assert len({o.worker for o in outcomes[:16]}) == 1


async def test_cancelling_one_of_a_batch_in_flight_leaves_the_others_alone(threads, tmp_path):
    held = Held(directory=tmp_path, only=(0,))
    async with driven(threads, batch_limit=8) as drive:
        batch = drive.send(drive.program(held), range(4))
        await drive.started(batch[0])
        drive.cancel([batch[2]])
        assert (await drive.outcome(batch[2])).status is Status.CANCELLED
        held.release()
        rest = await drive.outcomes_of([batch[0], batch[1], batch[3]])
        assert [o.status for o in rest] == [Status.SUCCEEDED] * 3
        await drive.finish()
    assert not held.began(2)


async def test_a_batch_in_a_queue_sheds_what_is_cancelled(threads, tmp_path):
    held = Held(directory=tmp_path, only=(0,))
    async with driven(threads, max_workers=1, batch_limit=8) as drive:
        program = drive.program(held)
        (first,) = drive.send(program, [0])
        await drive.started(first)
        batch = drive.send(program, [1, 2, 3])
        await anyio.sleep(0.01)
        drive.cancel(batch[:2])
        outcomes = await drive.outcomes_of(batch[:2])
        assert not any(o.started for o in outcomes)
        held.release()
        assert (await drive.outcome(batch[2])).status is Status.SUCCEEDED
    assert not held.began(1)
    assert not held.began(2)


async def test_tasks_given_up_hold_their_workers(threads, tmp_path):
    held = Held(directory=tmp_path)
    async with driven(threads) as drive:
        (attempt,) = drive.send(drive.program(held), [0])
        await drive.started(attempt)
        drive.cancel([attempt])
        await drive.outcome(attempt)
        assert drive.backend.slots == 1
        assert drive.backend.abandoned == 1
        (other,) = drive.send(drive.program(kernels.echo), [1])
        assert (await drive.outcome(other)).status is Status.SUCCEEDED
        held.release()
        await until(lambda: drive.backend.slots == 2)


async def test_work_without_a_worker_left_breaks_a_pool_handed_in(threads, tmp_path):
    held = Held(directory=tmp_path)
    async with driven(threads, max_workers=1, patience=0.1) as drive:
        (attempt,) = drive.send(drive.program(held), [0])
        await drive.started(attempt)
        drive.cancel([attempt])
        drive.send(drive.program(kernels.echo), [1])
        with pytest.raises(BackendError, match="Hand in a function") as caught:
            await drive.finish()
        assert "held by a task that was given up" in str(caught.value.__cause__)
        held.release()


async def test_a_factory_replaces_a_pool_that_is_held(tmp_path):
    held = Held(directory=tmp_path)
    async with driven(lambda: ThreadPoolExecutor(1), patience=0.1) as drive:
        (attempt,) = drive.send(drive.program(held), [0])
        await drive.started(attempt)
        drive.cancel([attempt])
        (other,) = drive.send(drive.program(kernels.echo), [1])
        assert (await drive.outcome(other)).status is Status.SUCCEEDED
        held.release()


async def test_a_broken_pool_handed_in_loses_all_and_breaks_the_backend(tmp_path):
    held = Held(directory=tmp_path)
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        async with driven(pool) as drive:
            # Both processes are there: the pool does not watch over one that it has just started.
            meeting = drive.program(Meeting(directory=tmp_path, tasks=2))
            await drive.outcomes_of([drive.send(meeting, [task])[0] for task in range(2)])
            (bystander,) = drive.send(drive.program(held), [0])
            await drive.started(bystander)
            (lethal,) = drive.send(drive.program(kernels.die), [1])
            waiting = drive.send(drive.program(kernels.echo), [2])
            lost = await drive.outcomes_of([bystander, lethal])
            assert [o.status for o in lost] == [Status.LOST, Status.LOST]
            assert all(o.started for o in lost)
            with pytest.raises(BackendError, match="lambda: ProcessPoolExecutor"):
                await drive.outcomes_of(waiting)


async def test_a_pool_that_was_shut_down_breaks_the_backend():
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    async with driven(pool) as drive:
        (attempt,) = drive.send(drive.program(kernels.echo), [0])
        assert (await drive.outcome(attempt)).status is Status.LOST
        with pytest.raises(BackendError, match="was shut down"):
            await drive.outcome(drive.send(drive.program(kernels.echo), [1])[0])


async def test_a_future_that_somebody_else_cancels_is_lost_without_charge(threads):
    class Cancelling(Inline):
        def submit(self, _run, call):
            future = Future()
            future.cancel()
            return future

    async with driven(Cancelling(1)) as drive:
        (attempt,) = drive.send(drive.program(kernels.echo), [0])
        outcome = await drive.outcome(attempt)
    assert outcome.status is Status.LOST
    assert not outcome.started


async def test_what_a_worker_makes_of_a_call_without_our_package_is_a_failure():
    class Elsewhere(Inline):
        def submit(self, _run, call):
            future = Future()
            future.set_exception(ModuleNotFoundError("No module named 'asyncexec'"))
            return future

    async with driven(Elsewhere(1)) as drive:
        (attempt,) = drive.send(drive.program(kernels.echo), [0])
        outcome = await drive.outcome(attempt)
    assert outcome.status is Status.FAILED
    assert "No module named 'asyncexec'" in outcome.error.message


@pytest.mark.parametrize("answer", [b"hello world", None, [], "outcomes"])
async def test_an_answer_that_is_none_breaks_the_backend(answer):
    class Babbling(Inline):
        def answer(self, call):
            return answer

    async with driven(Babbling(1)) as drive:
        (attempt,) = drive.send(drive.program(kernels.echo), [0])
        assert (await drive.outcome(attempt)).status is Status.FAILED
        with pytest.raises(BackendError, match="a worker answered with"):
            await drive.until(lambda: False, "the end")


async def test_a_large_program_travels_once_and_again_to_who_lacks_it():
    ballast = bytes(range(256)) * (SMALL_PROGRAM_BYTES // 128)

    def kernel(index):
        return len(ballast)

    class Forgetful(Inline):
        def answer(self, call):
            if call.blob is None and len(self.calls) == 3:
                return NEEDS_PROGRAM
            return call()

    pool = Forgetful(1)
    async with driven(pool) as drive:
        program = drive.program(kernel)
        for task in range(4):
            (attempt,) = drive.send(program, [task])
            outcome = await drive.outcome(attempt)
            assert outcome.status is Status.SUCCEEDED
    sent = [call.blob is not None for call in pool.calls]
    assert sent == [True, False, False, True, False]


async def test_a_small_program_travels_with_every_call():
    pool = Inline(1)
    async with driven(pool) as drive:
        program = drive.program(kernels.echo)
        for task in range(3):
            await drive.outcome(drive.send(program, [task])[0])
    assert all(call.blob for call in pool.calls)


async def test_a_function_that_cannot_travel_fails_its_attempts():
    lock = threading.Lock()
    async with driven(Inline(1)) as drive:
        (attempt,) = drive.send(drive.program(lambda index: lock), [0])
        outcome = await drive.outcome(attempt)
    assert outcome.status is Status.FAILED
    assert outcome.error.type == "asyncexec.errors.SerializationError"
    assert outcome.error.exception is not None


def test_a_program_that_cannot_be_loaded_fails_every_job():
    call = RemoteBatch(b"k", b"not a pickle", [AttemptSpec(1, 1), AttemptSpec(2, 2)])
    assert call().count(b"failed") == 2


async def test_leaving_waits_for_a_task_that_is_saving(threads, tmp_path):
    saving, go_on = threading.Event(), threading.Event()

    class SlowFiles(kernels.Files):
        def save(self, index, result):
            saving.set()
            go_on.wait(scaled(PATIENCE))
            return super().save(index, result)

    io = SlowFiles(directory=tmp_path)
    async with driven(threads) as drive:
        drive.send(drive.program(kernels.echo, io=io), [0])
        await until(saving.is_set)
        threading.Timer(0.02, go_on.set).start()
    assert io.saved(0).exists()


async def test_kernels_run_in_the_threads_of_the_pool_while_others_load(tmp_path):
    """Which the pool may have prepared for them."""
    prepared = threading.local()

    def prepare():
        prepared.word = "ours"

    io = kernels.FarFiles(directory=tmp_path)
    with ThreadPoolExecutor(1, initializer=prepare) as pool:
        async with driven(pool) as drive:
            program = drive.program(lambda _: prepared.word, io=io, concurrency=4, overlaps=True)
            await drive.outcomes_of(drive.send(program, range(8)))
    assert {io.saved(task).read_text() for task in range(8)} == {"'ours'"}


async def test_of_tasks_of_a_thread_that_save_only_those_given_up_are_left_to_themselves(
    threads, tmp_path
):
    saving, go_on = threading.Event(), threading.Event()

    class SlowFiles(kernels.FarFiles):
        def save(self, index, result):
            if index[0] == 0:
                saving.set()
                go_on.wait(scaled(PATIENCE))
            return super().save(index, result)

    io = SlowFiles(directory=tmp_path)
    async with driven(threads) as drive:
        program = drive.program(kernels.echo, io=io, concurrency=4, overlaps=True)
        first, *others = drive.send(program, range(4))
        await until(saving.is_set)
        (saved,) = drive.backend.leave_saves([first])
        assert {o.status for o in await drive.outcomes_of(others)} == {Status.SUCCEEDED}
        assert not saved.is_set()
        assert drive.backend.abandoned == 1
        go_on.set()
        await until(saved.is_set)


async def test_the_loop_is_not_held_by_a_pool_that_blocks(unblocked_loop):
    class Slow(Inline):
        def submit(self, _run, call):
            time.sleep(0.2)
            return super().submit(_run, call)

    async with driven(Slow(1)) as drive:
        (attempt,) = drive.send(drive.program(kernels.echo), [0])
        assert (await drive.outcome(attempt)).status is Status.SUCCEEDED


async def test_nothing_ticks_when_idle(threads):
    async with driven(threads) as drive:
        (attempt,) = drive.send(drive.program(kernels.echo), [0])
        await drive.outcome(attempt)
        await until(lambda: drive.backend._pool._timer is None)


async def test_a_thread_tells_how_far_its_batch_is_and_leaves_what_is_behind_a_task_to_others(
    threads, tmp_path
):
    held = Held(directory=tmp_path, only=(2,))
    async with driven(threads, batch_limit=8) as drive:
        first, second, third, fourth = drive.send(drive.program(held), [0, 1, 2, 3])
        await drive.started(third)
        assert drive.outcomes.keys() == {first, second}
        drive.cancel([third])
        assert (await drive.outcome(third)).started
        assert (await drive.outcome(fourth)).status is Status.SUCCEEDED
        held.release()
        await drive.finish()


def processes_in_fork_server():
    return ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("forkserver"))


@pytest.mark.parametrize("pool", [lambda: ThreadPoolExecutor(4), processes_in_fork_server])
async def test_a_task_that_hangs_in_a_batch_costs_only_itself(pool, tmp_path):
    """Wherever in a batch it is, and however little is known of that batch."""
    held = Held(directory=tmp_path, only=(70,))
    plan = ax.Plan.map(partial(_hold, held), range(100), name="mostly-short")
    options = {"executor": pool, "patience": 10.0}
    async with ax.Engine("futures", executor_options=options, straggler=False) as engine:
        with pytest.raises(ax.errors.TaskTimeoutError) as caught:
            await engine.execute(
                plan, timeout=scaled(2.0), retry=ax.Retry(attempts=2, base_seconds=0.0)
            )
        held.release()
    assert caught.value.index == (70,)


def _hold(held, item):
    return held((item,))[0]


async def test_of_all_that_a_broken_pool_ran_only_what_broke_it_is_blamed(tmp_path):
    """The others are tried again with nothing beside them, and succeed."""
    lethal = Stumbling(directory=tmp_path, deed=kernels.exit_process, only=(17,), always=True)
    plan = ax.Plan.map(lethal, range(40), name="one-kills")
    options = {"executor": processes_in_fork_server}
    async with ax.Engine("futures", executor_options=options, straggler=False) as engine:
        with pytest.raises(ax.errors.PoisonTaskError) as caught:
            await engine.execute(plan, retry=ax.Retry(base_seconds=0.0))
    assert caught.value.index == (17,)


def _asks_for(size):
    return bytearray(size)[0]


async def test_a_worker_of_a_pool_is_kept_to_the_memory_that_was_declared(processes):
    options = {"executor": processes, "memory": "300MB"}
    async with ax.Engine(executor="futures", executor_options=options) as engine:
        with pytest.raises(TaskMemoryError, match=r"task \(1,\).*out of memory"):
            await engine.execute(ax.Plan.map(_asks_for, [10, 1_000_000_000, 20]))
        assert (await engine.execute(ax.Plan.map(_asks_for, [10, 50_000_000]))).value == [0, 0]


async def test_a_memory_of_workers_that_share_a_process_is_refused(threads):
    with pytest.raises(OptionError, match="share one"):
        FuturesBackend(executor=threads, memory="1GB")
    made = FuturesBackend(executor=lambda: ThreadPoolExecutor(1), memory="1GB")
    with pytest.raises(OptionError, match="share one"):
        async with made:
            pass
