import pytest

from asyncexec.backends.asyncio import AsyncioBackend
from asyncexec.testing.conformance import BackendConformance


class TestAsyncio(BackendConformance):
    @pytest.fixture
    def backend(self):
        return lambda: AsyncioBackend(max_threads=1)
