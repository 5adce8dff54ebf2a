"""Error numbers and response codes, read from an exception that was sent as text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncexec.events.outcome import ErrorInfo

_ERRNO = re.compile(r"\[Errno (\d+)\]")

# Client libraries put the status into the message each in its own words, and attributes do not survive as text.
_STATUS: dict[str, re.Pattern[str]] = {
    "aiohttp.client_exceptions.ClientResponseError": re.compile(r"^(\d{3}), message="),
    "azure.core.exceptions.HttpResponseError": re.compile(
        r"\b(?:[Ss]tatus(?: code)?|HTTP)[:= ]+'?(\d{3})\b"
    ),
    "google.api_core.exceptions.GoogleAPICallError": re.compile(r"^(\d{3}) "),
    "httpx.HTTPStatusError": re.compile(r"^(?:Client|Server) error '(\d{3}) "),
    "requests.exceptions.HTTPError": re.compile(r"^(\d{3}) (?:Client|Server) Error"),
    "urllib.error.HTTPError": re.compile(r"^HTTP Error (\d{3})"),
}

_SERVICE_CODES: dict[str, re.Pattern[str]] = {
    "botocore.exceptions.ClientError": re.compile(r"^An error occurred \(([^)]+)\)"),
}


def errno_of(error: ErrorInfo) -> int | None:
    """Return the system's error number of an ``OSError``; None for other exceptions and where it has none."""
    if "builtins.OSError" not in (error.type, *error.bases):
        return None
    number = getattr(error.exception, "errno", None)
    if isinstance(number, int):
        return number
    found = _ERRNO.search(error.message)
    return int(found[1]) if found else None


def http_status_of(error: ErrorInfo) -> int | None:
    """Return the status of the HTTP response that the exception reports; None where it reports none."""
    found = _search(error, _STATUS)
    return int(found) if found else None


def service_code_of(error: ErrorInfo) -> str | None:
    """Return the error code of the AWS service that answered (``"SlowDown"``); None for anything else."""
    return _search(error, _SERVICE_CODES)


def _search(error: ErrorInfo, patterns: dict[str, re.Pattern[str]]) -> str | None:
    for name in (error.type, *error.bases):
        if (pattern := patterns.get(name)) is not None and (found := pattern.search(error.message)):
            return found[1]
    return None
