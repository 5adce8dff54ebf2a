"""The clients of object stores: their timeouts and retries, unless storage_options have others, and their endpoints."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from datetime import timedelta
from threading import Lock
from typing import Any, NamedTuple

from asyncexec.masking import masked_logins
from asyncexec.storage.places.copied_processes import OBSTORE_USE
from asyncexec.storage.places.held_stores import is_of_icechunk
from asyncexec.storage.places.repository_names import repository_name
from asyncexec.storage.places.requests import TRY_SECONDS

CLIENT_OPTIONS = frozenset(
    """
    allow_http allow_invalid_certificates connect_timeout default_content_type default_headers http1_only
    http2_keep_alive_interval http2_keep_alive_timeout http2_keep_alive_while_idle http2_only pool_idle_timeout
    pool_max_idle_per_host proxy_ca_certificate proxy_excludes proxy_url randomize_addresses read_timeout
    root_certificate timeout user_agent
    """.split()  # noqa: SIM905 - a list of so many strings is harder to read
)
"""The options of obstore that belong into ``client_options``."""

_CONNECT = "5s"
_NEVER = "1 day"
_READ = f"{TRY_SECONDS:g}s"
_NEARLY = 1.25
_NO_RETRIES = {"max_retries": 0, "retry_timeout": timedelta(seconds=1)}
_ENDPOINTS = (
    "endpoint",
    "endpoint_url",
    "aws_endpoint",
    "aws_endpoint_url",
    "azure_storage_endpoint",
    "azure_endpoint",
    "base_url",
)
_BUCKETS = ("bucket", "container_name", "bucket_name")


def client_defaults(options: Mapping[str, Any], kind: str = "") -> dict[str, Any]:
    """Return ``options`` of obstore, with the timeouts and retries that go with :mod:`.requests` where they have none.

    A request is not repeated by the client, which would hide why it fails. It ends when no data come for a while,
    however long it takes as a whole. ``kind`` is the store's scheme: what the environment has for its clients holds
    where the options have nothing.
    """
    found = dict(options)
    client = found.get("client_options")
    if client is None or isinstance(client, Mapping):
        given = dict(client or {})
        found["client_options"] = {
            # A machine that is not there says nothing; one that is there accepts within milliseconds.
            "connect_timeout": _CONNECT,
            # Where a user gives a time for the whole, it holds.
            **({} if "timeout" in given else {"timeout": _NEVER}),
            "read_timeout": _READ,
            **_of_environment(kind),
            **given,
        }
    if found.get("retry_config") is None:
        found["retry_config"] = _NO_RETRIES
    return found


def _of_environment(kind: str) -> dict[str, str]:
    """Return the options of clients that variables have, which obstore forgets when it is given others."""
    beginning = _VARIABLES.get(kind)
    if beginning is None:
        return {}
    names = {name: f"{beginning}{name.upper()}" for name in CLIENT_OPTIONS}
    return {name: os.environ[known] for name, known in names.items() if known in os.environ}


_VARIABLES = {"s3": "AWS_", "gs": "GOOGLE_", "gcs": "GOOGLE_", "az": "AZURE_", "azure": "AZURE_"}


def repeats_itself(store: Any) -> bool:
    """Return whether obstore's ``store`` was given retries by its user, or none on purpose: then those are all."""
    retries: Any = getattr(store, "retry_config", None)
    return bool(retries) and retries.get("retry_timeout") != _NO_RETRIES["retry_timeout"]


class ClientFacts(NamedTuple):
    """The facts about a client that are needed for every request, as asking obstore takes long.

    Attributes
    ----------
    asks_service : bool
        Whether it asks a service; else it is on this machine, or a web server.
    endpoint : str
        A name of the service and bucket.
    repeats_itself : bool
        See :func:`repeats_itself`.
    has_own_times : bool
        Whether its user has said how long it waits.
    has_read_timeout : bool
        Whether it waits as long as one try takes.
    """

    asks_service: bool
    endpoint: str = ""
    repeats_itself: bool = False
    has_own_times: bool = True
    has_read_timeout: bool = False


