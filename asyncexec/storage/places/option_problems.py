"""Problems of the options of an object store, by the names of the options and never by their values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

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
