"""A function behind HTTP as a call system."""

from __future__ import annotations

import itertools
import logging
import pickle
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import anyio

from asyncexec.backends.adapters.call_context import CallContext
from asyncexec.backends.adapters.remote import RemoteCaller
from asyncexec.backends.adapters.service_calls import BusyError, ServiceCaller, TooLargeError
from asyncexec.backends.adapters.system_thread import SystemThread
from asyncexec.backends.contract import Batch, Capabilities
from asyncexec.backends.http.messages import (
    STOP_TYPE,
    FrameType,
    HttpFrames,
    StopRequest,
    decode_header,
    decode_stopped,
    encode_stop_request,
)
from asyncexec.backends.http.options import HttpOptions
from asyncexec.backends.http.responses import check_function, error_of, json_object
from asyncexec.backends.http.signing import HEADER, signature
from asyncexec.backends.http.stop_requests import StopRequests
from asyncexec.backends.http.tokens import TokenCache
from asyncexec.errors import BackendError
from asyncexec.events.outcome import Outcome
from asyncexec.plan.memory import format_bytes, parse_bytes
from asyncexec.worker.control import StopResult
from asyncexec.worker.remote_batch import NEEDS_PROGRAM, RemoteBatch

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
# A platform may first start a container, or let a call wait for one.
START_SECONDS = 600.0
# Many heartbeats of the worker.
SILENCE_SECONDS = 30.0
# Shorter than servers keep idle connections (gunicorn: 2 s), so that none is used that is just being closed.
KEEPALIVE_SECONDS = 1.5
STOP_ANSWER_SECONDS = 0.5


class HttpFunction:
    """Runs each batch by one request to a function, whose response streams while it runs."""

    def __init__(self, options: HttpOptions, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self._options = options
        self._service = ServiceCaller(options.max_workers)
        self._remote = RemoteCaller(memory_bytes=capabilities.worker_bytes)
        self._token_cache = TokenCache(options.token)
        self._numbers = itertools.count(1)
        self._client: Any = None

    @property
    def slots(self) -> int:
        """The number of calls that may run at once, now."""
        return self._service.slots

    async def open(self) -> None:
        """Create the client, and check that the function exists and fits the options."""
        thread = SystemThread("http")
        try:
            self._client = await thread.run(partial(_client, self._options))
        finally:
            thread.end()
        try:
            await self._check_function()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.close()
            raise

    async def close(self) -> None:
        """Close the connections."""
        self._token_cache.close()
        await self._client.aclose()

    async def call(self, batch: Batch, context: CallContext, /) -> Sequence[Outcome]:
        """Run a batch by as many requests as it takes, one after another."""
        return await self._service.call(batch, context, self._call_once)

    async def _call_once(self, batch: Batch, context: CallContext) -> Sequence[Outcome]:
        stops = StopRequests(context, f"{self._options.url}#{next(self._numbers)}")
        try:
            with context.stopped_by(stops):
                failure = await self._follow(batch, context, stops)
        except anyio.get_cancelled_exc_class():
            # The connection is closed already, which a worker finds out at its next frame.
            attempts = frozenset(job.attempt for job in batch.jobs)
            with anyio.CancelScope(shield=True):
                await self._send_stop(StopRequest(stops.header.call, attempts))
            raise
        if failure is None:
            return ()
        if not isinstance(failure, BackendError | BusyError | TooLargeError):
            _report_one_started(batch, context, stops.header.worker)
        raise failure

    async def _follow(
        self, batch: Batch, context: CallContext, stops: StopRequests
    ) -> Exception | None:
        """Run ``batch``, and send requests to stop attempts meanwhile; return the error itself, not in a group."""
        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._send_stops, stops)
            try:
                await self._remote.stream(batch, context, partial(self._stream, stops))
                # Attempts that a request has stopped are not in the stream, but in the request's answer.
                await stops.settled()
            except Exception as error:  # noqa: BLE001 - see above
                failure = error
            tasks.cancel_scope.cancel()
        return failure

    async def _send_stops(self, stops: StopRequests) -> None:
        """Send requests to stop attempts; if one fails, its attempts only run on for nothing."""
        while True:
            request = await stops.next()
            stops.answered(request, await self._send_stop(request))

    async def _send_stop(self, request: StopRequest) -> StopResult | None:
        """Send a request, and return what the worker has stopped; None if it does not answer."""
        if not request.call:
            return None
        with anyio.move_on_after(STOP_ANSWER_SECONDS):
            try:
                response = await self._send(
                    "POST", encode_stop_request(request), media_type=STOP_TYPE
                )
                stopped = decode_stopped(await response.aread())
                await response.aclose()
            except Exception as error:  # noqa: BLE001 - a worker that cannot be reached is left to itself
                logger.debug("executor 'http': an order was not delivered: %s", error)
            else:
                return stopped
        return None

    async def _stream(self, stops: StopRequests, call: RemoteBatch) -> AsyncIterator[bytes]:
        """Run ``call`` by one request, and yield the frames of its reports while it runs."""
        data = pickle.dumps(call, protocol=5)
        limit = parse_bytes(self._options.request_bytes)
        if len(data) > limit:
            raise TooLargeError(
                f"a task's function and inputs make {format_bytes(len(data))}, and a request may have "
                f"{format_bytes(limit)}. Let tasks read large inputs from storage; where the platform takes "
                f"more, say so: executor_options={{'request_bytes': …}}"
            )
        response = await self._send("POST", data)
        needs_program = False
        try:
            await _check_response(response, self._options.url)
            async for frame in _frames(response):
                if frame.kind is FrameType.HEADER:
                    stops.header = decode_header(frame.content)
                elif frame.kind is FrameType.NEEDS_PROGRAM:
                    needs_program = True
                elif frame.kind is FrameType.REPORTS:
                    yield frame.content
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()
        if needs_program:
            yield NEEDS_PROGRAM

    async def _send(
        self, method: str, data: bytes, *, media_type: str = "application/octet-stream"
    ) -> Any:
        """Send a request, and return its response, whose body is still to come."""
        import httpx

        headers = await self._token_cache.headers()
        if self._options.secret is not None:
            headers[HEADER] = signature(self._options.secret, data, time.time())
        if data:
            headers["Content-Type"] = media_type
        request = self._client.build_request(
            method, self._options.url, content=data, headers=headers
        )
        try:
            with anyio.fail_after(START_SECONDS):
                return await self._client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise BusyError(f"{self._options.url} cannot be reached: {error}") from error

    async def _check_function(self) -> None:
        """Check that the function is a worker of the same version of Python and asyncexec.

        Raises BackendError if it is no worker, refuses the request, or runs another Python, and OptionError if the
        platform ends calls before ``timeout``.
        """
        import httpx

        url = self._options.url
        try:
            response = await self._send("GET", b"")
            try:
                await _check_response(response, url)
                found = json_object(await response.aread()) or {}
            finally:
                await response.aclose()
        except BusyError as error:
            if error.__cause__ is not None:
                raise BackendError(f"executor 'http': {error}") from error
            return  # The function exists and is busy: the calls will find out the rest.
        except (httpx.HTTPError, OSError) as error:
            raise BackendError(f"executor 'http': {url} does not answer: {error}") from error
        check_function(found, url, timeout=self._options.timeout)


