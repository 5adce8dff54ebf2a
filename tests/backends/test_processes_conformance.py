import pytest

from asyncexec.backends.processes import ProcessesBackend
from asyncexec.testing.conformance import BackendConformance


class TestProcesses(BackendConformance):
    @pytest.fixture
    def backend(self):
        return lambda: ProcessesBackend(max_workers=2)
