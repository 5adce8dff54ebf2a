"""The words of libraries, services and the operating system, each with the reason it stands for.

Written down by names and numbers, so that nothing of these libraries is imported.
"""

from __future__ import annotations

import errno
import re

from asyncexec.request_failures import reasons
from asyncexec.request_failures.reasons import Reason

BY_STATUS: dict[int, Reason] = {
    301: reasons.REGION,
    307: reasons.REGION,
    400: reasons.REFUSED,
    401: reasons.UNAUTHENTICATED,
    403: reasons.DENIED,
    404: reasons.MISSING,
    405: reasons.UNSUPPORTED,
    408: reasons.OVERLOADED,
    409: reasons.EXISTS,
    412: reasons.PRECONDITION,
    413: reasons.FULL,
    416: reasons.REFUSED,
    425: reasons.OVERLOADED,
    429: reasons.THROTTLED,
    499: reasons.BROKEN,
    501: reasons.UNSUPPORTED,
    505: reasons.UNSUPPORTED,
    507: reasons.FULL,
}
"""By the status of an HTTP response; others from 500 on are overloads, others from 400 on refusals."""

_CODES: dict[Reason, str] = {
    reasons.DENIED: """AccessDenied AccessDeniedException AllAccessDisabled AccountProblem AuthorizationFailure
        AuthorizationPermissionMismatch AuthorizationProtocolMismatch AuthorizationResourceTypeMismatch
        AuthorizationServiceMismatch AuthorizationSourceIPMismatch Forbidden InsufficientAccountPermissions
        NotSignedUp UnauthorizedBlobOverwrite UnauthorizedOperation""",
    reasons.UNAUTHENTICATED: """AuthenticationFailed AuthFailure InvalidAccessKeyId InvalidAuthenticationInfo
        InvalidClientTokenId InvalidToken MissingAuthenticationToken NoAuthenticationInformation
        SignatureDoesNotMatch Unauthorized UnrecognizedClientException""",
    reasons.EXPIRED: "ExpiredToken ExpiredTokenException TokenRefreshRequired RequestExpired",
    reasons.CLOCK: "RequestTimeTooSkewed",
    reasons.REGION: """AuthorizationHeaderMalformed AuthorizationQueryParametersError IllegalLocationConstraintException
        IncorrectEndpoint PermanentRedirect Redirect TemporaryRedirect""",
    reasons.NO_BUCKET: """NoSuchBucket InvalidBucketName ContainerNotFound ContainerBeingDeleted ContainerDisabled
        InvalidResourceName""",
    reasons.MISSING: "NoSuchKey BlobNotFound NotFound ResourceNotFound NoSuchUpload NoSuchVersion PathNotFound",
    reasons.EXISTS: "BlobAlreadyExists PathAlreadyExists ResourceAlreadyExists",
    reasons.PRECONDITION: "ConditionNotMet PreconditionFailed LeaseIdMissing LeaseAlreadyPresent TargetConditionNotMet",
    reasons.UNSUPPORTED: "MethodNotAllowed NotImplemented FeatureNotSupported",
    reasons.FULL: "EntityTooLarge QuotaExceeded InsufficientStorage XMinioStorageFull RequestBodyTooLarge",
    reasons.THROTTLED: """BandwidthLimitExceeded EC2ThrottledException LimitExceededException
        ProvisionedThroughputExceededException PriorRequestNotComplete RequestLimitExceeded RequestThrottled
        RequestThrottledException SlowDown SlowDownRead SlowDownWrite Throttling ThrottlingException
        ThrottledException TooManyRequests TooManyRequestsException rateLimitExceeded""",
    reasons.OVERLOADED: """Busy InternalError InternalFailure OperationTimedOut RequestTimeout RequestTimeoutException
        ServerBusy ServerTimeout ServiceException ServiceUnavailable TransactionInProgressException
        XMinioServerNotInitialized XAmzContentSHA256Mismatch BadDigest""",
    reasons.CONFLICT: "ConditionalRequestConflict OperationAborted InvalidBlobOrBlock",
    reasons.BROKEN: "IncompleteBody",
}
BY_CODE: dict[str, Reason] = {
    code: reason for reason, codes in _CODES.items() for code in codes.split()
}
"""By the error code in the body of a service's answer, which is more exact than the status."""

