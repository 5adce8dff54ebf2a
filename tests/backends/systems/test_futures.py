"""The suite on the pools of the standard library, and what the default run leaves out of it elsewhere."""

import gc
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import loky
import pytest

from asyncexec.backends.adapters.calls import CallsBackend
from asyncexec.backends.futures import FuturesBackend
from asyncexec.backends.serial import SerialBackend
from asyncexec.testing.conformance import BackendConformance
from tests.backends.brief import Again
from tests.backends.subprocess_pool import SubprocessPool

pytestmark = [pytest.mark.backend]


class TestThreadPool(Again):
    """A pool of one's own making; it stays open, and its threads with it."""

    @pytest.fixture
    def backend(self):
        return lambda: FuturesBackend(executor=lambda: ThreadPoolExecutor(2))


class TestProcessPool(BackendConformance):
    many = 2_000  # One call each.

    @pytest.fixture
    def backend(self):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["asyncexec.testing.kernels", "asyncexec.backends.futures"])
        return lambda: FuturesBackend(
            executor=lambda: ProcessPoolExecutor(2, mp_context=context), max_workers=2
        )


@pytest.fixture(autouse=True)
def no_pool_is_left_as_garbage():
    """Pools of loky are circles that hold semaphores, and those of multiprocessing must not be let go of while it
    tells its tracker of others: the garbage collector would do that in any test after these.
    """
    yield
    gc.collect()


BRIEFLY_TESTED = {
    "serial": SerialBackend,
    "loky": lambda: FuturesBackend(executor=lambda: loky.ProcessPoolExecutor(2)),
    "subprocesses": lambda: CallsBackend(SubprocessPool(2)),
}


@pytest.mark.parametrize("how", ["cancel", "timeout"])
@pytest.mark.parametrize("name", BRIEFLY_TESTED)
async def test_a_run_that_is_cancelled_stops(name, how, tmp_path):
    suite = BackendConformance()
    await suite.test_a_run_that_is_cancelled_stops(BRIEFLY_TESTED[name], tmp_path, how)
