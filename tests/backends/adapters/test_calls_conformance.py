import pytest

from asyncexec.backends.adapters.calls import CallsBackend
from tests.backends.brief import Brief
from tests.backends.subprocess_pool import SubprocessPool


@pytest.mark.slow  # A process a call; `TestBlockingCalls` has the same rules in threads.
class TestAsyncSubprocesses(Brief):
    runs_at_once = False

    many = 1_000  # A message each.

    @pytest.fixture
    def backend(self):
        return lambda: CallsBackend(SubprocessPool(2))
