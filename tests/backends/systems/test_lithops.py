import pytest

from asyncexec.backends.lithops import LithopsBackend
from asyncexec.testing.conformance import BackendConformance

pytestmark = [
    pytest.mark.backend,
    # Lithops' threads start its processes by fork.
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]

PATIENCE = 60.0


def here(**options) -> LithopsBackend:
    return LithopsBackend(
        **{"config": {"lithops": {"backend": "localhost"}}, "max_workers": 2} | options
    )


class TestLithops(BackendConformance):
    patience = PATIENCE
    many = 2_000
    options = frozenset({"env_vars"})

    @pytest.fixture
    def backend(self):
        return here

    @pytest.fixture
    def configured(self):
        return here
