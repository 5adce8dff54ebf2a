"""The end of a command by SIGTERM, which is how services, schedulers and `timeout` stop one."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Awaitable


class TerminatedError(KeyboardInterrupt):
    """SIGTERM came; what was running has been stopped."""


async def until_terminated[T](work: Awaitable[T]) -> T:
    """Return what ``work`` returns; SIGTERM cancels the task of the caller, as Ctrl-C does.

    Raises
    ------
    TerminatedError
        If SIGTERM came.
    """
    task = asyncio.current_task()
    if (
        task is None
        or sys.platform == "win32"
        or threading.current_thread() is not threading.main_thread()
    ):
        return await work
    terminated = False

    def terminate() -> None:
        nonlocal terminated
        if not terminated:
            terminated = True
            task.cancel()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, terminate)
    try:
        return await work
    except asyncio.CancelledError:
        if terminated:
            raise TerminatedError from None
        raise
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
