import pytest

from asyncexec.backends.threads import ThreadsBackend
from asyncexec.testing.conformance import BackendConformance


class TestThreads(BackendConformance):
    @pytest.fixture
    def backend(self):
        return lambda: ThreadsBackend(max_workers=2)
