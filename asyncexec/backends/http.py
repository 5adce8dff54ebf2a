"""A function behind HTTP: Google Cloud Functions, Cloud Run, OpenFaaS, or any server that runs the worker."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from ipaddress import ip_address
from typing import ClassVar
from urllib.parse import urlsplit

from asyncexec.backends.adapters.calls import CallsBackend
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.extras import need
from asyncexec.backends.http_functions.function import Function, Settings
from asyncexec.backends.http_functions.signing import SECRET_VARIABLE, SHORTEST_SECRET
from asyncexec.backends.http_functions.tokens import Token
from asyncexec.backends.options import flag, memory_bytes, seconds, whole_number
from asyncexec.errors import OptionError

_NAME = "http"


class HttpBackend(CallsBackend):
    """Run tasks in a function that answers HTTP requests with ``asyncexec.backends.http_worker:handle``.

    Nothing stops a running function from outside: a task that is cancelled or times out while it runs is *given up*.
    It computes on until its function returns, and a late write cannot be prevented; tasks behind it in its batch do not
    start.

    Parameters
    ----------
    url : str
        Of the function. Plain ``http`` is for this machine, unless ``insecure`` says otherwise.
    max_workers : int
        Requests at once. When the platform says that these are too many, there are fewer for a while.
    timeout : float, optional
        Seconds that one task may run; the engine ends it then. The platform's own limit must not be shorter.
    headers : mapping of str to str, optional
        Sent with every request.
    token : callable, optional
        Returns a bearer token, or an awaitable of one; asked again every few minutes.
    secret : str, optional
        What the function has in its environment variable ``ASYNCEXEC_HTTP_SECRET``; by default, the driver's variable
        of that name. Requests are signed with it, and it is never sent.
    memory : int or str, optional
        Memory that one task may use there (``"2GB"``, bytes).
    request_bytes : int or str
        The largest request that the platform takes.
    batch_limit : int
        How many tasks may go into one request.
    insecure : bool
        Whether plain ``http`` may leave this machine: who listens then sees the work, and tokens.

    Raises
    ------
    OptionError
        If an option is not what it should be.
    MissingExtraError
        If httpx is not installed.
    """

    features: ClassVar[Capabilities] = Capabilities(
        name=_NAME,
        isolated=True,
        metered=True,
        batch_limit=1000,
        loss_seconds=30.0,
        native_retry="none of requests by HTTP",
        call_seconds=0.02,
    )

    def __init__(
        self,
        *,
        url: str,
        max_workers: int = 100,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
        token: Token | None = None,
        secret: str | None = None,
        memory: int | str | None = None,
        request_bytes: int | str = "32MB",
        batch_limit: int = 1000,
        insecure: bool = False,
    ) -> None:
        need(_NAME, "http", "httpx")
        if token is not None and not callable(token):
            raise OptionError(f"executor {_NAME!r}: token must be a function that returns one")
        settings = Settings(
            url=_checked_url(url, insecure=flag(insecure, executor=_NAME, option="insecure")),
            max_workers=whole_number(max_workers, executor=_NAME, option="max_workers"),
            timeout=None if timeout is None else seconds(timeout, executor=_NAME, option="timeout"),
            headers=_checked_headers({} if headers is None else headers),
            token=token,
            secret=_checked_secret(secret),
            request_bytes=_request_bytes(request_bytes),
        )
        capabilities = dataclasses.replace(
            self.features,
            batch_limit=whole_number(batch_limit, executor=_NAME, option="batch_limit"),
            worker_bytes=memory_bytes(memory, executor=_NAME, option="memory"),
        )
        super().__init__(Function(settings, capabilities))


def _checked_url(url: object, *, insecure: bool) -> str:
    parts = urlsplit(url if isinstance(url, str) else "")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise OptionError(
            f"executor {_NAME!r}: url must be an address such as 'https://…', not {url!r}"
        )
    if parts.username or parts.password:
        raise OptionError(
            f"executor {_NAME!r}: url must hold no password, which logs would show: use headers or token"
        )
    if parts.scheme == "http" and not insecure and not _is_here(parts.hostname):
        raise OptionError(
            f"executor {_NAME!r}: {url} is plain http to another machine, where anybody on the way sees the work "
            f"and the token. Use https; in a network of your own, insecure=True allows it"
        )
    return str(url)


def _request_bytes(size: int | str) -> int:
    checked = memory_bytes(size, executor=_NAME, option="request_bytes")
    if checked is None:
        raise OptionError(f"executor {_NAME!r}: request_bytes must be a size, not None")
    return checked


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _checked_headers(headers: object) -> dict[str, str]:
    if not isinstance(headers, Mapping) or not all(
        isinstance(text, str) for pair in headers.items() for text in pair
    ):
        # Not what they are: a header may be a secret.
        raise OptionError(f"executor {_NAME!r}: headers must map texts to texts")
    return dict(headers)


def _checked_secret(secret: str | None) -> str | None:
    chosen = os.environ.get(SECRET_VARIABLE) if secret is None else secret
    if not chosen and secret is None:
        return None
    if not isinstance(chosen, str) or len(chosen) < SHORTEST_SECRET:
        raise OptionError(
            f"executor {_NAME!r}: secret must be a text of at least {SHORTEST_SECRET} characters: "
            f'python -c "import secrets; print(secrets.token_urlsafe(32))" makes one'
        )
    return chosen
