"""Names of places by their URLs and the options of their stores: the same for all URLs of one place."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from asyncexec.storage.places.urls import object_url

OBJECTS = "objects://"
"""The beginning of the names of places in object stores and on web servers."""

_PREFIXES = ("google_", "azure_storage_", "azure_", "aws_")
_LOOPBACK = re.compile(r"(?:localhost|127(?:\.\d+){3}|\[::1\]|0\.0\.0\.0)(?=:|\Z)")
_ROOT_DOT = re.compile(r"(?<=[a-z])\.(?=:|\Z)")
_AMAZON = re.compile(
    r"(?:(?P<bucket>.+)\.)?s3(?:[.-](?:dualstack|accelerate|fips|[a-z0-9-]+))*\.amazonaws\.com(?P<china>\.cn)?\Z"
)
_AZURE = re.compile(r"(?P<account>[a-z0-9-]+)\.(?:blob|dfs)\.(?P<rest>core\..+|storage\..+)\Z")
_GOOGLE = "storage.googleapis.com"
_EMULATOR = "http://127.0.0.1:10000/devstoreaccount1"
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def inside(name: str, path: str) -> str:
    """Return the name of what is at ``path`` in the place ``name``."""
    path = path.strip("/")
    return f"{name.rstrip('/')}/{path}" if path else name.rstrip("/") or name


def url_name(url: str, options: Mapping[str, Any]) -> str:
    """Return the name of the place at ``url``, of a store that is opened with ``options``."""
    first, chained, rest = url.rpartition("::")
    if chained:
        return _chain_name(first, rest, options)
    scheme, found, path = url.partition("://")
    if not found:  # The last link of a chain may be a path.
        return os.path.realpath(url)
    scheme = scheme.lower()
    if scheme in ("http", "https"):
        return web_name(url)
    if scheme in ("file", "local"):
        return os.path.realpath(unquote(path))
    parts = object_url(url)
    if parts is not None:
        return inside(bucket_name(parts.family, parts.host, options), parts.key)
    host, _, path = path.partition("/")
    return inside(f"{scheme}://{host.rpartition('@')[2]}", path)


def bucket_name(family: str, bucket: str, options: Mapping[str, Any]) -> str:
    """Return the name of a bucket or container of a family of object stores, opened with ``options``."""
    told = _told(options)
    if family == "az":
        return inside(_azure_account(told), bucket)
    if family == "gs":
        endpoint = told.get("base_url") or told.get("endpoint_url") or told.get("endpoint") or ""
        return inside(server_name(endpoint or f"https://{_GOOGLE}"), bucket)
    endpoint = _s3_endpoint(told)
    region = str(
        told.get("region")
        or told.get("default_region")
        or _environment("AWS_REGION", "AWS_DEFAULT_REGION")
    )
    if not endpoint:
        endpoint = f"https://s3.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"
    # By what the server calls it, whichever of its spellings an endpoint has.
    server = server_name(endpoint)
    # Where the bucket is part of the server's name, the endpoint has it.
    if server.startswith(f"{OBJECTS}s3.amazonaws.com") and server.endswith(f"/{bucket}"):
        return server
    if server.startswith(f"{OBJECTS}{bucket}."):
        server = f"{OBJECTS}{server.removeprefix(f'{OBJECTS}{bucket}.')}"
    return inside(server, bucket)


def server_name(endpoint: str) -> str:
    """Return the name of what is at the root of the server ``endpoint``."""
    scheme, found, rest = endpoint.partition("://")
    host, _, path = (rest if found else endpoint).partition("/")
    host = host.rpartition("@")[2].lower().removesuffix(_DEFAULT_PORTS.get(scheme.lower(), "\0"))
    # A dot at the end is the root of all names: the same host.
    host = _ROOT_DOT.sub("", host)
    amazon = _AMAZON.fullmatch(host)
    if amazon is not None:
        root = f"{OBJECTS}s3.amazonaws.com{amazon['china'] or ''}"
        return inside(inside(root, amazon["bucket"] or ""), path)
    azure = _AZURE.fullmatch(host)
    if azure is not None:
        host = f"{azure['account']}.blob.{azure['rest']}"
    elif host.endswith(f".{_GOOGLE}"):
        host, path = _GOOGLE, f"{host.removesuffix(f'.{_GOOGLE}')}/{path}"
    # All of these are this machine.
    host = _LOOPBACK.sub("localhost", host)
    return inside(f"{OBJECTS}{host}", path)


def web_name(url: str) -> str:
    """Return the name of what a web server has at ``url``, which may be an object in a bucket."""
    base = unquote(url.partition("?")[0])
    scheme, _, rest = base.partition("://")
    parts = [part for part in rest.split("/") if part not in ("", ".")]
    return server_name(f"{scheme}://{'/'.join(parts)}")


def _chain_name(first: str, rest: str, options: Mapping[str, Any]) -> str:
    """Return the name of what a chain of fsspec leads to: a place in its last link, and paths within."""
    scheme = rest.partition("://")[0]
    own = options.get(scheme)
    path = rest.partition("://")[2]
    match scheme.lower():
        case "memory":
            # What fsspec keeps in memory is not what memory:// leads to.
            name = inside("memory:fsspec", path)
        case "file" | "local":
            # To fsspec a % in a path is a letter like others.
            name = os.path.realpath(path)
        case _:
            name = url_name(rest, own if isinstance(own, Mapping) else options)
    for link in reversed(first.split("::")):
        kind, found, path = link.partition("://")
        # Of caches, the path is that of the last link.
        if found and path:
            name = inside(f"{name}::{kind}", path)
    return name


def _told(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the options that say where a store is, in one spelling."""
    told: dict[str, str] = {}
    for name, value in options.items():
        if isinstance(value, Mapping) and name in ("config", "client_kwargs"):
            told |= _told(value)
        elif isinstance(value, str | bool | os.PathLike):
            short = name.lower()
            for prefix in _PREFIXES:
                short = short.removeprefix(prefix)
            told[short] = str(value)
    return told


def _s3_endpoint(told: Mapping[str, str]) -> str:
    for name in ("endpoint_url_s3", "endpoint_url", "endpoint"):
        if told.get(name):
            return told[name]
    return _environment("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")


def _azure_account(told: Mapping[str, str]) -> str:
    account = (
        told.get("account_name")
        or told.get("account")
        or _environment("AZURE_STORAGE_ACCOUNT_NAME")
    )
    if told.get("use_emulator", _environment("AZURE_STORAGE_USE_EMULATOR")).lower() in (
        "true",
        "1",
    ):
        return server_name(_environment("AZURITE_BLOB_STORAGE_URL") or _EMULATOR)
    endpoint = told.get("endpoint") or _environment("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")
    return server_name(endpoint or f"https://{account}.blob.core.windows.net")


def _environment(*names: str) -> str:
    return next((os.environ[name] for name in names if os.environ.get(name)), "")
