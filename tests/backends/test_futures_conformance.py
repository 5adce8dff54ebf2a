import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import loky
import pytest

from asyncexec.backends.futures import FuturesBackend
from asyncexec.testing.conformance import BackendConformance


class TestThreadPool(BackendConformance):
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


class TestLoky(BackendConformance):
    many = 1_000

    @pytest.fixture
    def backend(self):
        return lambda: FuturesBackend(executor=lambda: loky.ProcessPoolExecutor(2))
