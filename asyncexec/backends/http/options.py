"""The options of the executor ``http``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from asyncexec.backends.http.signing import SECRET_VARIABLE, SHORTEST_SECRET
from asyncexec.backends.http.tokens import Token
from asyncexec.backends.option_fields import check_options
from asyncexec.config.checks import Count, Memory, Seconds, address
from asyncexec.errors import OptionError

_NAME = "http"


def _address(value: object, where: str) -> str:
    parts = urlsplit(value if isinstance(value, str) else "")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise OptionError(f"{where} must be an address such as 'https://…', not {value!r}")
    return address(value, where)


def _headers(value: object, where: str) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(
        isinstance(text, str) for pair in value.items() for text in pair
    ):
        # Not what they are: a header may be a secret.
        raise OptionError(f"{where} must map texts to texts")
    return dict(value)


def _token(value: object, where: str) -> object:
    if not callable(value):
        raise OptionError(f"{where} must be a function that returns one")
    return value


def _secret(value: object, where: str) -> str:
    if not isinstance(value, str) or len(value) < SHORTEST_SECRET:
        raise OptionError(
            f"{where} must be a text of at least {SHORTEST_SECRET} characters: "
            f'python -c "import secrets; print(secrets.token_urlsafe(32))" makes one'
        )
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """Options of the executor ``http``."""

    url: Annotated[str, _address]
    """Of the function. Plain ``http`` is for this machine, unless ``insecure`` says otherwise."""

    max_workers: Count = 100
    """Requests at once. When the platform says that these are too many, there are fewer for a while."""

    timeout: Seconds | None = None
    """Seconds that one task may run; the engine ends it then. The platform's own limit must not be shorter."""

    headers: Annotated[Mapping[str, str], _headers] | None = field(default=None, repr=False)
    """Sent with every request."""

    token: Annotated[Token, _token] | None = field(default=None, repr=False)
    """Returns a bearer token, or an awaitable of one; asked again every few minutes."""

    secret: Annotated[str, _secret] | None = field(default=None, repr=False)
    """What the function has in its environment variable ``ASYNCEXEC_HTTP_SECRET``; by default, the driver's variable of
    that name. Requests are signed with it, and it is never sent."""

    memory: Memory | None = None
    """Memory that one task may use there (``"2GB"``, bytes)."""

    request_bytes: Memory = "32MB"
    """The largest request that the platform takes."""

    batch_limit: Count = 1000
    """How many tasks may go into one request."""

    start_timeout: Seconds = 120.0
    """Seconds that the function may take to answer on entering; a platform may first have to start a container."""

    insecure: bool = False
    """Whether plain ``http`` may leave this machine: who listens then sees the work, and tokens."""

    def __post_init__(self) -> None:
        check_options(self, executor=_NAME)
        parts = urlsplit(self.url)
        if (
            parts.scheme == "http"
            and not self.insecure
            and not _is_this_machine(parts.hostname or "")
        ):
            raise OptionError(
                f"executor {_NAME!r}: {self.url} is plain http to another machine, where anybody on the way sees the "
                f"work and the token. Use https; in a network of your own, insecure=True allows it"
            )
        if self.secret is None and (found := os.environ.get(SECRET_VARIABLE)):
            secret = _secret(found, f"executor {_NAME!r}: secret")
            object.__setattr__(self, "secret", secret)


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
