"""An ephemeral Modal app with one function; a batch is one call of it, which reports while it runs."""

from __future__ import annotations

import asyncio
import json
import pickle
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from functools import partial
from importlib import import_module
from typing import Any
from weakref import WeakSet

import anyio

from asyncexec.backends.adapters.call_context import CallContext
from asyncexec.backends.adapters.remote import RemoteCaller
from asyncexec.backends.adapters.system_thread import call_abandonably
from asyncexec.backends.contract import Batch, Capabilities, StageProgram
from asyncexec.backends.modal.call_errors import CallErrorAction, action_for, advice
from asyncexec.backends.modal.clients import connected_client
from asyncexec.backends.modal.frame_stream import FrameStream
from asyncexec.backends.modal.images import image_of
from asyncexec.backends.modal.options import ModalOptions
from asyncexec.backends.modal.worker_side import work
from asyncexec.errors import BackendError, ConfigurationError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.masking import masked_logins
from asyncexec.worker.attempt import describe
from asyncexec.worker.control import NOTHING_STOPPED, StopResult
from asyncexec.worker.remote_batch import RemoteBatch

STOP_ANSWER_SECONDS = 0.9
GIVE_UP_SECONDS = 5.0
"""The seconds that ending what was begun may take, when the app cannot be started."""


