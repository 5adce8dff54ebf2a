import asyncio

import pytest

pytest.importorskip("aiobotocore")
pytest.importorskip("awslambdaric")

from aiobotocore.session import AioSession  # noqa: E402 - only where it is installed

from tests.backends.lambda_server.object_store import object_store  # noqa: E402 - the same
from tests.backends.lambda_server.started import lambda_server  # noqa: E402 - the same

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIATEST",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="session")
def object_store_url(tmp_path_factory):
    """An S3 server with a bucket named payloads."""
    pytest.importorskip("ministack")
    with object_store(tmp_path_factory.mktemp("ministack")) as url:
        asyncio.run(make_bucket(url))
        yield url


@pytest.fixture(scope="session")
def server(object_store_url):
    """A Lambda server; its sandboxes know where S3 is."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        patch.setenv("AWS_ENDPOINT_URL_S3", object_store_url)
        with lambda_server() as started:
            yield started


@pytest.fixture
def credentials(monkeypatch, object_store_url):
    """As users have them in their environment."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", object_store_url)


@pytest.fixture
async def objects(credentials):
    """A client of S3."""
    async with AioSession().create_client("s3") as client:
        yield client


async def make_bucket(url):
    keys = {
        "aws_access_key_id": CREDENTIALS["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        "region_name": "us-east-1",
    }
    async with AioSession().create_client("s3", endpoint_url=url, **keys) as client:
        await client.create_bucket(Bucket="payloads")
