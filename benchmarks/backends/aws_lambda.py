"""One `Invoke` a task with boto's async client beside the `aws-lambda` executor.

The service is a small one on this machine (`tests/backends/aws_lambda/server`) whose sandboxes run AWS's own runtime
client, so that these are the costs of client, engine and runtime, without a network.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.backends.protocol import Run, on_engine
from tests.backends.aws_lambda.server.started import Server, lambda_server

WORKERS = 2
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIATEST",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def echo(event: Any, _context: Any) -> Any:
    return event


@contextmanager
def bare() -> Iterator[Run]:
    """As AWS's examples do it: so many workers, and each invokes, reads the answer, and takes the next."""
    with here() as server, asyncio.Runner() as runner:
        server.set_up("bare", handler="benchmarks.backends.aws_lambda.echo")
        yield lambda tasks: runner.run(invoke_all(server.url, tasks))


async def invoke_all(url: str, tasks: int) -> None:
    from aiobotocore.session import AioSession

    items, answers = iter(range(tasks)), []
    async with AioSession().create_client("lambda", endpoint_url=url) as client:

        async def work() -> None:
            for item in items:
                response = await client.invoke(FunctionName="bare", Payload=json.dumps(item))
                async with response["Payload"] as body:
                    answers.append(json.loads(await body.read()))

        await asyncio.gather(*[work() for _ in range(WORKERS)])
    assert sorted(answers) == list(range(tasks))


@contextmanager
def ours() -> Iterator[Run]:
    with here() as server:
        server.set_up("ours")
        options = {"function_name": "ours", "endpoint_url": server.url, "max_workers": WORKERS}
        with on_engine("aws-lambda", options) as run:
            yield run


@contextmanager
def here() -> Iterator[Server]:
    os.environ.update(CREDENTIALS)
    with lambda_server() as server:
        yield server


OURS = ours
