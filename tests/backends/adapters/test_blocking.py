import pickle
import threading
from concurrent.futures import CancelledError, Future

import anyio
import pytest

from asyncexec.backends.adapters.blocking import BlockingBackend
from asyncexec.backends.adapters.blocking_system import CallLostError
from asyncexec.backends.adapters.system_thread import future_of
from asyncexec.backends.contract import Capabilities
from asyncexec.errors import BackendError, UsageError
from asyncexec.events.outcome import Status
from asyncexec.testing import kernels
from asyncexec.testing.conformance import BackendConformance
from asyncexec.testing.driving import Driven
from asyncexec.testing.patience import scaled


class Calls:
    """A system that has nothing but a blocking call."""

    capabilities = Capabilities(name="calls")

    def __init__(self) -> None:
        self.threads = set()
        self.closed = None
        self.opened = 0

    def open(self):
        self._note()
        self.opened += 1
        return 2

    def submit(self, call):
        self._note()
        return future_of(pickle.loads(pickle.dumps(call)), name="one call")

    def broken_by(self, error):
        return isinstance(error, ConnectionError)

    def close(self, *, idle):
        self._note()
        self.closed = idle

    def _note(self):
        self.threads.add(threading.current_thread())


class TestBlockingCalls(BackendConformance):
    many = 500

    @pytest.fixture
    def backend(self):
        return lambda: BlockingBackend(Calls())


async def test_a_system_lives_in_one_thread_of_its_own():
    system = Calls()
    async with Driven(BlockingBackend(system), patience=20) as drive:
        await drive.outcomes_of(drive.send_all(drive.program(kernels.echo), range(5)))
    (thread,) = system.threads
    assert thread is not threading.current_thread()
    assert not thread.is_alive()
    assert (system.opened, system.closed) == (1, True)


async def test_a_system_that_cannot_be_opened_leaves_no_thread():
    class Locked(Calls):
        def open(self):
            raise BackendError("no key")

    before = threading.active_count()
    with pytest.raises(BackendError, match="no key"):
        async with BlockingBackend(Locked()):
            pass
    assert threading.active_count() == before


async def test_a_system_that_cannot_be_closed_says_so_and_leaves_no_thread():
    class Stuck(Calls):
        def close(self, *, idle):
            raise BackendError("the door is stuck")

    before = threading.active_count()
    with pytest.raises(BackendError, match="the door is stuck"):
        async with BlockingBackend(Stuck()):
            pass
    assert threading.active_count() == before


async def test_a_broken_system_is_opened_again_and_only_once():
    class Flaky(Calls):
        def submit(self, call):
            if self.opened == 1:
                raise ConnectionResetError("gone")
            return super().submit(call)

    system = Flaky()
    async with Driven(BlockingBackend(system), patience=20) as drive:
        program = drive.program(kernels.echo)
        first = [drive.send(program, [task])[0] for task in range(2)]
        lost = await drive.outcomes_of(first)
        assert {o.status for o in lost} == {Status.LOST}
        (again,) = drive.send(program, [2])
        assert (await drive.outcome(again)).status is Status.SUCCEEDED
    assert system.opened == 2


async def test_a_call_cancelled_while_it_is_submitted_has_one_outcome():
    class Slow(Calls):
        def __init__(self):
            super().__init__()
            self.submitting, self.go_on = threading.Event(), threading.Event()

        def submit(self, call):
            self.submitting.set()
            self.go_on.wait(20)
            return super().submit(call)

    system = Slow()
    async with Driven(BlockingBackend(system), patience=20) as drive:
        (attempt,) = drive.send(drive.program(kernels.echo), [0])
        while not system.submitting.is_set():
            await anyio.sleep(0.001)
        drive.cancel([attempt])
        await anyio.sleep(0.01)
        assert attempt not in drive.outcomes
        system.go_on.set()
        outcome = await drive.outcome(attempt)
        assert outcome.status in {Status.CANCELLED, Status.SUCCEEDED}
        await drive.finish()


async def test_outside_its_context_it_maps_nothing():
    backend = BlockingBackend(Calls())
    with pytest.raises(UsageError, match="outside its `async with` block"):
        backend.map(None)
    backend.cancel([1])
    assert (backend.slots, backend.abandoned) == (1, 0)


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3)])
def test_a_future_has_what_its_call_raised(error):
    def call():
        raise error

    assert future_of(call, name="call").exception(timeout=scaled(20)) is error


class Jobs(Calls):
    """A system that is handed calls by the job."""

    capabilities = Capabilities(name="jobs", kills=True)

    def __init__(self) -> None:
        super().__init__()
        self.jobs = []
        self.futures = []

    def open(self):
        return 8

    def submit_many(self, calls):
        self.jobs.append(len(calls))
        self.futures = [self.submit(call) for call in calls]
        return self.futures


