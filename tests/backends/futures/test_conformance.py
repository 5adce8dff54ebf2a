import loky
import pytest

from asyncexec.backends.futures import FuturesBackend
from tests.backends.brief import Brief


class TestLoky(Brief):
    many = 1_000

    @pytest.fixture
    def backend(self):
        return lambda: FuturesBackend(executor=lambda: loky.ProcessPoolExecutor(2))
