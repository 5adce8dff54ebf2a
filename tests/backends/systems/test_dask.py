"""The `dask` executor on real clusters on this machine: worker processes, lent clusters, what goes wrong."""

import asyncio

import pytest

pytest.importorskip("distributed")

import distributed.utils

from asyncexec.backends.dask import DaskBackend
from asyncexec.testing.conformance import BackendConformance

pytestmark = [pytest.mark.backend]


@pytest.fixture(scope="module", autouse=True)
def thread_of_dask():
    """The one thread of Dask's that outlives any cluster."""
    distributed.utils._offload_executor.submit(int).result()


@pytest.fixture(autouse=True)
async def thread_of_the_loop():
    """Dask hands what blocks to the loop's own threads, which end with the loop."""
    await asyncio.to_thread(int)


class TestDaskProcesses(BackendConformance):
    many = 2_000
    patience = 40.0
    options = frozenset({"env_vars", "resources"})

    @pytest.fixture
    def configured(self):
        return lambda **options: DaskBackend(max_workers=2, **options)

    @pytest.fixture
    def backend(self, configured):
        return configured
