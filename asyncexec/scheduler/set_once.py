"""An event that is set once and costs little: every run has some, and a thousand may wait for their end."""

from __future__ import annotations

import asyncio


class SetOnce:
    """An event of asyncio that is never cleared. Each task that waits for it has a future.

    >>> import asyncio
    >>> async def main():
    ...     event = SetOnce()
    ...     asyncio.get_running_loop().call_soon(event.set)
    ...     await event.wait()
    ...     return event.is_set()
    >>> asyncio.run(main())
    True
    """

    __slots__ = ("_set", "_waiters")

    def __init__(self) -> None:
        self._set = False
        self._waiters: tuple[asyncio.Future[None], ...] = ()

    def is_set(self) -> bool:
        """Return whether it is set."""
        return self._set

    def set(self) -> None:
        """Set it, and let all that wait go on; in the thread of their event loop."""
        self._set = True
        waiters, self._waiters = self._waiters, ()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self) -> None:
        """Wait until it is set."""
        if self._set:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters = (*self._waiters, waiter)
        try:
            await waiter
        except BaseException:
            self._waiters = _without(waiter, self._waiters)
            raise


def _without(
    one: asyncio.Future[None], waiters: tuple[asyncio.Future[None], ...]
) -> tuple[asyncio.Future[None], ...]:
    return tuple(each for each in waiters if each is not one)
