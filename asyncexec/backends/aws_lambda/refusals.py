"""What it means when Lambda's API answers a call with an error instead of having it run."""

from __future__ import annotations

from enum import Enum


class Meaning(Enum):
    """What an error of the API says about the call."""

    BUSY = "not run, and may be sent again in a moment"
    TOO_LARGE = "not run, and never will be in one piece"
    LOST = "nobody knows whether it has run"
    BROKEN = "nothing can be run until somebody has mended something"


_BUSY = frozenset(
    {
        "EC2ThrottledException",
        "ENILimitReachedException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "ResourceConflictException",  # The function is being made or changed.
        "ResourceNotReadyException",
        "SnapStartNotReadyException",
        "SlowDown",
        "SubnetIPAddressLimitReachedException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_TOO_LARGE = frozenset({"RequestTooLargeException", "RequestEntityTooLargeException"})
# Answered with status 502 or 504, which elsewhere would mean that it may pass.
_BROKEN = frozenset(
    {
        "EC2AccessDeniedException",
        "EFSMountConnectivityException",
        "EFSMountFailureException",
        "InvalidRuntimeException",
        "InvalidSecurityGroupIDException",
        "InvalidSubnetIDException",
        "InvalidZipFileException",
        "KMSAccessDeniedException",
        "KMSDisabledException",
        "KMSInvalidStateException",
        "KMSNotFoundException",
    }
)

_ADVICE = {
    "AccessDeniedException": "The caller needs lambda:InvokeFunction and, to check the function before a run, "
    "lambda:GetFunctionConfiguration on it",
    "ExpiredTokenException": "The credentials have expired: renew them",
    "InvalidSignatureException": "Check the credentials, the clock and the region",
    "ResourceNotFoundException": "Check function_name, qualifier and region, or deploy the function "
    "(`asyncexec lambda package` builds it)",
    "UnrecognizedClientException": "Check the credentials, and the region they are for",
}


def meaning_of(code: str, status: int) -> Meaning:
    """Return what an error with this code and HTTP status means."""
    if code in _BUSY or status in {429, 503}:
        return Meaning.BUSY
    if code in _TOO_LARGE or status == 413:
        return Meaning.TOO_LARGE
    if code in _BROKEN or status < 500:
        return Meaning.BROKEN
    return Meaning.LOST


def advice_for(code: str) -> str:
    """Return what to do about an error that breaks the backend."""
    return _ADVICE.get(code, "See the function in the Lambda console")
