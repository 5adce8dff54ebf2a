import contextvars
import threading

import anyio
import numpy as np
import pytest
from anyio.lowlevel import checkpoint

from asyncexec.backends.contract import AttemptSpec, Batch, StageProgram
from asyncexec.backends.serial import SerialBackend
from asyncexec.backends.threads import ThreadsBackend
from asyncexec.backends.threads.worker_side import WorkerThread
from asyncexec.errors import BackendError, UsageError
from asyncexec.events.outcome import Status
from asyncexec.testing import kernels
from asyncexec.testing.driving import Driven
from asyncexec.testing.kernels import Files, Held
from asyncexec.testing.patience import scaled
from asyncexec.worker.local_batch import LocalBatch

PATIENCE = 20.0


def driven(**options) -> Driven:
    return Driven(ThreadsBackend(**options), patience=PATIENCE)


async def until(holds) -> None:
    with anyio.fail_after(scaled(PATIENCE)):
        while not holds():
            await anyio.sleep(0.001)


async def give_up(drive, held, task) -> None:
    (attempt,) = drive.send(drive.program(held), [task])
    await drive.started(attempt)
    drive.cancel([attempt])
    assert (await drive.outcome(attempt)).status is Status.CANCELLED


def test_serial_is_one_thread():
    assert SerialBackend().slots == 1
    assert SerialBackend().capabilities.name == "serial"


async def test_given_up_threads_are_replaced_and_counted(tmp_path):
    held = Held(directory=tmp_path)
    async with driven(max_workers=1, max_abandoned=3) as drive:
        for task in range(3):
            await give_up(drive, held, task)
            assert drive.backend.slots == 1
        assert drive.backend.abandoned == 3
        (attempt,) = drive.send(drive.program(kernels.echo), [9])
        assert (await drive.outcome(attempt)).status is Status.SUCCEEDED
        held.release()


async def test_slots_shrink_beyond_the_bound_and_come_back(tmp_path):
    held = Held(directory=tmp_path)
    async with driven(max_workers=2, max_abandoned=0) as drive:
        await give_up(drive, held, 0)
        assert drive.backend.slots == 1
        (attempt,) = drive.send(drive.program(kernels.echo), [9])
        assert (await drive.outcome(attempt)).status is Status.SUCCEEDED
        held.release()
        await until(lambda: drive.backend.slots == 2)


async def test_work_without_a_thread_left_breaks_the_backend(tmp_path):
    held = Held(directory=tmp_path)
    async with driven(max_workers=1, max_abandoned=0, patience=0.1) as drive:
        await give_up(drive, held, 0)
        (attempt,) = drive.send(drive.program(kernels.echo), [9])
        with pytest.raises(BackendError, match=r"'threads': every thread is held .* given up"):
            await drive.outcome(attempt)
        held.release()


async def test_work_waits_for_a_thread_that_comes_back(tmp_path):
    held = Held(directory=tmp_path)
    async with driven(max_workers=1, max_abandoned=0) as drive:
        await give_up(drive, held, 0)
        (attempt,) = drive.send(drive.program(kernels.echo), [9])
        await anyio.sleep(0.05)
        assert attempt not in drive.outcomes
        held.release()
        assert (await drive.outcome(attempt)).status is Status.SUCCEEDED


async def test_the_rest_of_a_batch_keeps_its_order_and_its_slot(tmp_path):
    held = Held(directory=tmp_path, only=(0,))
    async with driven(max_workers=2) as drive:
        batch = drive.send(drive.program(held), [0, 1, 2, 3, 4])
        await drive.started(batch[0])
        drive.cancel([batch[0], batch[2]])
        outcomes = await drive.outcomes_of(batch)
        held.release()
    rest = [outcomes[n] for n in (1, 3, 4)]
    assert [o.status for o in rest] == [Status.SUCCEEDED] * 3
    assert len({o.worker for o in rest}) == 1
    assert rest[0].worker != outcomes[0].worker
    assert not outcomes[2].started


async def test_each_task_has_a_context_of_its_own():
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("by the driver")

    def look_and_set(index):
        seen = variable.get(), np.geterr()["divide"]
        variable.set(f"by task {index[0]}")
        np.seterr(divide="raise")
        return seen

    async with driven(max_workers=1) as drive:
        outcomes = await drive.outcomes_of(drive.send(drive.program(look_and_set), range(3)))
    assert [o.value for o in outcomes] == [("unset", "warn")] * 3