class ModalSystem:
    """Modal as a call system; see :class:`CallSystem`."""

    def __init__(self, options: ModalOptions, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self._options = options
        self._caller = RemoteCaller(memory_bytes=options.memory_bytes)
        self._lossy: WeakSet[StageProgram] = WeakSet()
        self._stack = AsyncExitStack()
        # anyio's task group cannot be exited inside another scope, as happens on closing.
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: Any = None
        self._function: Any = None
        self._stop_queue: Any = None

    @property
    def slots(self) -> int:
        """The number of calls at once: the largest number of containers."""
        return self._options.max_workers

    async def open(self) -> None:
        """Connect, and start the app."""
        # In a thread, which ends with it: it takes a second, for which the loop of the driver would stand still.
        modal = await call_abandonably(
            partial(import_module, "modal"), name="asyncexec-modal-import", undo=lambda _: None
        )
        stack = self._stack = AsyncExitStack()
        try:
            self._client = await self._connected(stack)
            await self._start_in_time(modal, stack)
        except BaseException as error:
            # A server that has become silent does not answer here either.
            with anyio.CancelScope(shield=True), anyio.move_on_after(GIVE_UP_SECONDS):
                await stack.aclose()
            ours = isinstance(error, BackendError | ConfigurationError)
            if isinstance(error, Exception) and not ours:
                raise _refusal(error) from error  # Modal's own, or the transport's
            raise
        self._group = await stack.enter_async_context(asyncio.TaskGroup())

    async def _connected(self, stack: AsyncExitStack) -> Any:
        """Return the client, once the server has answered it; Modal's own would try for a minute.

        A connection alone says nothing: also a server that never answers takes it.
        """
        from modal.config import config

        seconds = self._options.connect_timeout
        try:
            async with asyncio.timeout(seconds):
                client = await stack.enter_async_context(connected_client(self._options.client))
                await client.hello.aio()
        except TimeoutError as error:
            server = masked_logins(str(config.get("server_url")))
            raise BackendError(
                f"executor 'modal': Modal's server {server!r} does not answer within {seconds:g} s. Check that it "
                f"can be reached from here (MODAL_SERVER_URL, server_url of ~/.modal.toml), or wait longer "
                f"(connect_timeout)"
            ) from error
        return client

    async def _start_in_time(self, modal: Any, stack: AsyncExitStack) -> None:
        """Start the app, or raise BackendError if that takes longer than ``start_timeout``."""
        seconds = self._options.start_timeout
        try:
            async with asyncio.timeout(seconds):
                await self._start(modal, stack)
        except TimeoutError as error:
            raise BackendError(
                f"executor 'modal': its app did not start within {seconds:g} s, and was given up. "
                f"{self.capabilities.opening_advice}"
            ) from error

    async def _start(self, modal: Any, stack: AsyncExitStack) -> None:
        options = self._options
        where = {"client": self._client, "environment_name": options.environment_name}
        self._stop_queue = await stack.enter_async_context(modal.Queue.ephemeral(**where))
        app = modal.App(options.app_name, include_source=False)
        self._function = app.function(
            **options.function_arguments(),
            name="work",
            image=image_of(options),
            env=dict(options.env_vars or {}) or None,
            secrets=[_secret(modal, each, options) for each in options.secrets or ()],
            serialized=True,  # Modal does not retry serialized generator functions.
            # The answers are bytes, which are read without unpickling.
            _experimental_restrict_output=True,
        )(work)
        await stack.enter_async_context(app.run(**where))

    async def close(self) -> None:
        """Stop the app, which ends its containers, and disconnect."""
        for task in self._tasks:
            task.cancel()
        await self._stack.aclose()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def call(self, batch: Batch, context: CallContext, /) -> Sequence[Outcome]:
        """Run ``batch`` by one call; or by one call each, if a container was lost with the same program before."""
        if batch.program not in self._lossy or len(batch.jobs) == 1:
            return await self._call(batch, context)
        for job in batch.jobs:
            if job.attempt in context.pending:
                context.ended(*await self._call(Batch(batch.program, [job]), context))
        return ()

    async def _call(self, batch: Batch, context: CallContext) -> Sequence[Outcome]:
        running = _RunningCall(FrameStream(context), self._request_stop)

        async def stream(call: RemoteBatch) -> AsyncIterator[bytes]:
            # Each call has a stream of its own: a container that lacks the program is called a second time.
            running.frame_stream = frame_stream = FrameStream(context)
            self._begin(self._follow(pickle.dumps(call), frame_stream))
            async for frame in frame_stream.frames():
                yield frame

        try:
            with context.stopped_by(running):
                return await self._caller.stream(batch, context, stream)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await self._stop(running.frame_stream)
            # The container may be ahead of its reports, so any of these attempts may have started.
            context.ended(
                *[_cancelled(a, context, running.frame_stream) for a in context.interrupted]
            )
            raise
        except BackendError:
            raise
        except Exception as error:  # noqa: BLE001 - Modal raises its own, gRPC's, and containers' exceptions
            return self._ended(error, batch, context, running.frame_stream)

    async def _follow(self, packed: bytes, frame_stream: FrameStream) -> None:
        """Follow a call to its end, even if it was cancelled before its id was known."""
        try:
            source: Any = self._function.remote_gen.aio(packed, self._stop_queue.object_id)
            async with aclosing(source):
                async for frame in source:
                    if not frame_stream.feed(frame):
                        break
            if frame_stream.cancelled:
                await self._kill(frame_stream)
        except Exception as error:  # noqa: BLE001 - the reader of the frames raises it
            frame_stream.error = error
        finally:
            frame_stream.end()

    async def _stop(self, frame_stream: FrameStream) -> None:
        """End the call and its container; a call that has not started is ended when it starts."""
        frame_stream.cancelled = True
        if frame_stream.call_id and not frame_stream.ended:
            await self._kill(frame_stream)

    async def _kill(self, frame_stream: FrameStream) -> None:
        import modal

        try:
            call: Any = modal.FunctionCall.from_id(frame_stream.call_id, client=self._client)
            await call.cancel.aio(terminate_containers=True)
        except Exception as error:  # noqa: BLE001 - see below
            # The call has just ended, or Modal cannot be reached, which the call's own reader finds out too.
            frame_stream.error = frame_stream.error or error

    def _request_stop(self, frame_stream: FrameStream, attempts: frozenset[int]) -> None:
        self._begin(self._drop(frame_stream, attempts))

    async def _drop(self, frame_stream: FrameStream, attempts: frozenset[int]) -> None:
        request = json.dumps(sorted(attempts)).encode()
        with anyio.move_on_after(STOP_ANSWER_SECONDS), suppress(Exception):
            await self._stop_queue.put.aio(request, partition=frame_stream.container)
            await frame_stream.closed.wait()
        # The request has not arrived, or arrived too late.
        if left := frame_stream.context.pending & attempts:
            frame_stream.context.interrupt(left)

    def _ended(
        self, error: Exception, batch: Batch, context: CallContext, frame_stream: FrameStream
    ) -> Sequence[Outcome]:
        """Return outcomes for an error that cost no container; raise it if a container is lost."""
        action = action_for(error)
        if action is CallErrorAction.BROKEN:
            message = f"executor 'modal': {type(error).__name__}: {error}. {advice(error)}"
            raise BackendError(message) from error
        left = [job.attempt for job in batch.jobs if job.attempt in context.pending]
        if action is CallErrorAction.REFUSED and not frame_stream.call_id:
            info = describe(ConnectionError(f"Modal: {type(error).__name__}: {error}"))
            return [Outcome(attempt, Status.FAILED, error=info) for attempt in left]
        running = context.running
        if left and (running is None or running.attempt not in left):
            # Attempts run in order, so the one that has started without a report is the first that is left.
            context.started(left[0], frame_stream.container or f"modal call {id(frame_stream):x}")
        if action is CallErrorAction.LOST:
            self._lossy.add(batch.program)
        raise error


class _RunningCall:
    """A running call: attempts that have not started are dropped in the container, others end with the call."""

    def __init__(
        self, frame_stream: FrameStream, request_stop: Callable[[FrameStream, frozenset[int]], None]
    ) -> None:
        self.frame_stream = frame_stream
        self._request_stop = request_stop

    def stop(self, attempts: frozenset[int]) -> StopResult:
        frame_stream, context = self.frame_stream, self.frame_stream.context
        running = context.running
        if not frame_stream.call_id or (running is not None and running.attempt in attempts):
            context.interrupt(attempts)
        else:
            frame_stream.dropped |= attempts
            self._request_stop(frame_stream, attempts)
        return NOTHING_STOPPED


def _cancelled(attempt: int, context: CallContext, frame_stream: FrameStream) -> Outcome:
    seconds = max(time.time() - context.began_at, 0.0)
    return Outcome(attempt, Status.CANCELLED, frame_stream.container, context.began_at, seconds)


def _secret(modal: Any, secret: object, options: ModalOptions) -> Any:
    if not isinstance(secret, str):
        return secret
    return modal.Secret.from_name(secret, environment_name=options.environment_name)


def _refusal(error: Exception) -> Exception:
    """Return the error for an app that cannot be started."""
    reason = str(error).rstrip(".")
    message = f"executor 'modal' cannot start its app: {type(error).__name__}: {reason}"
    if action_for(error) is CallErrorAction.REFUSED:
        return BackendError(f"{message}. Is Modal reachable from here?")
    return ConfigurationError(f"{message}. Look at the option it names, or at your credentials")
