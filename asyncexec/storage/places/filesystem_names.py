"""Names of places in file systems of fsspec, as these themselves say it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from asyncexec.storage.places.url_names import bucket_name, inside, url_name, web_name
from asyncexec.storage.places.urls import FAMILIES

_CACHES = {"simplecache", "filecache", "blockcache", "cached", "readahead"}
"""File systems of fsspec that pass on what another one has."""


def filesystem_name(filesystem: Any, path: str) -> str | None:
    """Return the name of the place at ``path`` in a file system of fsspec; None where that is not known."""
    protocols = _protocols(filesystem)
    inner = getattr(filesystem, "sync_fs", None) or getattr(filesystem, "fs", None)
    # What a cache shows is at the place behind it.
    if inner is not None and (protocols & _CACHES or hasattr(filesystem, "sync_fs")):
        return filesystem_name(inner, path)
    if inner is not None and "dir" in protocols:
        return filesystem_name(inner, f"{str(filesystem.path).rstrip('/')}/{path.strip('/')}")
    namers: dict[str, Callable[[], str | None]] = {
        "file": lambda: os.path.realpath(path),
        "http": lambda: web_name(path),
        "https": lambda: web_name(path),
        "memory": lambda: inside("memory:fsspec", path),
        "zip": lambda: _archive_name("zip", path, filesystem.storage_options),
        "reference": lambda: _archive_name("reference", path, filesystem.storage_options),
    }
    name = next((namers[protocol] for protocol in namers if protocol in protocols), None)
    return _remote_name(filesystem, protocols, path) if name is None else name()


def _remote_name(filesystem: Any, protocols: set[str], path: str) -> str | None:
    """Return the name of a place on a server, by what the file system says of it."""
    options = {**filesystem.storage_options, **_server_of(filesystem)}
    for scheme in sorted(protocols & FAMILIES.keys()):
        bucket, _, key = path.strip("/").partition("/")
        return inside(bucket_name(FAMILIES[scheme], bucket, options), key)
    host = options.get("host")
    return (
        url_name(f"{min(protocols)}://{host}/{path.lstrip('/')}", {})
        if isinstance(host, str)
        else None
    )


def _archive_name(kind: str, path: str, options: Mapping[str, Any]) -> str | None:
    """Return the name of what is in an archive, which is a file of another file system."""
    file, target = options.get("fo"), options.get("target_options")
    if not isinstance(file, str):
        return None
    protocol = str(options.get("target_protocol") or "file")
    url = file if "://" in file else f"{protocol}://{file}"
    return inside(f"{url_name(url, target if isinstance(target, Mapping) else {})}::{kind}", path)


def _protocols(filesystem: Any) -> set[str]:
    protocol = getattr(filesystem, "protocol", ())
    return {protocol} if isinstance(protocol, str) else set(protocol)


def _server_of(filesystem: Any) -> dict[str, str]:
    """Return what a file system says of its server, where that is not among its options."""
    found = {
        name: getattr(filesystem, name, None) for name in ("endpoint_url", "account_name", "host")
    }
    return {name: value for name, value in found.items() if isinstance(value, str) and value}
