import pytest

from asyncexec.backends.processes import ProcessesBackend
from asyncexec.testing.conformance import BackendConformance
from asyncexec.testing.conformance.demands import DemandRules


class TestProcesses(BackendConformance):
    options = frozenset({"env_vars"})

    @pytest.fixture
    def backend(self):
        return lambda: ProcessesBackend(max_workers=2)

    @pytest.fixture
    def configured(self):
        return lambda **options: ProcessesBackend(max_workers=2, **options)


class TestGuardedProcesses(DemandRules):
    """With a limit to the memory of each worker."""

    @pytest.fixture
    def backend(self):
        return lambda: ProcessesBackend(max_workers=2, memory_limit="1GB")
