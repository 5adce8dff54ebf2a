"""An ephemeral app with one function; a batch is one call of it, which tells of itself while it runs."""

from __future__ import annotations

import asyncio
import json
import pickle
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from typing import Any
from weakref import WeakSet

import anyio

from asyncexec.backends.adapters.calls import CallContext
from asyncexec.backends.adapters.remote import RemoteCaller
from asyncexec.backends.contract import Batch, Capabilities, StageProgram
from asyncexec.backends.modal.call_errors import Ending, advice, ending_of
from asyncexec.backends.modal.clients import connected
from asyncexec.backends.modal.frame_stream import Flow
from asyncexec.backends.modal.images import image_of
from asyncexec.backends.modal.options import ModalOptions
from asyncexec.backends.modal.worker_side import work
from asyncexec.errors import BackendError, ConfigurationError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.worker.attempt import describe
from asyncexec.worker.control import NOTHING_STOPPED, StopResult
from asyncexec.worker.remote_batch import RemoteBatch

INSIST_SECONDS = 0.9


class ModalApp:
    """The system behind the backend; see :class:`CallSystem`."""

    def __init__(self, options: ModalOptions, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self._options = options
        self._caller = RemoteCaller()
        self._lossy: WeakSet[StageProgram] = WeakSet()
        self._stack = AsyncExitStack()
        # Not anyio's, whose scope could not be left inside another, as on closing.
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: Any = None
        self._function: Any = None
        self._orders: Any = None

    @property
    def slots(self) -> int:
        """As many calls as there may be containers."""
        return self._options.max_workers

    async def open(self) -> None:
        """Connect, and start the app."""
        import modal

        stack = self._stack = AsyncExitStack()
        try:
            self._client = await stack.enter_async_context(connected(self._options.client))
            await self._start(modal, stack)
        except modal.exception.Error as error:
            await stack.aclose()
            raise _refusal(error) from error
        except BaseException:
            with anyio.CancelScope(shield=True):
                await stack.aclose()
            raise
        self._group = await stack.enter_async_context(asyncio.TaskGroup())

    async def _start(self, modal: Any, stack: AsyncExitStack) -> None:
        options = self._options
        where = {"client": self._client, "environment_name": options.environment_name}
        self._orders = await stack.enter_async_context(modal.Queue.ephemeral(**where))
        app = modal.App(options.app_name, include_source=False)
        self._function = app.function(
            **options.function_arguments(),
            name="work",
            image=image_of(options),
            env=dict(options.env_vars or {}) or None,
            secrets=[_secret(modal, each, options) for each in options.secrets or ()],
            serialized=True,  # A generator, besides: Modal tries none of those again.
            # What comes back is bytes, which are read without unpickling anything.
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
        """Run the jobs of ``batch`` by one call; by one each, where a container has been lost with that program."""
        if batch.program not in self._lossy or len(batch.jobs) == 1:
            return await self._call(batch, context)
        for job in batch.jobs:
            if job.attempt in context.pending:
                context.ended(*await self._call(Batch(batch.program, [job]), context))
        return ()

    async def _call(self, batch: Batch, context: CallContext) -> Sequence[Outcome]:
        running = _RunningCall(Flow(context), self._send_order)

        async def stream(call: RemoteBatch) -> AsyncIterator[bytes]:
            # A flow each time: a container that lacks the program is called a second time.
            running.flow = flow = Flow(context)
            self._begin(self._read(pickle.dumps(call), flow))
            async for frame in flow.frames():
                yield frame

        try:
            with context.stopped_by(running):
                return await self._caller.stream(batch, context, stream)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await self._stop(running.flow)
            # The container may have been ahead of what it has told: each of them may have begun.
            context.ended(*[_cancelled(a, context, running.flow) for a in context.interrupted])
            raise
        except BackendError:
            raise
        except Exception as error:  # noqa: BLE001 - Modal raises its own, gRPC's, and containers' exceptions
            return self._ended(error, batch, context, running.flow)

    async def _read(self, packed: bytes, flow: Flow) -> None:
        """Follow a call to its end, also when it is wanted no more before it has said which it is."""
        try:
            source: Any = self._function.remote_gen.aio(packed, self._orders.object_id)
            async with aclosing(source):
                async for frame in source:
                    if not flow.take(frame):
                        break
            if flow.unwanted:
                await self._kill(flow)
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits for the frames
            flow.error = error
        finally:
            flow.end()

    async def _stop(self, flow: Flow) -> None:
        """End the call and its container; a call that has not begun ends as soon as it does."""
        flow.unwanted = True
        if flow.call_id and not flow.ended:
            await self._kill(flow)

    async def _kill(self, flow: Flow) -> None:
        import modal

        try:
            call: Any = modal.FunctionCall.from_id(flow.call_id, client=self._client)
            await call.cancel.aio(terminate_containers=True)
        except Exception as error:  # noqa: BLE001 - see below
            # It has just ended, or Modal cannot be reached, which the call's own reader hears as well.
            flow.error = flow.error or error

    def _send_order(self, flow: Flow, attempts: frozenset[int]) -> None:
        self._begin(self._drop(flow, attempts))

    async def _drop(self, flow: Flow, attempts: frozenset[int]) -> None:
        order = json.dumps(sorted(attempts)).encode()
        with anyio.move_on_after(INSIST_SECONDS), suppress(Exception):
            await self._orders.put.aio(order, partition=flow.container)
            await flow.closed.wait()
        # An order that has not arrived, or came too late.
        if left := flow.context.pending & attempts:
            flow.context.interrupt(left)

    def _ended(
        self, error: Exception, batch: Batch, context: CallContext, flow: Flow
    ) -> Sequence[Outcome]:
        """Say what an error means for what is pending: raises it where a container is lost."""
        ending = ending_of(error)
        if ending is Ending.BROKEN:
            told = f"executor 'modal': {type(error).__name__}: {error}. {advice(error)}"
            raise BackendError(told) from error
        left = [job.attempt for job in batch.jobs if job.attempt in context.pending]
        if ending is Ending.REFUSED and not flow.call_id:
            told_as = describe(ConnectionError(f"Modal: {type(error).__name__}: {error}"))
            return [Outcome(attempt, Status.FAILED, error=told_as) for attempt in left]
        running = context.running
        if left and (running is None or running.attempt not in left):
            # They run in order, so that what has begun without being told is the first that is left.
            context.started(left[0], flow.container or f"modal call {id(flow):x}")
        if ending is Ending.LOST:
            self._lossy.add(batch.program)
        raise error


class _RunningCall:
    """A call whose attempts are dropped if the container has not begun with them, and otherwise end with it."""

    def __init__(self, flow: Flow, send_order: Callable[[Flow, frozenset[int]], None]) -> None:
        self.flow = flow
        self._send_order = send_order

    def stop(self, attempts: frozenset[int]) -> StopResult:
        flow, context = self.flow, self.flow.context
        running = context.running
        if not flow.call_id or (running is not None and running.attempt in attempts):
            context.interrupt(attempts)
        else:
            flow.dropped |= attempts
            self._send_order(flow, attempts)
        return NOTHING_STOPPED


def _cancelled(attempt: int, context: CallContext, flow: Flow) -> Outcome:
    seconds = max(time.time() - context.began_at, 0.0)
    return Outcome(attempt, Status.CANCELLED, flow.container, context.began_at, seconds)


def _secret(modal: Any, secret: object, options: ModalOptions) -> Any:
    if not isinstance(secret, str):
        return secret
    return modal.Secret.from_name(secret, environment_name=options.environment_name)


def _refusal(error: Exception) -> Exception:
    """Return what the user is told when the app cannot be started."""
    message = str(error).rstrip(".")
    told = f"executor 'modal' cannot start its app: {type(error).__name__}: {message}"
    if ending_of(error) is Ending.REFUSED:
        return BackendError(f"{told}. Is Modal reachable from here?")
    return ConfigurationError(f"{told}. Look at the option it names, or at your credentials")
