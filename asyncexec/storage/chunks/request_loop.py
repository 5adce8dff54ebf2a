"""An event loop in a thread of its own, on which calls that block have several requests under way at a time."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Coroutine, Iterable, Iterator
from functools import lru_cache
from typing import Any


def run_on_loop[T](
    coroutines: Iterable[Coroutine[Any, Any, T]],
    at_once: int,
    loop: asyncio.AbstractEventLoop | None = None,
) -> Iterator[T]:
    """Yield what ``coroutines`` return, in their order; no more than ``at_once`` of them are under way at a time.

    The first exception is raised when its turn comes; what is under way then is cancelled, and what was not begun is
    closed. They run on ``loop``, by default on one for requests.
    """
    loop = _loop(os.getpid()) if loop is None else loop
    pending = deque[Any]()
    left = iter(coroutines)
    try:
        for coroutine in left:
            pending.append(asyncio.run_coroutine_threadsafe(coroutine, loop))
            if len(pending) >= at_once:
                # In their order, so that the caller knows which is which; the others go on meanwhile.
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
        if isinstance(coroutines, list):
            for coroutine in left:
                coroutine.close()


@lru_cache(maxsize=1)
def _loop(_process: int) -> asyncio.AbstractEventLoop:
    """Return the loop of this process: its thread does not survive a fork, and holds up no exit."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="zarr_io requests", daemon=True).start()
    return loop
