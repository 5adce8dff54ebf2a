"""Waiting for a task of one's own, and for nothing else."""

from __future__ import annotations

import asyncio

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
