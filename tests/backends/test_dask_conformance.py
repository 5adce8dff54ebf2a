"""The quick part of what the `dask` backend promises: a cluster within this process."""

import asyncio

import pytest

pytest.importorskip("distributed")

import distributed.utils

from asyncexec.backends.dask import DaskBackend
from asyncexec.testing.conformance import BackendConformance


@pytest.fixture(scope="module", autouse=True)
def thread_of_dask():
    """The one thread of Dask's that outlives any cluster."""
    distributed.utils._offload_executor.submit(int).result()


class TestDaskInThisProcess(BackendConformance):
    many = 2_000
    options = frozenset({"resources"})

    @pytest.fixture(autouse=True)
    async def thread_of_the_loop(self):
        """Dask hands what blocks to the loop's own threads, which end with the loop."""
        await asyncio.to_thread(int)

    @pytest.fixture
    def configured(self):
        return lambda **options: DaskBackend(processes=False, max_workers=2, **options)

    @pytest.fixture
    def backend(self, configured):
        return configured
