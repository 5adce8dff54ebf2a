"""The end of a command by SIGTERM, which is how services, schedulers and `timeout` stop one."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Awaitable

import anyio


class TerminatedError(KeyboardInterrupt):
    """SIGTERM came; what was running has been stopped."""


async def until_terminated[T](work: Awaitable[T]) -> T:
    """Return what ``work`` returns; SIGTERM cancels it, as Ctrl-C does.

    Raises
    ------
    TerminatedError
        If SIGTERM came.
    """
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        return await work
    found: list[T] = []
    errors: list[Exception] = []
    terminated = False

    async def watch() -> None:
        nonlocal terminated
        with anyio.open_signal_receiver(signal.SIGTERM) as signals:
            ready.set()
            async for _ in signals:
                terminated = True
                scope.cancel()

    ready = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        await ready.wait()
        with anyio.CancelScope() as scope:
            try:
                found.append(await work)
            except Exception as error:  # noqa: BLE001 - raised below, where no task group makes a group of it
                errors.append(error)
        group.cancel_scope.cancel()
    if errors:
        raise errors[0]
    if terminated and not found:
        raise TerminatedError
    return found[0]
