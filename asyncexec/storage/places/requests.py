"""Requests to stores, repeated where that helps: transient failures with backoff, silence on a fresh connection.

The table in :mod:`asyncexec.request_failures` says what is permanent, transient or silence. What is answered at once
(refused, reset, 429, 5xx) is repeated for up to two minutes; silence ends within one. The clock of an outage is that of
the endpoint: where others have waited for it already, a request waits for what is left.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Event, Lock
from typing import TYPE_CHECKING

from asyncexec.errors import StorageTimeoutError
from asyncexec.exception_data.causes import causes_of
from asyncexec.request_failures.reading import Failure, failure_of
from asyncexec.request_failures.reasons import SILENT, UNREACHABLE, Nature
from asyncexec.storage.places.request_budget import shared_budget
from asyncexec.storage.places.rights import ASKED, TRIED

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

SILENCE_SECONDS = 45.0
"""For how long an endpoint may be silent, over all tries of a request."""
TRY_SECONDS = 20.0
"""For how long one try waits for an answer."""
KNOWN_SILENT_SECONDS = 3.0
"""For how long one try waits where the endpoint was silent to the last ones."""
LEAST_SECONDS = 5.0
"""For how long a request is repeated, however long others have waited for the endpoint."""
BYTES_A_SECOND = 256 * 1024
"""The rate at which data that are sent or received get through the slowest link that is not taken for silence."""

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0
_FORGOTTEN_SECONDS = 60.0
_SPREAD_SECONDS = 0.5
"""The time over which the requests that have waited for an endpoint come back, once it has answered another."""


class ClientPanicError(Exception):
    """The client of a store has ended a request by a panic, as its options make no request."""


@dataclass(slots=True)
class EndpointState:
    """The outage of an endpoint, as the requests of this process have met it.

    Attributes
    ----------
    endpoint : str
        Its name.
    failing_since : float or None
        The time of the first failure after the last answer; None while it answers.
    silent : bool
        Whether a request has been given up because the endpoint was silent, and none was answered since.
    """

    endpoint: str = ""
    failing_since: float | None = None
    silent: bool = False
    _last: float = 0.0
    _lock: Lock = field(default_factory=Lock)
    _answers: Event = field(default_factory=Event)

    def answered(self) -> None:
        """Note that the endpoint has answered a request, be it by a refusal."""
        # Looked at without the lock first, as nearly every request comes here with nothing to change.
        if self.failing_since is not None or self.silent:
            with self._lock:
                self.failing_since, self.silent = None, False
                self._answers.set()

    def failed(self, began: float, now: float) -> float:
        """Note that a try, which began at a time, has failed by the outage; return when the outage began."""
        with self._lock:
            if self.failing_since is None or now - self._last > _FORGOTTEN_SECONDS:
                self.failing_since = began
            self._last = now
            self._answers.clear()
            return self.failing_since

    def pause(self, seconds: float) -> None:
        """Wait, in this thread, until the endpoint has answered another request, but no longer than so many seconds."""
        before = time.monotonic()
        if self._answers.wait(seconds):
            left = before + seconds - time.monotonic()
            # Spread, as all that have waited for it are woken by one answer.
            time.sleep(min(max(0.0, left), random.uniform(0.0, _SPREAD_SECONDS)))

    def was_silent(self, now: float) -> None:
        """Note that another process has given up a request because the endpoint was silent."""
        with self._lock:
            self.silent, self._last = True, now

    def try_seconds(self, now: float, nbytes: int = 0) -> float:
        """Return for how long one try may take that moves so many bytes."""
        if self.silent and now - self._last <= _FORGOTTEN_SECONDS:
            return KNOWN_SILENT_SECONDS
        return try_seconds(nbytes)


def try_seconds(nbytes: int) -> float:
    """Return for how long one try may take that moves so many bytes."""
    return TRY_SECONDS + nbytes / BYTES_A_SECOND


def state_of(endpoint: str) -> EndpointState:
    """Return what this process knows of an endpoint."""
    # The process is part of the key, as a lock may be held while a process is copied by a fork.
    return _state(endpoint, os.getpid())


@lru_cache(maxsize=1024)
def _state(endpoint: str, _process: int) -> EndpointState:
    return EndpointState(endpoint)


def note_silence(error: BaseException) -> None:
    """Note the endpoint that has been silent to a worker, if ``error`` or one of its causes says so.

    So what is undone then does not wait as long again for an endpoint that says nothing.
    """
    for one in causes_of(error):
        if isinstance(one, StorageTimeoutError) and one.endpoint:
            state_of(one.endpoint).was_silent(time.monotonic())


class Tries:
    """The decisions about one request: whether it is tried again, and after which wait.

    Parameters
    ----------
    state : EndpointState
    now : float
        The time, by any steady clock.
    rng : random.Random, optional
        Source of the jitter.
    """

    def __init__(
        self, state: EndpointState, now: float, *, rng: random.Random | None = None
    ) -> None:
        self.failure: Failure | None = None
        self._state = state
        self._rng = rng or random
        self._start = self._began = now
        self._silent_since: float | None = None
        self._count = self._tried = 0

    def begin(self, now: float) -> None:
        """Note that a try has begun."""
        self._began = now
        self._tried += 1

    def after(self, failure: Failure, now: float) -> float | None:
        """Return the wait before the next try; None if there is none."""
        self.failure = failure
        reason = failure.reason
        if reason.nature is Nature.PERMANENT:
            # A refusal is an answer: the service is there.
            self._state.answered()
            return None
        since = self._state.failed(self._began, now)
        if reason.nature is Nature.SILENCE:
            return self._after_silence(now)
        # It has answered, if only by a failure: what follows is another silence.
        self._silent_since = None
        self._count += 1
        waited = now - min(since, self._start)
        # However long others have waited for the endpoint, it may be there again since.
        if now - self._start < LEAST_SECONDS:
            waited = min(waited, reason.patience_seconds - LEAST_SECONDS)
        longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(self._count, 16))
        # Spread, or all that the outage has met would come back at once.
        wait = self._rng.uniform(longest / 2, longest)
        return wait if waited + wait < reason.patience_seconds else None

    def told(self, now: float) -> str:
        """Return how often the request was tried, and for how long, for messages."""
        tries = "1 try" if self._tried == 1 else f"{self._tried} tries"
        return f"{tries} in {now - self._start:.0f} s"

    def _after_silence(self, now: float) -> float | None:
        took = now - self._began
        self._silent_since = self._began if self._silent_since is None else self._silent_since
        if self._state.silent or now - self._silent_since + took > SILENCE_SECONDS:
            self._state.silent = True
            return None
        # At once: it has been waited for already, and a fresh connection may get through.
        return 0.0


async def arequest[T](
    call: Callable[[float], Awaitable[T]],
    endpoint: str,
    *,
    nbytes: int = 0,
    once: bool = False,
    limited: bool = True,
    budget: AbstractAsyncContextManager[object] | None = None,
) -> T:
    """Return what ``call`` returns, after as many tries as make sense; each is a new call.

    Parameters
    ----------
    call : callable
        Makes the request, which is to be answered in so many seconds; may be called several times.
    endpoint : str
        Names the service (and bucket) that is asked; requests to one share the clock of an outage.
    nbytes : int
        How much it sends or receives at most: it has more time for that.
    once : bool
        Whether the client repeats requests by itself, so that there is one try here, without an end.
    limited : bool
        Whether a try is ended after that time; False where the client itself ends one to which nothing comes.
    budget : async context manager, optional
        Held during each try; the budget of requests of this process by default.

    Raises
    ------
    Exception
        What the last try raised.
    """
    state, start = state_of(endpoint), time.monotonic()
    tries: Tries | None = None
    while True:
        # Held for a try and not for the wait after it, in which others can use the place.
        async with shared_budget() if budget is None else budget:
            now = time.monotonic()
            seconds = state.try_seconds(now, nbytes)
            try:
                if limited and not once:
                    async with asyncio.timeout(seconds):
                        found = await call(seconds)
                else:
                    found = await call(seconds)
            except Exception as error:
                tries = Tries(state, start) if tries is None else tries
                tries.begin(now)
                wait = _wait(error, tries, state)
                if wait is None or once:
                    raise
            except BaseException as error:
                _raise_panic(error)
                raise
            else:
                state.answered()
                return found
        await asyncio.sleep(wait)


def request[T](
    call: Callable[[float], T], endpoint: str, *, nbytes: int = 0, once: bool = False
) -> T:
    """Return what ``call`` returns, after as many tries as make sense, for threads that may block.

    The parameters are those of :func:`arequest`. A try ends by itself: the client must end one to which nothing comes.

    Raises
    ------
    Exception
        What the last try raised.
    """
    state, start = state_of(endpoint), time.monotonic()
    tries: Tries | None = None
    while True:
        with shared_budget():
            now = time.monotonic()
            try:
                found = call(state.try_seconds(now, nbytes))
            except Exception as error:
                tries = Tries(state, start) if tries is None else tries
                tries.begin(now)
                wait = _wait(error, tries, state)
                if wait is None or once:
                    raise
            except BaseException as error:
                _raise_panic(error)
                raise
            else:
                state.answered()
                return found
        if tries.failure is not None and tries.failure.reason is UNREACHABLE:
            # There again for one is there again for all, which does not hold of one that is overloaded.
            state.pause(wait)
        else:
            time.sleep(wait)


def _raise_panic(error: BaseException) -> None:
    """Raise what can be caught in place of a panic of obstore's, which would pass all that expects exceptions."""
    if type(error).__name__ == "PanicException":
        first = str(error).partition("\n")[0]
        try:
            raise ClientPanicError(  # noqa: TRY301 - the context is set as it is raised, and taken away below
                f"the client of the store makes no request of these options ({first}). Check the endpoint and the keys"
            ) from None
        except ClientPanicError as refused:
            # Libraries that pickle exceptions with their context (tblib) could not pickle a panic.
            refused.__context__ = None
            raise


def _wait(error: Exception, tries: Tries, state: EndpointState) -> float | None:
    """Return the wait before the next try after ``error``; None if there is none."""
    failure = Failure(SILENT) if isinstance(error, TimeoutError) else failure_of(error)
    if failure is None:
        # Of no request: a mistake in the call, or data that cannot be decoded.
        state.answered()
        return None
    now = time.monotonic()
    wait = tries.after(failure, now)
    if wait is None and failure.reason.nature is not Nature.PERMANENT:
        with suppress(AttributeError):
            setattr(error, TRIED, tries.told(now))
            setattr(error, ASKED, state.endpoint)
    return wait
