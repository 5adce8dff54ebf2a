"""Opening arrays, and doing several things at a time, without blocking an event loop."""

from __future__ import annotations

import os
import threading
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from asyncexec.storage.chunks.access import OPENED_LIMIT, opened

if TYPE_CHECKING:
    from asyncexec.plan.stage import InThread
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.chunks.opened_chunks import Chunks

_OPENED: set[tuple[StoredArray, int, int]] = set()
_OPENING = threading.Lock()


async def aopened(array: StoredArray, requests: int, in_thread: InThread) -> Chunks:
    """Return an opened array; it is opened in a thread, by one of those that need it, where it may not be yet."""
    key = array, requests, os.getpid()
    if key in _OPENED:
        return opened(array)
    chunks: Chunks = await in_thread(_opened_once, array, requests)
    # As many as are kept opened: one that was closed meanwhile is opened on the loop, which is rare.
    if len(_OPENED) >= OPENED_LIMIT:
        _OPENED.clear()
    _OPENED.add(key)
    return chunks


def _opened_once(array: StoredArray, requests: int) -> Chunks:
    from asyncexec.storage.places.request_budget import shared_budget  # noqa: PLC0415 - brings asyncio, as above

    shared_budget().widen(requests)
    # One at a time: many tasks come to a new array at once, and it would be opened for each of them.
    with _OPENING:
        return opened(array)


async def all_of[T](calls: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Return what ``calls`` return; what one of them raises, when all have ended."""
    if len(calls) == 1:
        return [await calls[0]]
    import asyncio  # noqa: PLC0415 - workers that await nothing need none

    # All have ended then: what one still writes must not go on behind the error of another.
    found = await asyncio.gather(*calls, return_exceptions=True)
    for each in found:
        if isinstance(each, BaseException):
            raise each
    return [each for each in found if not isinstance(each, BaseException)]
