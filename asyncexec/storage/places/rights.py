"""The right that a refused request needs, and the endpoint that was asked, as messages name them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from asyncexec.exception_data.causes import causes_of
from asyncexec.masking import masked_logins
from asyncexec.storage.places.options import shown
from asyncexec.storage.places.repository_names import ICECHUNK

if TYPE_CHECKING:
    from asyncexec.storage.places.locations import Location

TRIED = "asyncexec_tried"
ASKED = "asyncexec_asked"
"""The attribute of an exception that says how often a request was tried, and for how long."""

_READ, _WRITE, _LIST, _DELETE = "read", "write", "list", "delete"
_RIGHTS = {
    "s3": {
        _READ: "s3:GetObject",
        _WRITE: "s3:PutObject",
        _LIST: "s3:ListBucket",
        _DELETE: "s3:DeleteObject",
    },
    "gs": {
        _READ: "storage.objects.get",
        _WRITE: "storage.objects.create",
        _LIST: "storage.objects.list",
        _DELETE: "storage.objects.delete",
    },
    "az": {
        _READ: "Storage Blob Data Reader (or r of a SAS token)",
        _WRITE: "Storage Blob Data Contributor (or w of a SAS token)",
        _LIST: "Storage Blob Data Reader (or l of a SAS token)",
        _DELETE: "Storage Blob Data Contributor (or d of a SAS token)",
    },
}
_FAMILIES = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gs",
    "gcs": "gs",
    "az": "az",
    "azure": "az",
    "abfs": "az",
    "abfss": "az",
    "adl": "az",
    "S3Store": "s3",
    "GCSStore": "gs",
    "AzureStore": "az",
}
_ASKED = re.compile(r"Error performing ([A-Z]+) (\S+) in ")
_OPERATIONS = (
    (_LIST, re.compile(r"^(List|HeadBucket)")),
    (_DELETE, re.compile(r"^(Delete|AbortMultipart)")),
    (_READ, re.compile(r"^(Get|Head|Select)")),
    (_WRITE, re.compile(r"^(Put|Create|Upload|Copy|Complete)")),
)
_WORDS = (
    (_LIST, "listed"),
    (_DELETE, "removed"),
    (_READ, "read"),
    (_READ, "opened"),
    (_WRITE, ""),
)
_ENDPOINT_OPTIONS = ("endpoint", "endpoint_url", "base_url")


def missing_right(error: BaseException, location: Location, what: str) -> str:
    """Return the right that a denied request needs, in the service's words; ``""`` where the service is not known."""
    rights = _RIGHTS.get(_family(location))
    return rights[_use(error, what)] if rights is not None else ""


def asked_endpoint(error: BaseException, location: Location) -> str:
    """Return the endpoint that was asked, without secrets; the place itself where nothing says which."""
    found = _ASKED.search(_text(error))
    if found is not None:
        return _origin(found[2])
    asked = str(getattr(error, ASKED, ""))
    if asked.startswith(ICECHUNK):  # Whose stores say nothing of that.
        return asked
    options: dict[str, Any] = dict(location.options)
    client = options.get("client_kwargs")
    if isinstance(client, Mapping):
        options |= client
    config = getattr(_client(location), "config", None)
    if isinstance(config, Mapping):
        options |= config
    for name, value in options.items():
        if isinstance(value, str) and name.removeprefix("aws_").removeprefix("azure_storage_") in (
            _ENDPOINT_OPTIONS
        ):
            return _origin(value)
    if _family(location) == "s3" and (told := os.environ.get("AWS_ENDPOINT_URL")):
        return _origin(told)
    return shown(str(location))


def bucket_of(location: Location) -> str:
    """Return the bucket of a place in an object store; ``""`` where the place does not say."""
    if location.store is None:
        return urlsplit(location.url).netloc.rpartition("@")[2] if _family(location) else ""
    config = getattr(_client(location), "config", None)
    told = config if isinstance(config, Mapping) else {}
    return next((str(told[name]) for name in ("bucket", "container_name") if name in told), "")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return masked_logins(f"{parts.scheme}://{parts.netloc}") if parts.netloc else masked_logins(url)


def _use(error: BaseException, what: str) -> str:
    # What the message says was asked, rather than what was wanted: a read may fail on a listing.
    found = _ASKED.search(_text(error))
    if found is not None:
        method, query = found[1], urlsplit(found[2]).query
        if method == "GET":
            return (
                _LIST
                if "list-type" in query or "comp=list" in query or "prefix=" in query
                else _READ
            )
        if method == "HEAD":
            return _READ
        deletes = method == "DELETE" or (method == "POST" and query.startswith("delete"))
        return _DELETE if deletes else _WRITE
    for one in causes_of(error):
        operation = str(getattr(one, "operation_name", ""))
        for use, pattern in _OPERATIONS:
            if pattern.match(operation):
                return use
    return next(use for use, word in _WORDS if word in what)


def _family(location: Location) -> str:
    if location.store is None:
        return _FAMILIES.get(location.scheme, "")
    client = _client(location)
    protocol = getattr(client, "protocol", ())
    names = (type(client).__name__, *((protocol,) if isinstance(protocol, str) else protocol))
    return next((_FAMILIES[name] for name in names if name in _FAMILIES), "")


def _client(location: Location) -> Any:
    """Return what a store of the caller asks: a store of obstore, or a file system of fsspec; None for others."""
    inner: Any = location.store
    while (within := getattr(inner, "_store", None)) is not None:
        inner = within
    return getattr(inner, "store", None) or getattr(inner, "fs", None)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a broken __str__ must not hide the failure
        return ""
