"""A Lambda function as a call system."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import io
import itertools
import logging
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from asyncexec.backends.adapters.call_context import CallContext
from asyncexec.backends.adapters.remote import RemoteCaller
from asyncexec.backends.adapters.service_calls import BusyError, ServiceCaller, TooLargeError
from asyncexec.backends.aws_lambda.api_errors import (
    ApiErrorKind,
    advice_for,
    api_error_kind,
    code_of,
)
from asyncexec.backends.aws_lambda.call_errors import StartMark, outcomes_of
from asyncexec.backends.aws_lambda.clients import create_clients
from asyncexec.backends.aws_lambda.deployment import Deployment, check_deployment
from asyncexec.backends.aws_lambda.envelope import (
    StoredObject,
    decode_answer,
    encode_request,
    pack_call,
)
from asyncexec.backends.aws_lambda.options import LambdaOptions
from asyncexec.backends.aws_lambda.payloads import Bucket, Payloads
from asyncexec.backends.contract import Batch, Capabilities
from asyncexec.errors import BackendError, ConfigurationError
from asyncexec.events.outcome import Outcome
from asyncexec.worker.remote_batch import RemoteBatch

logger = logging.getLogger(__name__)

# A refused call is refused sooner than this; a call that takes longer has started.
START_SECONDS = 0.05


class LambdaFunction:
    """Runs each batch by invoking a Lambda function."""

    def __init__(self, options: LambdaOptions, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self._options = options
        self._service = ServiceCaller(options.max_workers)
        self._remote = RemoteCaller()
        self._stack = AsyncExitStack()
        self._numbers = itertools.count(1)
        self._client: Any = None
        self._payloads = Payloads(None, None)
        self._target = {"FunctionName": options.function_name}
        if options.qualifier:
            self._target["Qualifier"] = options.qualifier

    @property
    def slots(self) -> int:
        """The number of calls that may run at once, now."""
        return self._service.slots

    async def open(self) -> None:
        """Connect, and check that the function exists and fits the options."""
        options = self._options
        async with AsyncExitStack() as stack:
            clients = await create_clients(stack, options)
            self._client = clients.functions
            bucket = None if options.bucket is None else Bucket.parse(options.bucket)
            self._payloads = Payloads(bucket, clients.objects)
            deployment = await self._deployment()
            if deployment is not None:
                check_deployment(deployment, options.function_name, timeout=options.timeout)
                self._adapt(deployment)
            self._stack = stack.pop_all()

    async def close(self) -> None:
        """Close the connections."""
        await self._stack.aclose()

    async def call(self, batch: Batch, context: CallContext, /) -> Sequence[Outcome]:
        """Run a batch by as many invocations as it takes, one after another."""
        return await self._service.call(batch, context, self._call_once)

    async def _call_once(self, batch: Batch, context: CallContext) -> Sequence[Outcome]:
        invocation = _Invocation(self, batch, context, next(self._numbers))
        try:
            return await self._remote.call(batch, context, partial(self._send, invocation))
        except _EndedError as ended:
            return ended.outcomes

    async def _send(self, invocation: _Invocation, call: RemoteBatch) -> bytes:
        """Run ``call`` by one invocation, and return its answer."""
        request = await self._payloads.request(pack_call(call))
        stored = [request.call] if isinstance(request.call, StoredObject) else []
        try:
            answer = await invocation.make(encode_request(request))
            if isinstance(answer, StoredObject):
                stored.append(answer)
                answer = await self._payloads.fetch(answer)
            return answer
        finally:
            if stored:
                await self._payloads.discard(stored)

    async def invoke(self, event: bytes) -> tuple[bytes, bool, str, str]:
        """Invoke the function; return its payload, whether that is an error, the log's end and the request's id."""
        response = await self._client.invoke(
            **self._target,
            InvocationType="RequestResponse",
            LogType="Tail",
            # This is read in pieces, so that the event loop is not blocked.
            Payload=io.BytesIO(event),
        )
        async with response["Payload"] as body:
            payload: bytes = await body.read()
        return (
            payload,
            bool(response.get("FunctionError")),
            response.get("LogResult", ""),
            response["ResponseMetadata"].get("RequestId", ""),
        )

    @property
    def name(self) -> str:
        """The function's name."""
        return self._options.function_name

    def _adapt(self, deployment: Deployment) -> None:
        if self._options.memory is None:
            self.capabilities = dataclasses.replace(
                self.capabilities, worker_bytes=deployment.memory_bytes
            )

    async def _deployment(self) -> Deployment | None:
        """Return the deployment; None if the caller may invoke the function but not query it."""
        from botocore.exceptions import NoCredentialsError, PartialCredentialsError

        options = self._options
        try:
            configuration = await self._client.get_function_configuration(**self._target)
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise ConfigurationError(
                f"executor 'aws-lambda' finds no credentials ({error}). Run `aws configure`, or set AWS_ACCESS_KEY_ID "
                f"and AWS_SECRET_ACCESS_KEY; the option profile chooses among those of ~/.aws"
            ) from error
        except Exception as error:
            code, _ = code_of(error)
            if code == "AccessDeniedException":
                logger.warning(
                    "executor 'aws-lambda': function %r cannot be checked before the run, as "
                    "lambda:GetFunctionConfiguration is not allowed",
                    options.function_name,
                )
                return None
            raise BackendError(
                f"executor 'aws-lambda': function {options.function_name!r} cannot be used: {error}. "
                f"{advice_for(code)}"
            ) from error
        return Deployment.from_configuration(configuration)