async def test_leaving_waits_for_a_task_that_is_saving(tmp_path):
    saving, go_on = threading.Event(), threading.Event()

    class SlowFiles(Files):
        def save(self, index, result):
            saving.set()
            go_on.wait(scaled(PATIENCE))
            return super().save(index, result)

    io = SlowFiles(directory=tmp_path)
    async with driven(max_workers=1) as drive:
        (attempt,) = drive.send(drive.program(kernels.echo, io=io), [0])
        await drive.started(attempt)
        await until(saving.is_set)
        drive.cancel([attempt])
        await checkpoint()
        assert attempt not in drive.outcomes
        threading.Timer(0.02, go_on.set).start()
    assert io.saved(0).exists()


async def test_a_task_whose_kernel_returns_as_it_is_given_up_has_one_outcome(tmp_path):
    async with driven(max_workers=4) as drive:
        program = drive.program(kernels.refuse)
        attempts = [drive.send(program, range(4)) for _ in range(200)]
        flat = [a for batch in attempts for a in batch]
        while len(drive.outcomes) < len(flat):
            drive.cancel(flat[len(drive.outcomes) :: 7])
            await checkpoint()
        await drive.finish()
    assert {o.status for o in drive.outcomes.values()} <= {Status.FAILED, Status.CANCELLED}


async def test_nothing_ticks_when_idle():
    async with driven(max_workers=2) as drive:
        (attempt,) = drive.send(drive.program(kernels.echo), [0])
        await drive.outcome(attempt)
        await until(lambda: drive.backend._pool._timer is None)
        assert drive.backend._pool._batches == set()


async def test_a_thread_that_breaks_breaks_the_backend(monkeypatch):
    monkeypatch.setattr(LocalBatch, "run", lambda self, worker: 1 / 0)
    async with driven(max_workers=1) as drive:
        (attempt,) = drive.send(drive.program(kernels.echo), [0])
        with pytest.raises(BackendError, match="thread-0 broke: ZeroDivisionError"):
            await drive.outcome(attempt)


async def test_an_abandoned_thread_may_outlive_the_loop(tmp_path):
    held = Held(directory=tmp_path)

    async def abandon():
        async with driven(max_workers=1) as drive:
            await give_up(drive, held, 0)

    await anyio.to_thread.run_sync(anyio.run, abandon)
    stuck = [t for t in threading.enumerate() if t.name.startswith("asyncexec-thread")]
    assert len(stuck) == 1
    assert stuck[0].daemon
    held.release()
    stuck[0].join(scaled(PATIENCE))
    assert not stuck[0].is_alive()


async def test_the_loop_is_not_held(unblocked_loop, tmp_path):
    held = Held(directory=tmp_path)
    async with driven(max_workers=2) as drive:
        attempts = drive.send_all(drive.program(kernels.echo), range(5_000), size=512)
        blocked = [drive.send(drive.program(held), [task])[0] for task in range(2)]
        await drive.outcomes_of(attempts)
        for attempt in blocked:
            await drive.started(attempt)
        drive.cancel(blocked)
        held.release()


async def test_outside_its_context_it_maps_nothing():
    backend = ThreadsBackend(max_workers=1)
    with pytest.raises(UsageError, match="outside its `async with` block"):
        backend.map(None)
    backend.cancel([1])
    assert backend.abandoned == 0
    async with backend:
        backend.map(_nothing())
        with pytest.raises(UsageError, match="once"):
            backend.map(_nothing())


async def _nothing():
    return
    yield


async def test_what_its_input_raises_comes_out_of_the_map():
    async def broken():
        program = StageProgram(key="p", plan="p", stage="s", kernel=kernels.echo, shape=(1,))
        yield Batch(program, [AttemptSpec(1, 0)])
        raise LookupError("no more")

    async with ThreadsBackend(max_workers=1) as backend:
        with pytest.raises(LookupError, match="no more"):
            async for _reports in backend.map(broken()):
                pass


def test_a_worker_tells_of_its_end():
    ended, exited = [], []
    runs = iter([None])
    worker = WorkerThread(
        "w", next_batch=lambda: next(runs), ended=ended.append, exited=exited.append
    )
    worker.start()
    worker.thread.join()
    assert (ended, exited, worker.crash) == ([], [worker], None)
