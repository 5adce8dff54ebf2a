"""Problems of the options of an object store, by the names of the options and never by their values."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from asyncexec.storage.places.store_clients import CLIENT_OPTIONS

_MAPPINGS = ("client_options", "retry_config", "config")
_OTHER_NAMES = {
    "key": "access_key_id",
    "secret": "secret_access_key",
    "anon": "skip_signature",
    "endpoint_url": "endpoint",
    "client_kwargs": "endpoint and region",
    "profile": "credential_provider",
    "connection_string": "account_name and account_key",
}
"""Names of s3fs, gcsfs and adlfs, and those of obstore, which serves these URLs."""
_ENDPOINT = re.compile(
    r"(?:aws_|azure_|google_)?(?:storage_)?(?:endpoint|endpoint_url|endpoint_url_s3|base_url)"
)
_IN_HEADERS = re.compile(
    r"(?:aws_|azure_|google_)?(?:storage_)?(?:access_key_id|secret_access_key|(?:session_)?token|(?:default_)?region"
    r"|account_name|account_key|access_key|sas_token|sas_key)"
)
"""Names of options that go into the headers of requests; a key of Google's or a certificate has lines."""
_FAMILIES = {"s3": "AWS_", "gs": "GOOGLE_", "az": "AZURE_"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNKNOWN = re.compile(r"Configuration key: '([^']*)' is not valid")
_KNOWN = (
    "access_key_id",
    "account_key",
    "account_name",
    "credential_provider",
    "endpoint",
    "region",
    "secret_access_key",
    "service_account",
    "skip_signature",
    "token",
    "virtual_hosted_style_request",
    *_MAPPINGS,
)


def misplaced_option(options: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the form of ``options`` of obstore, in one line; None if nothing is.

    Obstore ends some of these with a panic, which writes to the standard error output.
    """
    for name, value in options.items():
        if name in CLIENT_OPTIONS:
            return f"{name} is an option of the client: give client_options={{{name!r}: …}} in storage_options"
        if name in _MAPPINGS and value is not None and not isinstance(value, Mapping):
            return f"{name} in storage_options must be a mapping, not {type(value).__name__}"
    return None


def malformed_option(options: Mapping[str, Any], family: str) -> str | None:
    """Return which option of obstore, or variable that it reads for a family, cannot be used, in one line; or None.

    Obstore takes these, and ends the first request with a panic.
    """
    config = options.get("config")
    given = {**(config if isinstance(config, Mapping) else {}), **options}
    told = [(name, f"{name} in storage_options", value) for name, value in given.items()]
    beginning = _FAMILIES.get(family)
    if beginning is not None:
        variables = [name for name in os.environ if name.startswith(beginning)]
        told += [(name, f"the variable {name}", os.environ[name]) for name in variables]
    return next((found for one in told if (found := _malformed(*one)) is not None), None)


def _malformed(name: str, where: str, value: object) -> str | None:
    if not isinstance(value, str):
        return None
    if _IN_HEADERS.fullmatch(name.lower()) and _CONTROL.search(value):
        return f"{where} has a line break or another control character in it. Leave that out"
    if _ENDPOINT.fullmatch(name.lower()) and not _is_server(value):
        return f"{where} is no URL of a server. Write it like 'http://localhost:9000' or 'https://host'"
    return None


def _is_server(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Asked for, as it is looked at only then.
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and " " not in url


def option_problem(error: BaseException, options: Mapping[str, Any]) -> str | None:
    """Return what is wrong with ``options``, of which obstore has raised ``error``; None if that is not known."""
    found = _UNKNOWN.search(str(error))
    if found is not None:
        name = found[1]
        meant = _OTHER_NAMES.get(name) or next(
            iter(get_close_matches(name, [*_KNOWN, *CLIENT_OPTIONS], 1)), ""
        )
        return f"there is no option {name!r}" + (f": {meant} may be meant" if meant else "")
    if isinstance(error, TypeError):
        wrong = [f"{name} is of type {type(value).__name__}" for name, value in _not_text(options)]
        if wrong:
            return f"{', '.join(wrong)}: give text, such as 'eu-west-1' or '5s'"
    return None


def _not_text(options: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in options.items():
        if name in _MAPPINGS and isinstance(value, Mapping) and name != "retry_config":
            yield from _not_text(value, f"{name}.")
        elif not isinstance(value, str | bool | bytes | Mapping) and name != "credential_provider":
            yield f"{within}{name}", value