class _EndedError(Exception):
    """The function did not answer; ``outcomes`` are those of its attempts."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        super().__init__("the function did not answer")
        self.outcomes = outcomes


class _Invocation:
    """One invocation, which reports its start and interprets its end."""

    def __init__(
        self, function: LambdaFunction, batch: Batch, context: CallContext, number: int
    ) -> None:
        self._function = function
        self._batch = batch
        self._context = context
        self._worker = f"{function.name}/{number}"
        self._sent_at = 0.0

    async def make(self, event: bytes) -> bytes | StoredObject:
        """Invoke the function, and return its answer.

        Raises _EndedError if the function did not answer, BusyError or TooLargeError if it was not run, and
        BackendError if it cannot be run.
        """
        self._sent_at = time.time()
        timer = asyncio.get_running_loop().call_later(START_SECONDS, self._started)
        try:
            payload, failed, log, request_id = await self._function.invoke(event)
        except Exception as error:
            raise self._classify(error) from error
        finally:
            timer.cancel()
        if failed:
            raise _EndedError(self._ended(payload, log, request_id))
        return decode_answer(payload, self._function.name)

    def _started(self) -> None:
        # Lambda does not report when a function starts, nor its progress.
        for job in self._batch.jobs:
            if self._context.started(job.attempt, self._worker):
                return

    def _ended(self, payload: bytes, log: str, request_id: str) -> list[Outcome]:
        attempts = [j.attempt for j in self._batch.jobs if j.attempt in self._context.pending]
        worker = f"{self._function.name}/{request_id}" if request_id else self._worker
        return outcomes_of(
            payload,
            base64.b64decode(log).decode("utf-8", "replace"),
            attempts=attempts,
            function=self._function.name,
            running=StartMark(attempts[0] if attempts else 0, self._sent_at, worker),
            overlaps=self._batch.program.overlaps,
        )

    def _classify(self, error: Exception) -> Exception:
        """Return the exception to raise for an error of the client."""
        kind = api_error_kind(error)
        if kind is ApiErrorKind.UNREACHABLE:
            return BusyError(f"Lambda cannot be reached: {error}")
        if kind is ApiErrorKind.BUSY:
            return BusyError(f"Lambda is busy: {error}")
        if kind is ApiErrorKind.TOO_LARGE:
            return TooLargeError(
                f"Lambda refuses the request as too large: {error}. Give the executor a bucket for large "
                f"messages: executor_options={{'bucket': 's3://…'}}"
            )
        if kind is ApiErrorKind.BROKEN:
            return BackendError(
                f"executor 'aws-lambda': function {self._function.name!r} cannot be invoked: {error}. "
                f"{advice_for(code_of(error)[0])}"
            )
        self._started()  # It may have started: then only the first attempt of the batch counts as lost while running.
        return error
