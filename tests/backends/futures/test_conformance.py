import loky
import pytest

from asyncexec.backends.futures import FuturesBackend
from tests.backends.brief import Brief


@pytest.mark.slow  # Each test starts a pool: its tests on real systems, and those of other pools, are quicker.
class TestLoky(Brief):
    many = 1_000

    @pytest.fixture
    def backend(self):
        return lambda: FuturesBackend(executor=lambda: loky.ProcessPoolExecutor(2))
