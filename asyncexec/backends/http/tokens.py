"""Identity tokens from a function of the user, cached for a while."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable

from asyncexec.backends.adapters.system_thread import SystemThread
from asyncexec.errors import BackendError

# Google's tokens are valid for an hour, and its libraries return those with only minutes left.
CACHE_SECONDS = 240.0

type Token = Callable[[], str | Awaitable[str]]


class TokenCache:
    """Makes the headers with the token, which appears in nothing else.

    A function that is not async runs in a thread, because fetching a token takes a request.
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
            self._until = time.monotonic() + CACHE_SECONDS
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
            result = await self._thread.run(source)
            token: object = await result if inspect.isawaitable(result) else result
        except Exception as error:
            raise BackendError(
                f"executor 'http': token raised {type(error).__qualname__}: {error}"
            ) from error
        if not isinstance(token, str) or not token or not token.isprintable():
            raise BackendError("executor 'http': token must return a text, the bearer token")
        return token
