"""Lambda and S3 for tests; asked for by ``pytest_plugins``."""

import asyncio

import pytest

from tests.backends.aws_lambda.server.object_store import object_store
from tests.backends.aws_lambda.server.started import lambda_server

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIATEST",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="session")
def aws_objects_url(tmp_path_factory):
    """An S3 server with a bucket named payloads; it has a Lambda, too."""
    with object_store(tmp_path_factory.mktemp("ministack")) as url:
        asyncio.run(make_bucket(url))
        yield url


@pytest.fixture(scope="session")
def aws_functions(aws_objects_url):
    """A Lambda server; its sandboxes know where S3 is."""
    with pytest.MonkeyPatch.context() as patch:
        set_credentials(patch, aws_objects_url)
        with lambda_server() as started:
            yield started


@pytest.fixture
def aws_credentials(monkeypatch, aws_objects_url):
    """As users have them in their environment."""
    set_credentials(monkeypatch, aws_objects_url)


@pytest.fixture
async def aws_objects(aws_credentials):
    """A client of S3."""
    from aiobotocore.session import AioSession

    async with AioSession().create_client("s3") as client:
        yield client


def set_credentials(patch, objects_url):
    for name, value in CREDENTIALS.items():
        patch.setenv(name, value)
    patch.setenv("AWS_ENDPOINT_URL_S3", objects_url)


async def make_bucket(url):
    from aiobotocore.session import AioSession

    keys = {
        "aws_access_key_id": CREDENTIALS["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        "region_name": "us-east-1",
    }
    async with AioSession().create_client("s3", endpoint_url=url, **keys) as client:
        await client.create_bucket(Bucket="payloads")
