"""The meaning of a function's responses that are not the stream of a call."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from asyncexec.backends.adapters.service_calls import BusyError, TooLargeError
from asyncexec.backends.http.messages import VERSION
from asyncexec.backends.http.signing import SECRET_VARIABLE
from asyncexec.errors import BackendError, OptionError

_BUSY = frozenset({429, 503})


def error_of(url: str, status: int, headers: Mapping[str, str], body: bytes) -> Exception:
    """Return the exception to raise for a response.

    A ``BusyError`` or ``TooLargeError`` if the call was not run, a ``BackendError`` if no call can be run, and any
    other error if it is not known.
    """
    where = f"executor 'http': {url} answered with status {status}"
    reason = _reason(body)
    if status in _BUSY:
        return BusyError(f"{where}{reason}", pause_seconds=_pause(headers.get("retry-after", "")))
    if status == 413:
        return TooLargeError(
            f"{url} refuses a task's function and inputs as too large (status 413). Let tasks read large inputs "
            f"from storage, or set request_bytes to what the platform takes"
        )
    if status in {401, 403}:
        return BackendError(
            f"{where}{reason}. Who calls needs the platform's permission (on Google Cloud the role roles/run.invoker, "
            f"and token=… for an identity token), and the function's secret: secret=… must be what it has in "
            f"{SECRET_VARIABLE}"
        )
    if status < 500 and status != 408:
        return BackendError(
            f"{where}{reason}. Check the url, and that asyncexec.backends.http.worker_side:handle is deployed there"
        )
    return ConnectionError(f"{where}{reason}")


def check_function(found: Mapping[str, Any], url: str, *, timeout: float | None) -> None:
    """Check what a function says of itself: its version, its Python, and the seconds that a call may take."""
    where = f"executor 'http': the function at {url}"
    if found.get("asyncexec") != VERSION:
        raise BackendError(
            f"{where} is not asyncexec.backends.http.worker_side:handle in the engine's version: deploy it there"
        )
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    if found.get("python") != ours:
        raise BackendError(
            f"{where} runs Python {found.get('python')}, and functions that are sent from Python {ours} do not "
            f"work there. Deploy it with Python {ours}"
        )
    limit = found.get("seconds")
    if timeout is not None and isinstance(limit, int | float) and timeout > limit:
        raise OptionError(
            f"{where} is ended by its platform after {limit:g} s, and timeout is {timeout:g} s. "
            f"Ask for less, or deploy it with a longer timeout (gcloud run deploy --timeout)"
        )


def json_object(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object in a body; None if it is something else."""
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _reason(body: bytes) -> str:
    content = json_object(body)
    reason = body[:200].decode("utf-8", "replace") if content is None else content.get("refused")
    return f": {str(reason).strip()}" if reason else ""


def _pause(text: str) -> float:
    """Return the seconds of a Retry-After; 0.0 if it has a date, or is missing."""
    return float(text) if text.isdigit() else 0.0
