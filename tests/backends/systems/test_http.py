"""The http executor against functions-framework, which serves our worker as it would on Google Cloud."""

import pytest

pytest.importorskip("httpx")
pytest.importorskip("functions_framework")

from asyncexec.backends.http import HttpBackend
from asyncexec.testing.conformance import BackendConformance
from tests.backends.function_server import SECRET, function_server

pytestmark = [
    pytest.mark.backend,
    pytest.mark.leaks("a server replaces processes that died by others of its own"),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with function_server(tmp_path_factory.mktemp("function")) as url:
        yield url


class TestHttp(BackendConformance):
    owns_workers = False
    many = 2_000

    @pytest.fixture
    def configured(self, url):
        return lambda **options: HttpBackend(
            **{"url": url, "secret": SECRET, "max_workers": 2} | options
        )

    @pytest.fixture
    def backend(self, configured):
        return configured
