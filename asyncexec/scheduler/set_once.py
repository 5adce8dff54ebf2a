"""An event that is set once and costs little: every run has some, and a thousand may wait for their end."""

from __future__ import annotations

import asyncio


class SetOnce:
    """An event of asyncio that is never cleared. Each task that waits for it has a future.

    >>> import asyncio
    >>> from asyncexec.scheduler.set_once import SetOnce
    >>> async def main():
    ...     event = SetOnce()
    ...     asyncio.get_running_loop().call_soon(event.set)
    ...     await event.wait()
    ...     return event.is_set()
    >>> asyncio.run(main())
    True
    """

    __slots__ = ("_first", "_others", "_set")

    def __init__(self) -> None:
        self._set = False
        self._first: asyncio.Future[None] | None = None
        self._others: tuple[asyncio.Future[None], ...] = ()

    def is_set(self) -> bool:
        """Return whether it is set."""
        return self._set

    def set(self) -> None:
        """Set it, and let all that wait go on; in the thread of their event loop."""
        self._set = True
        first, self._first = self._first, None
        others, self._others = self._others, ()
        for waiter in (first, *others):
            if waiter is not None and not waiter.done():
                waiter.set_result(None)

    async def wait(self) -> None:
        """Wait until it is set."""
        if self._set:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._first is None:
            self._first = waiter
        else:
            self._others = (*self._others, waiter)
        try:
            await waiter
        except BaseException:
            self._forget(waiter)
            raise

    def _forget(self, waiter: asyncio.Future[None]) -> None:
        if self._first is waiter:
            self._first = None
        else:
            self._others = tuple(each for each in self._others if each is not waiter)
