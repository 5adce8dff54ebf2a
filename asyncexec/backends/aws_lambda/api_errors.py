"""Classify the errors with which Lambda's API answers a call instead of running it."""

from __future__ import annotations

from enum import Enum


class ApiErrorKind(Enum):
    """The meaning of an error of the API for the call."""

    UNREACHABLE = "not run, as the request has not reached Lambda"
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
        "ResourceConflictException",  # The function is being created or changed.
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
# These come with status 502 or 504, which elsewhere mean a temporary failure.
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


def code_of(error: Exception) -> tuple[str, int]:
    """Return the code and HTTP status of an error response of the service; ``("", 0)`` for any other error."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return "", 0
    code = str(response.get("Error", {}).get("Code", ""))
    return code or "Unknown", int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def api_error_kind(error: Exception) -> ApiErrorKind:
    """Return the meaning of an error of a client, with an answer of the service or without."""
    from botocore.exceptions import (
        ConnectTimeoutError,
        EndpointConnectionError,
        NoCredentialsError,
        PartialCredentialsError,
        TokenRetrievalError,
    )

    code, status = code_of(error)
    if code:
        return classify_api_error(code, status)
    if isinstance(error, ConnectTimeoutError | EndpointConnectionError):
        return ApiErrorKind.UNREACHABLE
    if isinstance(error, NoCredentialsError | PartialCredentialsError | TokenRetrievalError):
        return ApiErrorKind.BROKEN
    return ApiErrorKind.LOST


def classify_api_error(code: str, status: int) -> ApiErrorKind:
    """Return the meaning of an error with this code and HTTP status."""
    if code in _BUSY or status in {429, 503}:
        return ApiErrorKind.BUSY
    if code in _TOO_LARGE or status == 413:
        return ApiErrorKind.TOO_LARGE
    if code in _BROKEN or status < 500:
        return ApiErrorKind.BROKEN
    return ApiErrorKind.LOST


def advice_for(code: str) -> str:
    """Return advice on an error that breaks the backend."""
    return _ADVICE.get(code, "See the function in the Lambda console")
