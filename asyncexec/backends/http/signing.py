"""Requests signed with a secret that driver and worker share (HMAC-SHA256 over time and body).

A request holds a pickle, so a client that can make a worker read one can run code in it.
"""

from __future__ import annotations

import hashlib
import hmac
import re

HEADER = "X-Asyncexec-Signature"
SECRET_VARIABLE = "ASYNCEXEC_HTTP_SECRET"  # noqa: S105 - the name of a variable
SHORTEST_SECRET = 16
# The allowed difference of the clocks, and so the time in which an intercepted request might be sent again.
LEEWAY_SECONDS = 300.0

_FORM = re.compile(r"t=(\d{1,12}),v1=([0-9a-f]{64})")


def signature(secret: str, body: bytes, now: float) -> str:
    """Return the header's value for a request with ``body`` that is made ``now`` (seconds since the epoch)."""
    moment = str(int(now))
    return f"t={moment},v1={_digest(secret, moment, body)}"


def is_signed(value: str | None, secret: str, body: bytes, now: float) -> bool:
    """Return whether ``value`` is the signature, with the secret, of a recent request."""
    found = _FORM.fullmatch(value or "")
    if found is None or abs(now - int(found[1])) > LEEWAY_SECONDS:
        return False
    return hmac.compare_digest(found[2], _digest(secret, found[1], body))


def _digest(secret: str, moment: str, body: bytes) -> str:
    made = hmac.new(secret.encode(), moment.encode() + b".", hashlib.sha256)
    made.update(body)
    return made.hexdigest()
