"""The class and the words of the error that a failed request to a store becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncexec.errors import (
    OutOfSpaceError,
    StorageAccessError,
    StorageError,
    StorageRefusedError,
    StorageTimeoutError,
    StorageUnavailableError,
)
from asyncexec.request_failures import reasons
from asyncexec.request_failures.reading import Failure, failure_of
from asyncexec.request_failures.reasons import Nature, Reason
from asyncexec.storage.places.rights import ASKED, TRIED, asked_endpoint, bucket_of, missing_right

if TYPE_CHECKING:
    from asyncexec.storage.places.locations import Location

_ACCESS = frozenset(
    {
        reasons.DENIED,
        reasons.LOCAL_DENIED,
        reasons.UNAUTHENTICATED,
        reasons.NO_CREDENTIALS,
        reasons.EXPIRED,
        reasons.CLOCK,
    }
)
_OF_ENDPOINT = frozenset(
    {
        reasons.SILENT,
        reasons.UNREACHABLE,
        reasons.NO_NAME,
        reasons.DNS,
        reasons.CERTIFICATE,
        reasons.NOT_TLS,
        reasons.PLAIN_HTTP,
        reasons.NOT_A_STORE,
        reasons.THROTTLED,
        reasons.OVERLOADED,
        reasons.BROKEN,
    }
)
"""The reasons that are of an endpoint rather than of an object."""


def failed_request(error: Exception, location: Location, begin: str, what: str) -> StorageError:
    """Return what ``error`` becomes: ``begin`` and what happened, in one line, without secrets."""
    failure = failure_of(error)
    # Of files the system's own words say it best.
    if failure is None or location.local_path is not None:
        first = location.hide_in(str(error)).strip().partition("\n")[0]
        kind = StorageError if failure is None else _LOCAL.get(failure.reason, StorageError)
        return kind(f"{begin}: {type(error).__name__}: {first}")
    made = _kind(failure.reason)(f"{begin}: {_told(failure, error, location, what)}")
    if isinstance(made, StorageTimeoutError):
        made.endpoint = getattr(error, ASKED, "")
    return made


_LOCAL: dict[Reason, type[StorageError]] = {
    reasons.LOCAL_DENIED: StorageAccessError,
    reasons.READ_ONLY: StorageRefusedError,
    reasons.REFUSED: StorageRefusedError,
}


def _kind(reason: Reason) -> type[StorageError]:
    if reason.nature is Nature.SILENCE:
        return StorageTimeoutError
    if reason.nature is Nature.TRANSIENT:
        return StorageUnavailableError
    if reason is reasons.FULL:
        return OutOfSpaceError
    return StorageAccessError if reason in _ACCESS else StorageRefusedError


def _told(failure: Failure, error: Exception, location: Location, what: str) -> str:
    """Return what happened, of which endpoint or right, and what to do."""
    reason = failure.reason
    said = " ".join(filter(None, (str(failure.status or ""), failure.code)))
    text = reason.text
    if reason is reasons.NO_BUCKET and (bucket := bucket_of(location)):
        text = f"the bucket {bucket} does not exist"
    if reason in _OF_ENDPOINT or reason is reasons.NO_BUCKET:
        text = f"{text}: {asked_endpoint(error, location)}"
    if reason in (reasons.OTHER, reasons.BAD_OPTION):
        first = location.hide_in(str(error)).strip().partition("\n")[0]
        text = f"{type(error).__name__}: {first}"
    tried = getattr(error, TRIED, None)
    text += f" ({said})" if said else ""
    text += f", after {tried}" if tried else ""
    advice = reason.advice
    if reason is reasons.DENIED:
        right = missing_right(error, location, what)
        text += f": the right {right} is missing" if right else ""
        advice = f"Give it to these credentials{_MAYBE_MISSING.get(right, '')}" if right else advice
    return f"{text}. {advice}" if advice else text


_MAYBE_MISSING = {
    "s3:GetObject": ", and s3:ListBucket, without which S3 says the same of an object that does not exist"
}