def _client(options: HttpOptions) -> Any:
    import httpx

    return httpx.AsyncClient(
        headers=dict(options.headers or {}),
        timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
        limits=httpx.Limits(
            max_connections=None,
            max_keepalive_connections=options.max_workers,
            keepalive_expiry=KEEPALIVE_SECONDS,
        ),
        # A redirect would send the work, and the token, to another host.
        follow_redirects=False,
    )


async def _check_response(response: Any, url: str) -> None:
    """Raise the error that a response means, unless it is the stream of a call."""
    if response.status_code == 200:
        return
    body = b""
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > 10_000:
            break
    raise error_of(url, response.status_code, response.headers, body)


async def _frames(response: Any) -> AsyncIterator[Any]:
    """Yield the frames before the last; raises ConnectionError if the stream was cut, or nothing came for a while."""
    reader, pieces = HttpFrames(), response.aiter_bytes()
    while True:
        try:
            with anyio.fail_after(SILENCE_SECONDS):
                piece = await anext(pieces, None)
        except TimeoutError:
            raise ConnectionError(
                f"the worker has said nothing for {SILENCE_SECONDS:g} s"
            ) from None
        if piece is None:
            raise ConnectionError("the worker's answer was cut off")
        for frame in reader.feed(piece):
            if frame.kind is FrameType.END:
                return
            yield frame


def _report_one_started(batch: Batch, context: CallContext, worker: str) -> None:
    """Report a start of the first pending attempt, unless one is running: the lost connection counts for it."""
    running = context.running
    if running is not None and running.attempt in context.pending:
        return
    for job in batch.jobs:
        if context.started(job.attempt, worker):
            return
