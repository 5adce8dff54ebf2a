"""The ``aws-lambda`` executor: each batch is one synchronous invocation of a function deployed beforehand."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from asyncexec.backends.adapters.calls import CallsBackend
from asyncexec.backends.aws_lambda.function import LambdaFunction
from asyncexec.backends.aws_lambda.options import LambdaOptions
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.extras import require_extra
from asyncexec.backends.option_fields import takes_options
from asyncexec.masking import masked_logins

_NAME = "aws-lambda"


class LambdaBackend(CallsBackend):
    """Run tasks in a Lambda function whose handler is ``asyncexec.backends.aws_lambda.worker_side.handler``.

    ``asyncexec lambda package`` builds what to deploy. Lambda cannot stop a function from outside: a task that is
    cancelled or times out while it runs is *abandoned*. Its function computes on, and is billed, until it returns or
    runs into its own timeout, and a late write cannot be prevented.

    Its options are the fields of :class:`LambdaOptions`.

    Raises
    ------
    OptionError
        If the value of an option is not allowed.
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
        overlaps=True,
    )

    @takes_options(LambdaOptions)
    def __init__(self, options: LambdaOptions) -> None:
        require_extra(_NAME, "aiobotocore")
        capabilities = dataclasses.replace(
            self.features,
            batch_limit=options.batch_limit,
            worker_bytes=options.memory_bytes,
            opening_seconds=options.start_timeout,
            opening_advice=f"{_api(options)} does not answer: check the network, or give it longer (start_timeout)",
        )
        super().__init__(LambdaFunction(options, capabilities))


def _api(options: LambdaOptions) -> str:
    if options.endpoint_url is None:
        return "Lambda's API"
    return f"Lambda's API at endpoint_url={masked_logins(options.endpoint_url)!r}"
