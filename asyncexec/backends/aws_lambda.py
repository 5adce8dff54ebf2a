"""AWS Lambda: each batch is one synchronous invocation of a function that has been deployed beforehand."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from asyncexec.backends.adapters.calls import CallsBackend
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.extras import need
from asyncexec.backends.lambda_functions.function import Function, Settings
from asyncexec.backends.lambda_functions.payloads import Bucket
from asyncexec.backends.options import memory_bytes, optional_text, seconds, whole_number

_NAME = "aws-lambda"


class LambdaBackend(CallsBackend):
    """Run tasks in a Lambda function whose handler is ``asyncexec.backends.aws_lambda_worker.handler``.

    ``asyncexec lambda package`` builds what to deploy. Lambda cannot stop a function from outside: a task that is
    cancelled or times out while it runs is *given up*. Its function computes on, and is billed, until it returns or
    runs into its own timeout, and a late write cannot be prevented.

    Parameters
    ----------
    function_name : str
        Name or ARN of the function.
    qualifier : str, optional
        A version or alias of it.
    region, profile : str, optional
        As in AWS's own configuration, which they default to, like the credentials.
    endpoint_url : str, optional
        Of Lambda's API, where it is not AWS's.
    max_workers : int
        Invocations at once. When Lambda says that these are too many, there are fewer for a while.
    bucket : str, optional
        ``"name"`` or ``"s3://name/prefix"``: where messages go that are larger than Lambda takes (6 MB). The driver and
        the function need to read and write objects there, the driver to delete them.
    timeout : float, optional
        Seconds that one task may run; the engine ends it then. The function's own timeout must not be shorter.
    memory : int or str, optional
        Memory of the function (``"2GB"``, bytes); by default, what is configured is asked of Lambda.
    batch_limit : int
        How many tasks may go into one invocation.

    Raises
    ------
    OptionError
        If an option is not what it should be.
    MissingExtraError
        If aiobotocore is not installed.
    """

    features: ClassVar[Capabilities] = Capabilities(
        name=_NAME,
        isolated=True,
        measures_memory=True,
        guarantees_memory=True,
        metered=True,
        batch_limit=1000,
        tells_progress=False,
        loss_seconds=1.0,
        native_retry="none of synchronous invocations; botocore's are switched off",
        call_seconds=0.02,
    )

    def __init__(
        self,
        *,
        function_name: str,
        qualifier: str | None = None,
        region: str | None = None,
        profile: str | None = None,
        endpoint_url: str | None = None,
        max_workers: int = 100,
        bucket: str | None = None,
        timeout: float | None = None,
        memory: int | str | None = None,
        batch_limit: int = 1000,
    ) -> None:
        need(_NAME, "lambda", "aiobotocore")
        texts: dict[str, object] = {
            "function_name": function_name,
            "qualifier": qualifier,
            "region": region,
            "profile": profile,
            "endpoint_url": endpoint_url,
        }
        for option, value in texts.items():
            optional_text(value, executor=_NAME, option=option)
        worker_bytes = memory_bytes(memory, executor=_NAME, option="memory")
        settings = Settings(
            function_name=function_name,
            qualifier=qualifier,
            region=region,
            profile=profile,
            endpoint_url=endpoint_url,
            max_workers=whole_number(max_workers, executor=_NAME, option="max_workers"),
            bucket=None if bucket is None else Bucket.parse(bucket),
            timeout=None if timeout is None else seconds(timeout, executor=_NAME, option="timeout"),
            worker_bytes=worker_bytes,
        )
        capabilities = dataclasses.replace(
            self.features,
            worker_bytes=worker_bytes,
            batch_limit=whole_number(batch_limit, executor=_NAME, option="batch_limit"),
        )
        super().__init__(Function(settings, capabilities))
