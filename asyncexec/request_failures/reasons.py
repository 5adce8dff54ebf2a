"""The reasons for which a request fails, each with its nature and what to do about it: the table as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Nature(StrEnum):
    """The nature of a failure: the same request may succeed a moment later, or not."""

    PERMANENT = "permanent"
    """It fails alike each time: a right, a name, an option or the request itself is wrong."""
    TRANSIENT = "transient"
    """The answer came at once and was no: the service is overloaded, restarting or out of reach for now."""
    SILENCE = "silence"
    """No answer came in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A reason for which a request fails.

    Attributes
    ----------
    name : str
    nature : Nature
    text : str
        What happened, as a part of a sentence.
    advice : str
        What to do, as a sentence without its full stop; ``""`` where waiting is all.
    patience_seconds : float
        For how long a transient one is repeated at most.
    """

    name: str
    nature: Nature
    text: str
    advice: str = ""
    patience_seconds: float = 120.0


def _permanent(name: str, text: str, advice: str = "") -> Reason:
    return Reason(name=name, nature=Nature.PERMANENT, text=text, advice=advice)


def _transient(name: str, text: str, advice: str = "", seconds: float = 120.0) -> Reason:
    return Reason(
        name=name, nature=Nature.TRANSIENT, text=text, advice=advice, patience_seconds=seconds
    )


DENIED = _permanent("denied", "access is denied", "Give these credentials that right")
UNAUTHENTICATED = _permanent(
    "unauthenticated",
    "the credentials are not accepted",
    "Check the access key and the secret (or the token) in storage_options or in the environment",
)
NO_CREDENTIALS = _permanent(
    "no credentials",
    "no credentials were found",
    "Give them in storage_options or by the environment, or say that none are needed (skip_signature=True, or "
    "anon=True of fsspec)",
)
EXPIRED = _permanent(
    "expired", "the credentials have expired", "Get a new token, and run the plan again"
)
CLOCK = _permanent(
    "clock",
    "the clock of this machine differs too much from the service's",
    "Set the clock (NTP)",
)
REGION = _permanent(
    "region",
    "the bucket is in another region, or behind another endpoint",
    "Give its region (region='…') and endpoint in storage_options",
)
NO_BUCKET = _permanent(
    "no bucket",
    "the bucket does not exist",
    "Check its name, the endpoint and the region, or create it first",
)
MISSING = _permanent("missing", "it does not exist", "Check the path")
EXISTS = _permanent("exists", "it exists already")
PRECONDITION = _permanent("precondition", "somebody else has changed it meanwhile")
REFUSED = _permanent("refused", "the request is refused", "Check the URL and storage_options")
UNSUPPORTED = _permanent(
    "unsupported", "the service cannot do that", "Use another store, or another endpoint"
)
BAD_OPTION = _permanent(
    "bad option",
    "an option is unknown, or its value is of the wrong type or form",
    "Check storage_options",
)
PLAIN_HTTP = _permanent(
    "plain http",
    "the endpoint is plain http, which is not allowed by default",
    "Give client_options={'allow_http': True} in storage_options, or an https endpoint",
)
CERTIFICATE = _permanent(
    "certificate",
    "the certificate of the endpoint is not trusted",
    "Check the endpoint, or give the certificate of its authority",
)
NOT_TLS = _permanent(
    "not tls", "the endpoint does not speak TLS", "Check the endpoint: http:// or https://"
)
NOT_A_STORE = _permanent(
    "not a store",
    "what answers there is no such service",
    "Check the endpoint",
)
FULL = _permanent("full", "there is no room left", "Free some space, or write elsewhere")
READ_ONLY = _permanent("read-only", "the file system is read-only", "Write elsewhere")
LOCAL_DENIED = _permanent("denied here", "permission is denied", "Change the rights, or the place")

THROTTLED = _transient("throttled", "the service asks for fewer requests")
OVERLOADED = _transient("overloaded", "the service is overloaded or restarting")
CONFLICT = _transient("conflict", "another request to the same object was under way")
UNREACHABLE = _transient(
    "unreachable", "nothing answers there", "Check that it runs, and the endpoint"
)
BROKEN = _transient("broken", "the connection broke off")
NO_NAME = _transient(
    "no name", "the name of the host is not known", "Check the endpoint and the network", 30.0
)
DNS = _transient("dns", "the name of the host could not be looked up", "Check the network")
TOO_MANY_FILES = _transient(
    "too many files",
    "this process has too many files and connections open",
    "Raise the limit (ulimit -n), or use fewer workers",
)
OTHER = _transient("other", "the request failed", seconds=30.0)
DEVICE = _transient("device", "the device failed")

SILENT = Reason(
    name="silent",
    nature=Nature.SILENCE,
    text="it does not answer",
    advice="Check the endpoint and the network",
)
