import asyncio
import time

import pytest

from asyncexec.backends.aws_lambda import LambdaBackend
from asyncexec.testing.conformance import BackendConformance

pytestmark = pytest.mark.leaks("sandboxes belong to the server, which ends them with itself")


@pytest.fixture(scope="session")
def function(server):
    return server.set_up("conformance", timeout=120)


class TestLambda(BackendConformance):
    """awslambdaric behind a server of our own; what is too large for a message goes through ministack's S3."""

    owns_workers = False
    many = 2_000

    @pytest.fixture(autouse=True)
    async def threads_of_the_loop(self):
        """aiobotocore prepares TLS in the loop's own executor, whose threads live as long as the loop."""
        await asyncio.gather(*[asyncio.to_thread(time.sleep, 0.05) for _ in range(2)])

    @pytest.fixture
    def configured(self, server, function, credentials):
        def configured(**options):
            return LambdaBackend(
                function_name=function,
                endpoint_url=server.url,
                bucket="s3://payloads/conformance",
                **{"max_workers": 2} | options,
            )

        return configured

    @pytest.fixture
    def backend(self, configured):
        return configured