async def test_calls_that_are_ready_go_together():
    system = Jobs()
    async with Driven(BlockingBackend(system), patience=20) as drive:
        program = drive.program(kernels.echo)
        attempts = [drive.send(program, [task])[0] for task in range(8)]
        outcomes = await drive.outcomes_of(attempts)
    assert {o.status for o in outcomes} == {Status.SUCCEEDED}
    assert sum(system.jobs) == 8
    assert max(system.jobs) > 1


async def test_a_job_that_is_refused_fails_all_its_calls():
    class Refusing(Jobs):
        def submit_many(self, calls):
            raise PermissionError("no")

    async with Driven(BlockingBackend(Refusing()), patience=20) as drive:
        program = drive.program(kernels.echo)
        attempts = [drive.send(program, [task])[0] for task in range(3)]
        outcomes = await drive.outcomes_of(attempts)
    assert {o.status for o in outcomes} == {Status.FAILED}
    assert {o.error.message for o in outcomes} == {"no"}


async def test_a_call_whose_worker_is_gone_is_lost_alone():
    class Losing(Calls):
        def submit(self, call):
            if call.jobs[0].task == 1:
                future = Future()
                future.set_exception(CallLostError("w7", "it is gone"))
                return future
            return super().submit(call)

    system = Losing()
    async with Driven(BlockingBackend(system), patience=20) as drive:
        program = drive.program(kernels.echo)
        first, second = (drive.send(program, [task])[0] for task in range(2))
        assert (await drive.outcome(first)).status is Status.SUCCEEDED
        lost = await drive.outcome(second)
    assert (lost.status, lost.worker, lost.error.message) == (Status.LOST, "w7", "it is gone")
    assert lost.started
    assert system.opened == 1


class Killed(Future):
    """A call that is killed when it is cancelled."""

    def cancel(self):
        self.set_exception(CancelledError())
        return True


async def test_what_is_left_of_a_call_that_was_stopped_goes_on(tmp_path):
    class Stopping(Calls):
        capabilities = Capabilities(name="stopping", kills=True, batch_limit=4)
        stopped = None

        def submit(self, call):
            if self.stopped is None:
                self.stopped = Killed()
                self.stopped.set_running_or_notify_cancel()
                return self.stopped
            return super().submit(call)

    async with Driven(BlockingBackend(Stopping()), patience=20) as drive:
        first, *rest = drive.send(drive.program(kernels.echo), range(3))
        await drive.started(first)
        drive.cancel([first])
        outcome = await drive.outcome(first)
        assert outcome.status is Status.CANCELLED
        assert outcome.started
        assert {o.status for o in await drive.outcomes_of(rest)} == {Status.SUCCEEDED}
        await drive.finish()


async def test_of_a_batch_that_was_killed_anything_may_have_run():
    """Also what comes behind the first, and what nobody has seen start."""

    class Killing(Calls):
        capabilities = Capabilities(name="killing", kills=True, batch_limit=4)

        def submit(self, call):
            self.call = Killed()
            return self.call

    system = Killing()
    async with Driven(BlockingBackend(system), patience=20) as drive:
        attempts = drive.send(drive.program(kernels.echo), range(3))
        with anyio.fail_after(scaled(20)):
            while not hasattr(system, "call"):
                await anyio.sleep(0.01)
        drive.cancel(attempts)
        outcomes = await drive.outcomes_of(attempts)
        await drive.finish()
    assert {o.status for o in outcomes} == {Status.CANCELLED}
    assert all(o.started for o in outcomes)


@pytest.mark.parametrize("kills", [False, True])
async def test_tasks_that_load_at_once_go_on_one_by_one_without_the_first_that_was_stopped(kills):
    """No other of them is known to have started."""

    class Stopping(Calls):
        capabilities = Capabilities(name="stopping", kills=kills, batch_limit=8)
        stopped = None

        def submit(self, call):
            if self.stopped is not None:
                return super().submit(call)
            self.stopped = Killed() if kills else Future()
            self.stopped.set_running_or_notify_cancel()
            return self.stopped

    async with Driven(BlockingBackend(Stopping()), patience=20) as drive:
        program = drive.program(kernels.echo, concurrency=2, overlaps=True)
        first, *rest = drive.send(program, range(4))
        await drive.started(first)
        drive.cancel([first])
        assert (await drive.outcome(first)).status is Status.CANCELLED
        assert {o.status for o in await drive.outcomes_of(rest)} == {Status.SUCCEEDED}
        assert drive.backend.abandoned == (0 if kills else 1)
        await drive.finish()


async def test_of_tasks_that_loaded_at_once_none_is_charged_with_the_end_of_their_worker():
    class Losing(Calls):
        def submit(self, call):
            future = Future()
            future.set_exception(CallLostError("w7", "it is gone"))
            return future

    async with Driven(BlockingBackend(Losing()), patience=20) as drive:
        for tasks, worker in ((3, ""), (1, "w7")):
            program = drive.program(kernels.echo, concurrency=8, overlaps=True)
            for lost in await drive.outcomes_of(drive.send(program, range(tasks))):
                assert (lost.status, lost.worker, lost.started) == (Status.LOST, worker, True)
