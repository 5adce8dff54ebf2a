"""The table of failures: what each library, service and system says, and whether the same may succeed later."""

import errno
import socket
import ssl

import pytest

from asyncexec.request_failures import reasons
from asyncexec.request_failures.reading import failure_of
from asyncexec.request_failures.reasons import Nature


def made(
    name: str, message: str = "sorry", *bases: type[BaseException], **attributes
) -> BaseException:
    """An exception of a class with this qualified name, as a library that is not installed here raises it."""
    module, _, last = name.rpartition(".")
    error = type(last, bases or (Exception,), {"__module__": module})(message)
    for key, value in attributes.items():
        setattr(error, key, value)
    return error


def obstore(text: str, name: str = "GenericError") -> BaseException:
    base = type("BaseError", (Exception,), {"__module__": "obstore.exceptions"})
    return made(f"obstore.exceptions.{name}", text, base)


def answered(status: int, code: str = "", name: str = "GenericError") -> BaseException:
    body = f"<Error><Code>{code}</Code></Error>" if code else ""
    return obstore(
        f"Generic S3 error: Error performing GET http://h/b/k in 3ms - Server returned non-2xx status code: {status} "
        f"Words: {body}\n\nDebug source:\nGeneric {{ inner: Status {{ status: {status} }} }}",
        name,
    )


def sending(kind: str, source: str) -> BaseException:
    return obstore(
        "Generic S3 error: Error performing GET http://h/b/k in 3ms - HTTP error: error sending request\n\n"
        "Debug source:\n"
        f"inner: Http(HttpError {{ kind: {kind}, source: {source} }})"
    )


def client_error(code: str, status: int, operation: str = "GetObject") -> BaseException:
    response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return made("botocore.exceptions.ClientError", response=response, operation_name=operation)


def translated(error: OSError, cause: BaseException) -> OSError:
    error.__cause__ = cause
    return error


