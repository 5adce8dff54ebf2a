import pytest

from asyncexec.backends.adapters.calls import CallsBackend
from asyncexec.testing.conformance import BackendConformance
from tests.backends.subprocess_pool import SubprocessPool


class TestAsyncSubprocesses(BackendConformance):
    many = 1_000  # A message each.

    @pytest.fixture
    def backend(self):
        return lambda: CallsBackend(SubprocessPool(2))
