"""What is worth another attempt, told by what a worker sends: names and a message."""

import builtins
import errno
import json
import pickle
import socket
import subprocess
import urllib.error
from asyncio import CancelledError

import numpy as np
import pytest

from asyncexec import errors
from asyncexec.errors import UsageError
from asyncexec.events.outcome import ErrorInfo, Outcome, Status
from asyncexec.policies.classification import FailureKind, classify
from asyncexec.worker.attempt import describe


def failed(error: BaseException | ErrorInfo, *, status: Status = Status.FAILED) -> Outcome:
    info = error if isinstance(error, ErrorInfo) else describe(error)
    return Outcome(1, status, "w", 1.0, 0.5, error=info)


def raised(function, *args) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever it raises is what is wanted
        function(*args)
    return caught.value


class FlakyError(Exception):
    pass


class SubclassOfTimeoutError(TimeoutError):
    pass


@pytest.mark.parametrize(
    "error",
    [
        TypeError("a"),
        ValueError("b"),
        KeyError("c"),
        IndexError("d"),
        AttributeError("e"),
        ImportError("f"),
        ModuleNotFoundError("g"),
        SyntaxError("h"),
        AssertionError("i"),
        NotImplementedError("j"),
        ZeroDivisionError("k"),
        OverflowError("l"),
        RecursionError("m"),
        NameError("n"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "o"),
        StopIteration(),
        UserWarning("made an error"),
        SystemExit(2),
        KeyboardInterrupt(),
        np.linalg.LinAlgError("singular"),
        raised(json.loads, "{"),
        raised(pickle.dumps, lambda: 0),
        raised(open, "/nowhere/at/all"),
        raised(open, "/"),
        PermissionError(13, "Permission denied"),
        FileExistsError(17, "File exists"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError(errno.EROFS, "Read-only file system"),
        errors.ArrayNotFoundError("x"),
        errors.CorruptArrayError("x"),
        errors.TargetExistsError("x"),
        errors.OutOfSpaceError("x"),
        errors.SerializationError("x"),
        errors.OptionError("x"),
        errors.MissingExtraError("x"),
        errors.UsageError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_will_happen_again_is_permanent(error):
    assert classify(failed(error)) is FailureKind.PERMANENT


@pytest.mark.parametrize(
    "error",
    [
        OSError("something"),
        OSError(errno.EIO, "Input/output error"),
        OSError(errno.EMFILE, "Too many open files"),
        ConnectionResetError(104, "Connection reset by peer"),
        BrokenPipeError(32, "Broken pipe"),
        TimeoutError("took too long"),
        SubclassOfTimeoutError("took too long"),
        socket.gaierror(-3, "Temporary failure in name resolution"),
        EOFError("ran out of input"),
        errors.StorageError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_may_go_away_is_transient(error):
    assert classify(failed(error)) is FailureKind.TRANSIENT


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("cannot say"),
        FlakyError("my own"),
        CancelledError(),
        subprocess.CalledProcessError(1, "tool"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_nobody_knows_is_unknown(error):
    """Tried again, but never blamed on the backend."""
    assert classify(failed(error)) is FailureKind.UNKNOWN


def test_every_builtin_exception_has_a_kind():
    """No builtin exception makes the classification itself fail."""
    for name, cls in vars(builtins).items():
        if isinstance(cls, type) and issubclass(cls, BaseException) and "." not in name:
            info = ErrorInfo(
                f"builtins.{name}", tuple(f"builtins.{b.__name__}" for b in cls.__mro__[1:-1])
            )
            assert classify(failed(info)) in FailureKind


@pytest.mark.parametrize(
    "error",
    [MemoryError(), OSError(errno.ENOMEM, "Cannot allocate memory")],
    ids=["MemoryError", "ENOMEM"],
)
def test_no_memory_is_out_of_memory(error):
    assert classify(failed(error)) is FailureKind.OUT_OF_MEMORY


def test_numpy_out_of_memory_is_out_of_memory():
    error = raised(np.ones, (1 << 60,), np.int8)
    assert classify(failed(error)) is FailureKind.OUT_OF_MEMORY


def test_a_disk_that_is_full_is_told_from_text_alone():
    """The exception itself does not travel from a process; its message does."""
    info = describe(OSError(errno.ENOSPC, "No space left on device", "/x/y"))
    assert info.exception is None
    assert classify(failed(info)) is FailureKind.PERMANENT
    assert (
        classify(failed(info._replace(message="something", exception=OSError(errno.ENOSPC, ""))))
        is FailureKind.PERMANENT
    )


@pytest.mark.parametrize(
    "status, kind",
    [
        (Status.LOST, FailureKind.WORKER_LOST),
        (Status.CANCELLED, FailureKind.WORKER_LOST),
        (Status.TIMED_OUT, FailureKind.TIMED_OUT),
        (Status.FAILED, FailureKind.UNKNOWN),
    ],
)
def test_without_an_error_the_status_decides(status, kind):
    assert classify(Outcome(1, status)) is kind


def test_a_worker_killed_for_its_memory_is_out_of_memory_and_any_other_loss_a_loss():
    assert (
        classify(failed(MemoryError("killed by the system"), status=Status.LOST))
        is FailureKind.OUT_OF_MEMORY
    )
    assert classify(failed(ValueError("strange"), status=Status.LOST)) is FailureKind.WORKER_LOST


def test_success_is_nothing_to_classify():
    with pytest.raises(UsageError, match="attempt 7 succeeded"):
        classify(Outcome(7, Status.SUCCEEDED))


BASES = ("builtins.Exception", "builtins.BaseException")
OS_BASES = ("requests.exceptions.RequestException", "builtins.OSError", *BASES)
GOOGLE = (
    "google.api_core.exceptions.GoogleAPICallError",
    "google.api_core.exceptions.GoogleAPIError",
    *BASES,
)
AZURE = ("azure.core.exceptions.HttpResponseError", "azure.core.exceptions.AzureError", *BASES)

# What the libraries' own exceptions look like once described; taken from botocore, obstore, aiohttp, httpx, requests,
# google-api-core and azure-core.
RESPONSES = [
    (
        "httpx.HTTPStatusError",
        ("httpx.HTTPError", *BASES),
        "{side} error '{status} Reason' for url 'http://x'",
    ),
    ("requests.exceptions.HTTPError", OS_BASES, "{status} {side} Error: Reason for url: http://x"),
    (
        "aiohttp.client_exceptions.ClientResponseError",
        ("aiohttp.client_exceptions.ClientError", *BASES),
        "{status}, message='Reason', url='http://x'",
    ),
    (
        "urllib.error.HTTPError",
        ("urllib.error.URLError", "builtins.OSError", *BASES),
        "HTTP Error {status}: Reason",
    ),
    ("google.api_core.exceptions.GatewayTimeout", GOOGLE, "{status} Reason"),
    ("azure.core.exceptions.HttpResponseError", AZURE[1:], "Operation failed\nStatus: {status}"),
]


@pytest.mark.parametrize(
    "name, bases, message", RESPONSES, ids=lambda part: part if isinstance(part, str) else ""
)
@pytest.mark.parametrize(
    "status", [400, 401, 403, 404, 409, 416, 408, 425, 429, 500, 502, 503, 504]
)
def test_an_http_status_decides(name, bases, message, status):
    """Throttling and the server's troubles are transient, every other refusal is permanent."""
    text = message.format(status=status, side="Client" if status < 500 else "Server")
    expected = (
        FailureKind.TRANSIENT
        if status >= 500 or status in {408, 425, 429}
        else FailureKind.PERMANENT
    )
    assert classify(failed(ErrorInfo(name, bases, text))) is expected


def test_urllib_errors_are_read_as_python_words_them():
    assert (
        classify(failed(urllib.error.HTTPError("u", 503, "Service Unavailable", {}, None)))
        is FailureKind.TRANSIENT
    )
    assert (
        classify(failed(urllib.error.HTTPError("u", 403, "Forbidden", {}, None)))
        is FailureKind.PERMANENT
    )


@pytest.mark.parametrize(
    "code, kind",
    [
        ("SlowDown", FailureKind.TRANSIENT),
        ("ThrottlingException", FailureKind.TRANSIENT),
        ("RequestTimeout", FailureKind.TRANSIENT),
        ("InternalError", FailureKind.TRANSIENT),
        ("TooManyRequestsException", FailureKind.TRANSIENT),
        ("503", FailureKind.TRANSIENT),
        ("429", FailureKind.TRANSIENT),
        ("SomethingNew", FailureKind.TRANSIENT),
        ("404", FailureKind.PERMANENT),
        ("AccessDenied", FailureKind.PERMANENT),
        ("NoSuchKey", FailureKind.PERMANENT),
        ("NoSuchBucket", FailureKind.PERMANENT),
        ("InvalidAccessKeyId", FailureKind.PERMANENT),
        ("SignatureDoesNotMatch", FailureKind.PERMANENT),
        ("ExpiredToken", FailureKind.PERMANENT),
        ("ResourceNotFoundException", FailureKind.PERMANENT),
    ],
)
def test_an_aws_error_code_decides(code, kind):
    message = f"An error occurred ({code}) when calling the PutObject operation: sorry"
    assert classify(failed(ErrorInfo("botocore.exceptions.ClientError", BASES, message))) is kind


def test_subclasses_made_by_botocore_are_read_like_their_base():
    bases = ("botocore.exceptions.ClientError", *BASES)
    message = "An error occurred (NoSuchKey) when calling the GetObject operation: gone"
    assert (
        classify(failed(ErrorInfo("botocore.errorfactory.NoSuchKey", bases, message)))
        is FailureKind.PERMANENT
    )


@pytest.mark.parametrize(
    "name, kind",
    [
        ("GenericError", FailureKind.TRANSIENT),
        ("JoinError", FailureKind.TRANSIENT),
        ("NotFoundError", FailureKind.PERMANENT),
        ("PermissionDeniedError", FailureKind.PERMANENT),
        ("UnauthenticatedError", FailureKind.PERMANENT),
        ("PreconditionError", FailureKind.PERMANENT),
    ],
)
def test_object_store_errors_are_told_by_their_class(name, kind):
    info = ErrorInfo(
        f"obstore.exceptions.{name}", ("obstore.exceptions.BaseError", *BASES), "sorry"
    )
    assert classify(failed(info)) is kind


def test_overrides_go_before_the_tables_and_the_most_specific_decides():
    overrides = {
        "builtins.OSError": FailureKind.PERMANENT,
        "builtins.ConnectionError": FailureKind.TRANSIENT,
    }
    assert classify(failed(OSError("x")), overrides) is FailureKind.PERMANENT
    assert classify(failed(ConnectionResetError("x")), overrides) is FailureKind.TRANSIENT
    assert classify(failed(TimeoutError("x")), overrides) is FailureKind.PERMANENT
    assert (
        classify(failed(FileNotFoundError("x")), {"builtins.OSError": FailureKind.TRANSIENT})
        is FailureKind.TRANSIENT
    )
    assert (
        classify(failed(MemoryError()), {"builtins.Exception": FailureKind.PERMANENT})
        is FailureKind.PERMANENT
    )


def test_overrides_do_not_touch_losses_and_timeouts():
    overrides = {"builtins.BaseException": FailureKind.PERMANENT}
    assert (
        classify(failed(RuntimeError("x"), status=Status.LOST), overrides)
        is FailureKind.WORKER_LOST
    )