def facts_of(client: Any) -> ClientFacts:
    """Return the facts about obstore's ``client``, which is asked for them once.

    Raises
    ------
    UsageError
        If no client works in this process.
    """
    if not OBSTORE_USE.is_checked:
        OBSTORE_USE.check()
    number = id(client)
    found = _FACTS.get(number)
    if found is None:
        found = _facts(client)
        with _LOCK:
            if number not in _FACTS:
                _FACTS[number] = found
                # By number, as clients cannot be hashed: it must go with its client, or another one would get its
                # facts.
                weakref.finalize(client, _FACTS.pop, number, None).atexit = False
    return found


def _facts(client: Any) -> ClientFacts:
    if not hasattr(client, "config"):
        return ClientFacts(asks_service=False)
    given: Mapping[str, Any] = client.client_options or {}
    repeats = repeats_itself(client)
    return ClientFacts(
        asks_service=True,
        endpoint=endpoint_of_client(client),
        repeats_itself=repeats,
        has_own_times=repeats
        or given.get("read_timeout", _READ) != _READ
        or given.get("timeout", _NEVER) != _NEVER,
        has_read_timeout="read_timeout" in given,
    )


_FACTS: dict[int, ClientFacts] = {}


def timed(client: Any, seconds: float, facts: ClientFacts | None = None) -> Any:
    """Return obstore's ``client`` as one that waits about so long for an answer, unless its user wants another time.

    An answer comes only after what was sent, so that a large object needs more.
    """
    facts = facts_of(client) if facts is None else facts
    if facts.has_own_times:
        return client  # As its user wants it.
    limit = seconds if seconds <= TRY_SECONDS else _rounded(seconds)
    if limit == TRY_SECONDS and facts.has_read_timeout:
        return client
    number = id(client)
    with _LOCK:
        if number not in _CLONES:
            _CLONES[number] = {}
            weakref.finalize(client, _CLONES.pop, number, None)
        clones = _CLONES[number]
        if limit not in clones:
            clones[limit] = fresh_client(client, limit)
        return clones[limit]


def _rounded(seconds: float) -> float:
    """Return one of few times that are longer than a try, as each client has connections of its own."""
    # Doubled, so that few clients serve all sizes.
    limit = TRY_SECONDS
    while limit * _NEARLY < seconds:
        limit *= 2
    return limit


_CLONES: dict[int, dict[float, Any]] = {}
_LOCK = Lock()


def fresh_client(client: Any, seconds: float = TRY_SECONDS) -> Any:
    """Return another client like obstore's, with connections of its own, that waits so long for an answer."""
    kind = type(client).__name__.removesuffix("Store").lower()
    options = client_defaults({"client_options": client.client_options}, kind)
    options["client_options"]["read_timeout"] = f"{seconds:g}s"
    return type(client)(
        prefix=client.prefix,
        config=client.config,
        credential_provider=client.credential_provider,
        **options,
    )


def endpoint_of_client(client: Any) -> str:
    """Return a name of the service and bucket that obstore's ``client`` asks, without secrets."""
    said: Mapping[str, Any] = client.config
    bucket = next((str(said[name]) for name in _BUCKETS if name in said), "")
    found = endpoint_in(said)
    kind = type(client).__name__.removesuffix("Store").lower()
    return f"{kind} {bucket} at {found}" if found else f"{kind} {bucket}"


def endpoint_of(inner: Any, *, scheme: str = "", url: str = "") -> str:
    """Return a name of the service and bucket that a store of Zarr asks, without secrets.

    Parameters
    ----------
    inner : Store
        The innermost one.
    scheme, url : str
        Of the place, where the store does not say more.
    """
    client: Any = getattr(inner, "store", None)
    if isinstance(getattr(client, "config", None), Mapping):
        return endpoint_of_client(client)
    filesystem: Any = getattr(inner, "fs", None)
    if filesystem is not None:
        found = getattr(filesystem, "endpoint_url", None) or ""
        bucket = str(getattr(inner, "path", "")).strip("/").partition("/")[0]
        return masked_logins(f"{filesystem.protocol} {bucket} {found}".strip())
    if is_of_icechunk(inner):
        return repository_name(inner.session)
    return f"{type(inner).__name__} {scheme} {masked_logins(url).partition('?')[0]}".strip()


def endpoint_in(options: Mapping[str, Any]) -> str:
    """Return the endpoint that options of a store have, or the environment; ``""`` where the service's own is used."""
    given = next((str(options[name]) for name in _ENDPOINTS if options.get(name)), "")
    return masked_logins(given or os.environ.get("AWS_ENDPOINT_URL", ""))
