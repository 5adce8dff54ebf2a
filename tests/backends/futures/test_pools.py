import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor

import loky
import psutil
import pytest

from asyncexec.backends.adapters.blocking_system import CallLostError
from asyncexec.backends.futures import FuturesBackend
from asyncexec.backends.futures.kinds import (
    NOT_MADE,
    PROCESSES,
    THREADS,
    UNKNOWN,
    PoolKind,
    kind_of,
)
from asyncexec.backends.futures.system import PoolHandle, PoolSystem
from asyncexec.plan.locality import Locality
from asyncexec.testing.patience import scaled
from tests.backends.shared_chunks import hands_chunks_over_in_memory


class Elsewhere(Executor):
    _max_workers = 2


class OurThreads(ThreadPoolExecutor):
    """Somebody's own kind of threads."""


class OurMPI(Elsewhere):
    """What derives from MPI's pool, as far as can be seen."""


OurMPI.__module__ = "mpi4py.futures.pool"


class Derived(OurMPI):
    """And somebody's own of that."""


@pytest.mark.parametrize(
    "pool, kind",
    [
        (ThreadPoolExecutor, THREADS),
        (OurThreads, THREADS),
        (ProcessPoolExecutor, PROCESSES),
        (loky.ProcessPoolExecutor, PROCESSES),
        (Elsewhere, UNKNOWN),
    ],
)
def test_a_pool_is_known_by_where_it_comes_from(pool, kind):
    assert kind_of(pool) == kind


def test_what_derives_from_a_known_pool_is_known():
    assert kind_of(Derived) == kind_of(OurMPI) != UNKNOWN
    assert not kind_of(Derived).isolated


def test_a_pool_that_is_still_to_be_made_is_guessed_with_care():
    made = FuturesBackend(executor=lambda: ThreadPoolExecutor(1)).capabilities
    assert made == NOT_MADE.capabilities(batch_limit=256)
    assert made.loss_seconds is None
    # A class says what it will make.
    backend = FuturesBackend(executor=ThreadPoolExecutor)
    assert backend.capabilities.locality is Locality.SAME_PROCESS


def test_a_program_that_starts_workers_is_missed_unless_they_have_been_started(tmp_path):
    kind = PoolKind(starter="mpiexec", started_by=("PMI_RANK",))
    assert kind.missing_starter({"PATH": str(tmp_path)}) == "mpiexec"
    assert kind.missing_starter({"PATH": str(tmp_path), "PMI_RANK": "0"}) == ""
    (tmp_path / "mpiexec").touch(mode=0o755)
    assert kind.missing_starter({"PATH": str(tmp_path)}) == ""
    assert UNKNOWN.missing_starter({}) == ""


class GoneError(Exception):
    """What a pool says of a worker."""


class Future:
    """As Parsl's: it cannot be cancelled, and does not know when it starts."""

    def __init__(self, error=None):
        self.error = error

    def cancel(self):
        raise NotImplementedError

    def running(self):
        return False

    def done(self):
        return False

    def result(self):
        raise self.error


def test_a_future_without_cancel_and_without_a_start_is_a_handle():
    handle = PoolHandle(Future(), PoolKind(tells_running=False))
    assert handle.cancel() is False
    assert handle.running()
    assert not PoolHandle(Future(), UNKNOWN).running()


def test_an_error_that_says_that_a_worker_is_gone_is_told_apart():
    kind = PoolKind(lost=(f"{__name__}.GoneError",))
    names = set()
    for _ in range(2):
        with pytest.raises(CallLostError, match="worker 3") as caught:
            PoolHandle(Future(GoneError("worker 3")), kind).result()
        names.add(caught.value.worker)
    assert len(names) == 2, "no two deaths have a worker in common"
    with pytest.raises(GoneError):
        PoolHandle(Future(GoneError("worker 3")), UNKNOWN).result()


def _wait_for(path):
    while not path.exists():
        time.sleep(0.005)


async def test_a_call_has_started_when_a_worker_runs_it_and_not_when_the_pool_has_taken_it(
    tmp_path,
):
    ready = tmp_path / "ready"
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(
        1, mp_context=context, initializer=_wait_for, initargs=(ready,)
    ) as pool:
        system = PoolSystem(pool, None, 1)
        system.open()
        handle = system.submit(time.time_ns)
        assert handle._future.running()
        assert not handle.running()
        before = time.time_ns()
        ready.touch()
        assert handle._future.result(60) >= before
        assert not handle.running(), "it has ended"
        system.close(idle=True)


_KILLED_DRIVER = """
import asyncio, os, signal, sys
from concurrent.futures import ProcessPoolExecutor
import asyncexec as ax

def name(index):
    return os.getpid()

async def main():
    options = {"executor": lambda: ProcessPoolExecutor(2)}
    async with ax.Engine(executor="futures", executor_options=options) as engine:
        result = await engine.execute(ax.Plan.map(name, range(2)))
        print(*set(result.value), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux tells of an end")
def test_workers_end_with_a_driver_that_is_killed(tmp_path):
    script = tmp_path / "driver.py"
    script.write_text(_KILLED_DRIVER)
    done = subprocess.run([sys.executable, script], stdout=subprocess.PIPE, check=False)
    assert done.returncode == -signal.SIGKILL
    workers = [int(pid) for pid in done.stdout.split()]
    assert workers
    for pid in workers:
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).wait(scaled(20))


@pytest.mark.parametrize("pool", [ProcessPoolExecutor, loky.ProcessPoolExecutor])
async def test_workers_of_this_machine_hand_chunks_over_in_memory(pool, tmp_path):
    await hands_chunks_over_in_memory(tmp_path, FuturesBackend(executor=lambda: pool(2)))