REFUSED_CODES = re.compile(
    r"(AccessDenied|Auth|Expired|Forbidden|Invalid|Malformed|NoSuch|Unauthorized).*"
    r"|.*(Denied|DeniedException|DoesNotMatch|NotFound|NotFoundException|NotSupported)"
)
"""Codes that are in no list: services use the same few openings and endings."""

_ERRNOS: dict[Reason, tuple[int, ...]] = {
    reasons.BROKEN: (
        errno.ECONNRESET,
        errno.EPIPE,
        errno.ECONNABORTED,
        errno.ENETRESET,
        errno.ESHUTDOWN,
    ),
    reasons.UNREACHABLE: (
        errno.ECONNREFUSED,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.EHOSTDOWN,
        errno.ENETDOWN,
        errno.EADDRNOTAVAIL,
    ),
    reasons.SILENT: (errno.ETIMEDOUT,),
    reasons.OVERLOADED: (errno.EBUSY, errno.EAGAIN),
    reasons.DEVICE: (errno.EIO, errno.ESTALE, errno.EREMOTEIO),
    reasons.TOO_MANY_FILES: (errno.EMFILE, errno.ENFILE, errno.ENOBUFS),
    reasons.FULL: (errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    reasons.READ_ONLY: (errno.EROFS,),
    reasons.LOCAL_DENIED: (errno.EACCES, errno.EPERM),
    reasons.MISSING: (errno.ENOENT, errno.ENOTDIR),
    reasons.EXISTS: (errno.EEXIST,),
    reasons.REFUSED: (
        errno.EINVAL,
        errno.ENAMETOOLONG,
        errno.ELOOP,
        errno.EISDIR,
        errno.ENOTEMPTY,
    ),
    reasons.UNSUPPORTED: (errno.ENOSYS, errno.EOPNOTSUPP),
}
BY_ERRNO: dict[int, Reason] = {
    number: reason for reason, numbers in _ERRNOS.items() for number in numbers
}
"""By the error number of the operating system."""

_CLASSES: dict[Reason, str] = {
    reasons.NO_CREDENTIALS: """botocore.exceptions.NoCredentialsError botocore.exceptions.PartialCredentialsError
        botocore.exceptions.ProfileNotFound google.auth.exceptions.DefaultCredentialsError
        azure.identity._exceptions.CredentialUnavailableError""",
    reasons.EXPIRED: """botocore.exceptions.TokenRetrievalError botocore.exceptions.UnauthorizedSSOTokenError
        google.auth.exceptions.RefreshError""",
    reasons.UNAUTHENTICATED: """obstore.exceptions.UnauthenticatedError google.auth.exceptions.GoogleAuthError
        azure.core.exceptions.ClientAuthenticationError""",
    reasons.DENIED: "obstore.exceptions.PermissionDeniedError",
    reasons.REGION: "botocore.exceptions.NoRegionError",
    reasons.BAD_OPTION: """obstore.exceptions.UnknownConfigurationKeyError botocore.exceptions.ParamValidationError
        botocore.exceptions.InvalidRegionError""",
    reasons.MISSING: """obstore.exceptions.NotFoundError azure.core.exceptions.ResourceNotFoundError
        builtins.FileNotFoundError""",
    reasons.EXISTS: """obstore.exceptions.AlreadyExistsError azure.core.exceptions.ResourceExistsError
        builtins.FileExistsError""",
    reasons.PRECONDITION: """obstore.exceptions.PreconditionError obstore.exceptions.NotModifiedError
        azure.core.exceptions.ResourceModifiedError azure.core.exceptions.ResourceNotModifiedError""",
    reasons.UNSUPPORTED: "obstore.exceptions.NotSupportedError",
    reasons.REFUSED: """obstore.exceptions.InvalidPathError aiohttp.client_exceptions.InvalidURL
        aiohttp.client_exceptions.TooManyRedirects httpx.InvalidURL httpx.TooManyRedirects httpx.UnsupportedProtocol
        requests.exceptions.InvalidHeader requests.exceptions.InvalidJSONError requests.exceptions.InvalidSchema
        requests.exceptions.InvalidURL requests.exceptions.MissingSchema requests.exceptions.TooManyRedirects
        google.api_core.exceptions.ClientError""",
    reasons.CERTIFICATE: """ssl.SSLCertVerificationError aiohttp.client_exceptions.ClientConnectorCertificateError
        aiohttp.client_exceptions.ServerFingerprintMismatch""",
    reasons.SILENT: """builtins.TimeoutError fsspec.exceptions.FSTimeoutError
        botocore.exceptions.ConnectTimeoutError botocore.exceptions.ReadTimeoutError
        azure.core.exceptions.ServiceRequestTimeoutError azure.core.exceptions.ServiceResponseTimeoutError
        aiohttp.client_exceptions.ServerTimeoutError httpx.TimeoutException requests.exceptions.Timeout
        urllib3.exceptions.TimeoutError""",
    reasons.UNREACHABLE: """botocore.exceptions.EndpointConnectionError botocore.exceptions.ProxyConnectionError
        aiohttp.client_exceptions.ClientConnectorError azure.core.exceptions.ServiceRequestError
        builtins.ConnectionRefusedError httpx.ConnectError requests.exceptions.ConnectionError
        google.auth.exceptions.TransportError""",
    reasons.DNS: "socket.gaierror aiohttp.client_exceptions.ClientConnectorDNSError",
    reasons.THROTTLED: "google.api_core.exceptions.TooManyRequests",
    reasons.OTHER: """aiohttp.client_exceptions.ClientError azure.core.exceptions.AzureError
        botocore.exceptions.BotoCoreError botocore.exceptions.ClientError google.api_core.exceptions.GoogleAPIError
        httpx.HTTPError obstore.exceptions.BaseError requests.exceptions.RequestException
        urllib3.exceptions.HTTPError""",
    reasons.BROKEN: """builtins.ConnectionError builtins.EOFError http.client.HTTPException
        botocore.exceptions.ConnectionClosedError botocore.exceptions.ResponseStreamingError
        botocore.exceptions.IncompleteReadError botocore.exceptions.HTTPClientError
        aiohttp.client_exceptions.ClientPayloadError aiohttp.client_exceptions.ServerDisconnectedError
        azure.core.exceptions.ServiceResponseError azure.core.exceptions.IncompleteReadError httpx.StreamError""",
}
BY_CLASS: dict[str, Reason] = {
    name: reason for reason, names in _CLASSES.items() for name in names.split()
}
"""By the qualified name of an exception's class or of one of its bases, the most specific first."""

BY_PHRASE: tuple[tuple[re.Pattern[str], Reason], ...] = tuple(
    (re.compile(pattern), reason)
    for pattern, reason in (
        (r"\bBadScheme\b|URL scheme is not allowed", reasons.PLAIN_HTTP),
        (r"invalid peer certificate|[Cc]ertificate[ _]verify[ _]failed", reasons.CERTIFICATE),
        (r"InvalidContentType|[Ww]rong[ _]version[ _]number", reasons.NOT_TLS),
        (r"\b169\.254\.169\.254\b|metadata\.google\.internal", reasons.NO_CREDENTIALS),
        (r"Generic Config error|store: .Config.", reasons.BAD_OPTION),
        (r"Missing(SecretAccessKey|AccessKeyId|AccessKey\b|Account\b)", reasons.NO_CREDENTIALS),
        (r"BareRedirect|redirect without LOCATION", reasons.REGION),
        (r"Name or service not known|nodename nor servname|No address associated", reasons.NO_NAME),
        (r"dns error|failed to lookup address|name resolution", reasons.DNS),
        (r"\bTimedOut\b|kind: Timeout\b|operation timed out", reasons.SILENT),
        (r"Too many open files", reasons.TOO_MANY_FILES),
        (r"ConnectionRefused|[Cc]onnection refused|tcp connect error", reasons.UNREACHABLE),
        (
            r"Connection ?[Rr]eset|Incomplete(Body|Message)|UnexpectedEof|BrokenPipe|dispatch failure",
            reasons.BROKEN,
        ),
        (r"\bParse\(", reasons.NOT_A_STORE),
    )
)
"""By words in the text of errors of obstore and Icechunk, which have neither attributes nor a class for each reason."""


def reason_of_code(code: str) -> Reason | None:
    """Return the reason that the error code of a service stands for; None for one that says nothing."""
    if code.isdigit():
        return reason_of_status(int(code))
    if (found := BY_CODE.get(code)) is not None:
        return found
    if "Throttl" in code or "Timeout" in code:
        return reasons.THROTTLED
    return reasons.REFUSED if REFUSED_CODES.fullmatch(code) else None


def reason_of_status(status: int) -> Reason | None:
    """Return the reason that the status of an HTTP response stands for; None for one that is no failure."""
    if (found := BY_STATUS.get(status)) is not None:
        return found
    if status >= 500:
        return reasons.OVERLOADED
    return reasons.REFUSED if status >= 400 else None
