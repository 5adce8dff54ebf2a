"""Small things that a task of one's own does: wait for another, and hold contexts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import anyio


def is_running(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether ``loop`` is the event loop that runs here."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


async def wait_for(task: asyncio.Task[None]) -> None:
    """Wait until ``task`` is done, however often this is cancelled meanwhile; then raise the cancellation."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            with anyio.CancelScope(shield=True):
                await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


@asynccontextmanager
async def entered(
    contexts: Iterable[AbstractAsyncContextManager[object]],
) -> AsyncGenerator[None]:
    """Enter several contexts, and leave them in the opposite order."""
    async with AsyncExitStack() as stack:
        for each in contexts:
            await stack.enter_async_context(each)
        yield
