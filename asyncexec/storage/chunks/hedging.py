"""Reads that take longer than nearly all others of their size: they are asked again, over a fresh connection.

Of many requests to an object store a few hang on a slow machine or a lost packet, while the same question is answered
at once when it is asked again. That is bounded, so that a store that is slow as a whole is not asked twice as much.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Coroutine
from functools import lru_cache
from threading import Lock
from typing import Any

SLOWEST = 0.01
"""The share of requests that are slow."""
BUDGET = 0.02
"""The share of requests that may be asked again."""
LEAST_SAMPLES = 100
"""The answers that must be known before anything is called slow."""
LEAST_SECONDS = 0.002
"""The time that no request is called slow before."""
_RECENT = 1000
_EVERY = 20

_log = logging.getLogger(__name__)


class HedgeRule:
    """The decision when a read is asked again, from the times that reads of the same size have taken.

    >>> from asyncexec.storage.chunks.hedging import HedgeRule
    >>> rule = HedgeRule()
    >>> for number in range(200):
    ...     rule.begin()
    ...     rule.end(0.010 if number % 50 else 0.5)
    >>> rule.delay()
    0.5
    """

    def __init__(self) -> None:
        self.requests = 0
        self.asked_again = 0
        self._times: deque[float] = deque(maxlen=_RECENT)
        self._since = 0
        self._limit: float | None = None
        self._lock = Lock()

    def begin(self) -> None:
        """Count a request."""
        with self._lock:
            self.requests += 1

    def end(self, seconds: float) -> None:
        """Take in the time that a request has taken until its first answer."""
        with self._lock:
            self._times.append(seconds)
            self._since += 1
            # Not for each answer, as all times are sorted for it.
            if len(self._times) >= LEAST_SAMPLES and (self._limit is None or self._since >= _EVERY):
                self._since = 0
                ordered = sorted(self._times)
                slow = ordered[math.ceil(len(ordered) * (1 - SLOWEST)) - 1]
                self._limit = max(slow, LEAST_SECONDS)

    def delay(self) -> float | None:
        """Return the seconds after which a request is slow; None where that is not known yet."""
        return self._limit

    def ask_again(self) -> bool:
        """Return whether a slow request may be asked again, and count it then."""
        with self._lock:
            # Of all requests so far: a store that becomes slow as a whole soon uses it up.
            may = self.asked_again + 1 <= BUDGET * self.requests
            self.asked_again += may
        return may


@lru_cache(maxsize=256)
def rule_for(_endpoint: str, _magnitude: int) -> HedgeRule:
    """Return the rule for reads of about one size from one service and bucket, shared by this process."""
    return HedgeRule()


async def hedged[T](
    first: Callable[[], Coroutine[Any, Any, T]],
    again: Callable[[], Coroutine[Any, Any, T]],
    rule: HedgeRule,
) -> T:
    """Return what ``first()`` returns, or ``again()`` if that is quicker where the first is slow.

    Raises
    ------
    Exception
        What the first to end raises that has no better answer after it.
    """
    delay = rule.delay()
    rule.begin()
    clock = asyncio.get_running_loop().time
    began = clock()
    if delay is None:
        found = await first()
        rule.end(clock() - began)
        return found
    other = _Other(again, rule)
    timer = asyncio.get_running_loop().call_later(delay, other.begin)
    try:
        found = await other.unless_quicker(first())
    finally:
        timer.cancel()
        other.cancel()
    rule.end(clock() - began)
    return found


class _Other[T]:
    """The second request, made when the first, which the present task waits for, is slow.

    Nearly all requests need none, so the first has no task of its own: it is cancelled as by a timeout.
    """

    def __init__(self, again: Callable[[], Coroutine[Any, Any, T]], rule: HedgeRule) -> None:
        self._again = again
        self._rule = rule
        self._waiting = asyncio.current_task()
        self._task: asyncio.Task[T] | None = None
        self._won = False

    def begin(self) -> None:
        """Make the request, if the budget has it."""
        if self._rule.ask_again():
            _log.debug("asked again: %s of %s reads", self._rule.asked_again, self._rule.requests)
            self._task = asyncio.create_task(self._again())
            self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[T]) -> None:
        if not task.cancelled() and task.exception() is None and self._waiting is not None:
            self._won = True
            self._waiting.cancel()

    async def unless_quicker(self, first: Coroutine[Any, Any, T]) -> T:
        """Return what ``first`` returns, or this one if that comes sooner, or if the first fails."""
        waiting, task = self._waiting, None
        cancelled = 0 if waiting is None else waiting.cancelling()
        try:
            return await first
        except asyncio.CancelledError:
            task = self._task
            if not self._won or task is None or waiting is None or waiting.uncancel() > cancelled:
                raise
            return task.result()
        except Exception:
            task, self._waiting = self._task, None
            if task is None:
                raise
            await asyncio.wait([task])
            if task.cancelled() or task.exception() is not None:
                raise
            return task.result()

    def cancel(self) -> None:
        """Let go of the request, if it is still under way."""
        self._waiting = None
        if self._task is not None:
            self._task.cancel()
