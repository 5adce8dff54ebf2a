"""Small things that a task of one's own does: wait for something whatever happens, and hold contexts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from typing import Any, Protocol

import anyio

from asyncexec.errors import UsageError


def is_running(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether ``loop`` is the event loop that runs here."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def running_loop() -> asyncio.AbstractEventLoop:
    """Return the asyncio loop that runs here.

    Raises
    ------
    UsageError
        If none does, as under trio.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise UsageError(
            "asyncexec runs on asyncio, and no asyncio event loop is running here: start the program with "
            "asyncio.run() or anyio.run(), without backend='trio'; under trio, call "
            "'await trio.to_thread.run_sync(asyncexec.sync.execute, plan)'"
        ) from None


def is_being_cancelled() -> bool:
    """Return whether somebody has cancelled the task that runs here: a ``CancelledError`` may as well be a user's."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Waitable(Protocol):
    """An event, of asyncio or of anyio."""

    async def wait(self) -> object:
        """Wait until it is set."""
        ...


def _nothing(error: asyncio.CancelledError) -> None:
    """Do nothing more at a cancellation."""


_NO_SCOPE = nullcontext()


async def outlast(
    event: Waitable, cancelled: Callable[[asyncio.CancelledError], object] = _nothing
) -> asyncio.CancelledError | None:
    """Wait until ``event`` is set, however often this task is cancelled meanwhile; return the first cancellation.

    The caller raises it once its work is done. Each cancellation is counted by asyncio, and undone by whoever made it,
    so that those after the first need not be raised. ``cancelled`` is called with each.
    """
    first: asyncio.CancelledError | None = None
    # Shielded after the first, or the scopes of anyio would cancel the wait again at every step of the loop.
    scope: AbstractContextManager[Any] = _NO_SCOPE
    while True:
        try:
            with scope:
                await event.wait()
                return first
        except asyncio.CancelledError as error:
            first = first or error
            cancelled(error)
            scope = anyio.CancelScope(shield=True)


async def wait_for(
    task: asyncio.Task[None], cancelled: Callable[[asyncio.CancelledError], object] = _nothing
) -> None:
    """Wait until ``task`` is done, however often this is cancelled meanwhile; then raise the cancellation.

    ``cancelled`` is called with each.
    """
    done = asyncio.Event()
    task.add_done_callback(lambda _: done.set())
    if (cancellation := await outlast(done, cancelled)) is not None:
        raise cancellation


@asynccontextmanager
async def entered(
    contexts: Iterable[AbstractAsyncContextManager[object]],
) -> AsyncGenerator[None]:
    """Enter several contexts, and leave them in the opposite order."""
    async with AsyncExitStack() as stack:
        for each in contexts:
            await stack.enter_async_context(each)
        yield