TABLE = [
    # obstore: the status and the code of the service
    (answered(400), "refused"),
    (answered(400, "ExpiredToken"), "expired"),
    (answered(400, "RequestTimeout"), "overloaded"),
    (answered(400, "AuthorizationHeaderMalformed"), "region"),
    (answered(401, name="UnauthenticatedError"), "unauthenticated"),
    (answered(403, name="PermissionDeniedError"), "denied"),
    (answered(403, "RequestTimeTooSkewed", "PermissionDeniedError"), "clock"),
    (answered(403, "InvalidAccessKeyId", "PermissionDeniedError"), "unauthenticated"),
    (answered(403, "SignatureDoesNotMatch", "PermissionDeniedError"), "unauthenticated"),
    (answered(404, "NoSuchBucket"), "no bucket"),
    (answered(404, "NoSuchKey"), "missing"),
    (answered(405), "unsupported"),
    (answered(408), "overloaded"),
    (answered(409, "ConditionalRequestConflict", "AlreadyExistsError"), "conflict"),
    (answered(409, "OperationAborted"), "conflict"),
    (answered(409, "BlobAlreadyExists"), "exists"),
    (answered(412, name="PreconditionError"), "precondition"),
    (answered(416), "refused"),
    (answered(429), "throttled"),
    (answered(500), "overloaded"),
    (answered(500, "InternalError"), "overloaded"),
    (answered(501), "unsupported"),
    (answered(502), "overloaded"),
    (answered(503, "SlowDown"), "throttled"),
    (answered(503), "overloaded"),
    (answered(504), "overloaded"),
    (obstore("Received redirect without LOCATION\n\nDebug source:\ninner: BareRedirect"), "region"),
    # obstore: no answer
    (sending("Timeout", "TimedOut"), "silent"),
    (sending("Connect", "Os { code: 111, kind: ConnectionRefused }"), "unreachable"),
    (
        sending(
            "Connect",
            '"dns error", "failed to lookup address information: Name or service not known"',
        ),
        "no name",
    ),
    (sending("Connect", '"dns error", "Temporary failure in name resolution"'), "dns"),
    (sending("Interrupted", "Os { code: 104, kind: ConnectionReset }"), "broken"),
    (sending("Request", "hyper::Error(IncompleteMessage)"), "broken"),
    (
        sending(
            "Interrupted",
            "hyper::Error(Body, Custom { kind: UnexpectedEof, error: IncompleteBody })",
        ),
        "broken",
    ),
    (sending("Unknown", "reqwest::Error { kind: Builder, source: BadScheme }"), "plain http"),
    (sending("Connect", "invalid peer certificate: UnknownIssuer"), "certificate"),
    (sending("Connect", "received corrupt message of type InvalidContentType"), "not tls"),
    (sending("Unknown", "hyper::Error(Parse(Version))"), "not a store"),
    (sending("Connect", "Os { code: 24, message: Too many open files }"), "too many files"),
    (
        obstore("Error performing PUT http://169.254.169.254/latest/api/token in 5ms - 404"),
        "no credentials",
    ),
    (
        obstore(
            "Generic S3 error: Missing SecretAccessKey\n\nDebug source:\nMissingSecretAccessKey"
        ),
        "no credentials",
    ),
    (obstore('Generic Config error: failed to parse "x" as Duration'), "bad option"),
    (obstore("something new"), "other"),
    (obstore("sorry", "NotFoundError"), "missing"),
    (obstore("sorry", "AlreadyExistsError"), "exists"),
    (obstore("sorry", "PreconditionError"), "precondition"),
    (obstore("sorry", "PermissionDeniedError"), "denied"),
    (obstore("sorry", "UnauthenticatedError"), "unauthenticated"),
    (obstore("sorry", "NotSupportedError"), "unsupported"),
    (obstore("sorry", "InvalidPathError"), "refused"),
    (obstore("sorry", "UnknownConfigurationKeyError"), "bad option"),
    # botocore, and s3fs, which translates it
    (client_error("AccessDenied", 403), "denied"),
    (client_error("403", 403), "denied"),
    (client_error("404", 404), "missing"),
    (client_error("NoSuchBucket", 404), "no bucket"),
    (client_error("SlowDown", 503), "throttled"),
    (client_error("SomethingNew", 503), "overloaded"),
    (client_error("RequestTimeTooSkewed", 403), "clock"),
    (translated(OSError(errno.EBUSY, "busy"), client_error("SlowDown", 503)), "throttled"),
    (translated(PermissionError("no"), client_error("ExpiredToken", 400)), "expired"),
    (translated(FileNotFoundError("no"), client_error("NoSuchBucket", 404)), "no bucket"),
    (made("botocore.exceptions.NoCredentialsError"), "no credentials"),
    (made("botocore.exceptions.EndpointConnectionError"), "unreachable"),
    (made("botocore.exceptions.ConnectTimeoutError"), "silent"),
    (made("botocore.exceptions.ReadTimeoutError"), "silent"),
    (made("botocore.exceptions.ConnectionClosedError"), "broken"),
    (made("botocore.exceptions.IncompleteReadError"), "broken"),
    # fsspec and aiohttp
    (made("fsspec.exceptions.FSTimeoutError", "x", TimeoutError), "silent"),
    (made("aiohttp.client_exceptions.ClientResponseError", status=503), "overloaded"),
    (made("aiohttp.client_exceptions.ClientResponseError", status=403), "denied"),
    (made("aiohttp.client_exceptions.ClientPayloadError"), "broken"),
    (made("aiohttp.client_exceptions.ServerDisconnectedError"), "broken"),
    (made("gcsfs.retry.HttpError", code=429), "throttled"),
    # Azure
    (
        made(
            "azure.core.exceptions.HttpResponseError",
            status_code=403,
            error_code="AuthorizationFailure",
        ),
        "denied",
    ),
    (
        made("azure.core.exceptions.HttpResponseError", status_code=503, error_code="ServerBusy"),
        "overloaded",
    ),
    (
        made(
            "azure.core.exceptions.ResourceNotFoundError",
            status_code=404,
            error_code="ContainerNotFound",
        ),
        "no bucket",
    ),
    (made("azure.core.exceptions.ServiceRequestError"), "unreachable"),
    (made("azure.core.exceptions.ServiceResponseTimeoutError"), "silent"),
    # the operating system and Python
    (ConnectionResetError(errno.ECONNRESET, "x"), "broken"),
    (BrokenPipeError(errno.EPIPE, "x"), "broken"),
    (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "unreachable"),
    (OSError(errno.EHOSTUNREACH, "x"), "unreachable"),
    (OSError(errno.ENETUNREACH, "x"), "unreachable"),
    (TimeoutError(errno.ETIMEDOUT, "x"), "silent"),
    (TimeoutError(), "silent"),
    (OSError(errno.EIO, "x"), "device"),
    (OSError(errno.ESTALE, "x"), "device"),
    (OSError(errno.EMFILE, "x"), "too many files"),
    (OSError(errno.ENOSPC, "x"), "full"),
    (OSError(errno.EDQUOT, "x"), "full"),
    (OSError(errno.EROFS, "x"), "read-only"),
    (PermissionError(errno.EACCES, "x"), "denied here"),
    (FileNotFoundError(errno.ENOENT, "x"), "missing"),
    (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "no name"),
    (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "dns"),
    (ssl.SSLCertVerificationError(1, "certificate verify failed"), "certificate"),
    (ExceptionGroup("several", [answered(403)]), "denied"),
]
PERMANENT = {
    *(
        "refused",
        "expired",
        "region",
        "unauthenticated",
        "denied",
        "clock",
        "no bucket",
        "missing",
        "unsupported",
    ),
    *(
        "exists",
        "precondition",
        "plain http",
        "certificate",
        "not tls",
        "not a store",
        "no credentials",
        "bad option",
    ),
    *("full", "read-only", "denied here"),
}


@pytest.mark.parametrize(
    "error, name", TABLE, ids=[f"{n}-{name}" for n, (_, name) in enumerate(TABLE)]
)
def test_the_reason_is_read_from_what_a_library_says(error, name):
    found = failure_of(error)
    assert found is not None
    assert found.reason.name == name
    expected = Nature.PERMANENT if name in PERMANENT else Nature.TRANSIENT
    assert found.reason.nature is (Nature.SILENCE if name == "silent" else expected)


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyError("x"), RuntimeError("x"), OSError("x"), ZeroDivisionError()]
)
def test_what_is_of_no_request_has_no_reason(error):
    assert failure_of(error) is None


def test_the_body_of_an_answer_decides_nothing_but_its_code():
    """A service may answer with words that libraries use for something else."""
    error = answered(403, "AccessDenied", "PermissionDeniedError")
    assert (
        failure_of(made("x.Y", f"{error} operation timed out, Connection refused")).reason.name
        == "denied"
    )


def test_every_permanent_reason_that_a_user_can_mend_says_how():
    mended_by_nobody = {"exists", "precondition"}
    every = [value for value in vars(reasons).values() if isinstance(value, reasons.Reason)]
    assert [
        r.name
        for r in every
        if r.nature is Nature.PERMANENT and not r.advice and r.name not in mended_by_nobody
    ] == []
    assert len({reason.name for reason in every}) == len(every)
