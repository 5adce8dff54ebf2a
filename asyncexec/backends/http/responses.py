"""Classify the responses of a function that are not the stream of a call."""

from __future__ import annotations

import json
from collections.abc import Mapping

from asyncexec.backends.adapters.service_calls import BusyError, TooLargeError
from asyncexec.backends.http.signing import SECRET_VARIABLE
from asyncexec.errors import BackendError

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


def _reason(body: bytes) -> str:
    try:
        content = json.loads(body)
    except ValueError:
        content = None
    reason = (
        content.get("refused")
        if isinstance(content, dict)
        else body[:200].decode("utf-8", "replace")
    )
    return f": {str(reason).strip()}" if reason else ""


def _pause(text: str) -> float:
    """Return the seconds of a Retry-After; 0.0 if it has a date, or is missing."""
    return float(text) if text.isdigit() else 0.0
