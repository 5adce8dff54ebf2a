"""Identity tokens from a function of the user's, kept for a while."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable

from asyncexec.backends.adapters.system_thread import SystemThread
from asyncexec.errors import BackendError

# Google's live for an hour, and its libraries hand out those with some minutes left.
KEPT_SECONDS = 240.0

type Token = Callable[[], str | Awaitable[str]]


class Tokens:
    """The headers that a token makes; the token appears in nothing else.

    A function that is not async runs in a thread, as fetching a token takes a request of its own.
    """

    def __init__(self, source: Token | None) -> None:
        self._source = source
        self._token = ""
        self._until = 0.0
        self._thread: SystemThread | None = None

    async def headers(self) -> dict[str, str]:
        """Return the headers of a request that is made now; raises BackendError if there is no token to be had."""
        if self._source is None:
            return {}
        if time.monotonic() >= self._until:
            self._token = await self._fetch(self._source)
            self._until = time.monotonic() + KEPT_SECONDS
        return {"Authorization": f"Bearer {self._token}"}

    def close(self) -> None:
        """Forget the token, and end the thread."""
        self._token, self._until = "", 0.0
        if self._thread is not None:
            self._thread.end()
            self._thread = None

    async def _fetch(self, source: Token) -> str:
        if self._thread is None:
            self._thread = SystemThread("http-token")
        try:
            told = await self._thread.run(source)
            token: object = await told if inspect.isawaitable(told) else told
        except Exception as error:
            raise BackendError(
                f"executor 'http': token raised {type(error).__qualname__}: {error}"
            ) from error
        if not isinstance(token, str) or not token or not token.isprintable():
            raise BackendError("executor 'http': token must return a text, the bearer token")
        return token
