"""Stores of objects for tests; asked for by ``pytest_plugins = ["tests.object_stores.fixtures"]``."""

import itertools

import pytest

from tests.object_stores import servers
from tests.object_stores.proxy import fault_proxy

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def moto_url():
    """The URL of moto's S3."""
    pytest.importorskip("moto")
    with servers.moto() as url:
        yield url


@pytest.fixture(scope="session")
def ministack_url(tmp_path_factory):
    """The URL of ministack's S3: another program, by others."""
    pytest.importorskip("ministack")
    with servers.ministack(tmp_path_factory.mktemp("ministack")) as url:
        yield url


@pytest.fixture(scope="session")
def azurite_url(tmp_path_factory):
    """The URL of Azurite's account."""
    if servers.azurite_command() is None:
        pytest.skip(f"needs Azurite: npm install azurite, and {servers.AZURITE}=…/azurite-blob")
    with servers.azurite(tmp_path_factory.mktemp("azurite")) as url:
        yield url


@pytest.fixture(params=["moto", pytest.param("ministack", marks=pytest.mark.backend)])
def s3_url(request):
    """The URL of each S3 server: moto's, and in `make test-backends` ministack's."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def proxy(moto_url):
    """A fault proxy before moto."""
    with fault_proxy(moto_url) as started:
        yield started


@pytest.fixture
def bucket(moto_url):
    """The name of a new, empty bucket of moto's."""
    name = f"bucket-{next(_NUMBERS)}"
    servers.make_bucket(moto_url, name)
    return name
