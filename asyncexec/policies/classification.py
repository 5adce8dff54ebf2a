"""The classification of failures, which decides whether a retry makes sense.

It is decided from what any worker can send: the status, the qualified names of the exception's class and bases, and its
message. The most specific class that a table has decides, as ``except`` clauses in the right order would.

An exception in no table (``RuntimeError``, a user's own class) is unknown, and tried again: retries are for functions
that fail now and then, and one that always fails does so after a few attempts. Unlike a transient failure, it is never
put down to the backend or a service. ``Retry(permanent=..., transient=..., on=...)`` overrules the tables.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from asyncexec.errors import UsageError
from asyncexec.events.outcome import Status
from asyncexec.policies.responses import errno_of, http_status_of, service_code_of
from asyncexec.request_failures.reading import failure_in
from asyncexec.request_failures.reasons import Nature
from asyncexec.request_failures.tables import reason_of_code, reason_of_status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncexec.events.outcome import ErrorInfo, Outcome


class FailureKind(StrEnum):
    """The kind of failure that an attempt ended with."""

    TRANSIENT = "transient"
    """May go away by itself: IO, network, a throttled or overloaded service."""
    UNKNOWN = "unknown"
    """In no table; tried again."""
    WORKER_LOST = "worker lost"
    """The worker died or went away, or gave the attempt up without being asked."""
    OUT_OF_MEMORY = "out of memory"
    """More memory was needed than there was; may work when nothing else runs."""
    TIMED_OUT = "timed out"
    """The attempt ran longer than its timeout."""
    PERMANENT = "permanent"
    """A retry would fail alike: a mistake in code or input, missing data or rights, a full disk."""


_BY_STATUS: dict[Status, FailureKind] = {
    Status.LOST: FailureKind.WORKER_LOST,
    Status.CANCELLED: FailureKind.WORKER_LOST,
    Status.TIMED_OUT: FailureKind.TIMED_OUT,
}


def classify(outcome: Outcome, overrides: Mapping[str, FailureKind] | None = None) -> FailureKind:
    """Return the kind of failure that ``outcome`` is.

    >>> from asyncexec.events.outcome import ErrorInfo, Outcome, Status
    >>> from asyncexec.policies import classify
    >>> bug = Outcome(attempt=1, status=Status.FAILED, error=ErrorInfo("builtins.TypeError"))
    >>> str(classify(bug)), str(classify(Outcome(attempt=2, status=Status.LOST)))
    ('permanent', 'worker lost')

    Parameters
    ----------
    outcome : Outcome
        Of an attempt that did not succeed. A cancelled one counts as lost: attempts that the run itself cancelled are
        not classified.
    overrides : mapping of str to FailureKind
        By qualified name of an exception class; they take precedence over the tables, the most specific class first.

    Raises
    ------
    UsageError
        If the attempt succeeded.
    """
    if outcome.status is Status.SUCCEEDED:
        raise UsageError(f"attempt {outcome.attempt} succeeded: there is no failure to classify")
    error = outcome.error
    if outcome.status is not Status.FAILED:
        # Backends that see the system kill a worker for its memory attach an error that says so.
        out_of_memory = error is not None and _look_up(error, _TABLE) is FailureKind.OUT_OF_MEMORY
        return FailureKind.OUT_OF_MEMORY if out_of_memory else _BY_STATUS[outcome.status]
    if error is None:
        return FailureKind.UNKNOWN
    return (
        _look_up(error, overrides or {})
        or _by_response(error)
        or _look_up(error, _TABLE)
        or FailureKind.UNKNOWN
    )


def _look_up(error: ErrorInfo, table: Mapping[str, FailureKind]) -> FailureKind | None:
    # The bases come in the order of the class's MRO, so the first hit is the most specific class.
    for name in (error.type, *error.bases):
        if (kind := table.get(name)) is not None:
            return kind
    return None


def _by_response(error: ErrorInfo) -> FailureKind | None:
    """Decide by the error number of the system or the status of a service, where the message has one."""
    errno = errno_of(error)
    if errno is not None and errno in _ERRNOS:
        return _ERRNOS[errno]
    names = (error.type, *error.bases)
    status, code = http_status_of(error), service_code_of(error)
    said = failure_in(names, error.message)
    reason = said.reason if said is not None else None
    if reason is None and status is not None:
        reason = reason_of_status(status)
    if reason is None and code is not None:
        reason = reason_of_code(code)
    return None if reason is None else _BY_NATURE[reason.nature]


_BY_NATURE: dict[Nature, FailureKind] = {
    Nature.PERMANENT: FailureKind.PERMANENT,
    Nature.TRANSIENT: FailureKind.TRANSIENT,
    Nature.SILENCE: FailureKind.TRANSIENT,
}

# By number, for Linux: errors that Python has a class for are in the table below.
_ERRNOS: dict[int, FailureKind] = {
    12: FailureKind.OUT_OF_MEMORY,  # ENOMEM
    22: FailureKind.PERMANENT,  # EINVAL
    27: FailureKind.PERMANENT,  # EFBIG
    28: FailureKind.PERMANENT,  # ENOSPC: waiting some seconds does not empty a disk
    30: FailureKind.PERMANENT,  # EROFS
    36: FailureKind.PERMANENT,  # ENAMETOOLONG
    40: FailureKind.PERMANENT,  # ELOOP
    122: FailureKind.PERMANENT,  # EDQUOT
}

_PERMANENT = """
builtins.ArithmeticError builtins.AssertionError builtins.AttributeError builtins.BufferError builtins.ImportError
builtins.LookupError builtins.NameError builtins.NotImplementedError builtins.RecursionError builtins.StopAsyncIteration
builtins.StopIteration builtins.SyntaxError builtins.TypeError builtins.ValueError builtins.Warning
builtins.KeyboardInterrupt builtins.SystemExit
builtins.FileExistsError builtins.FileNotFoundError builtins.IsADirectoryError builtins.NotADirectoryError
builtins.PermissionError
_pickle.PickleError pickle.PickleError
ssl.SSLCertVerificationError
asyncexec.errors.ArrayNotFoundError asyncexec.errors.CorruptArrayError asyncexec.errors.OutOfSpaceError
asyncexec.errors.StorageRefusedError asyncexec.errors.StorageTimeoutError asyncexec.errors.TargetExistsError
asyncexec.errors.UsageError asyncexec.errors.ValueLostError asyncexec.errors.WorkDirError
asyncexec.errors.WorkerInitializerError
botocore.exceptions.NoCredentialsError botocore.exceptions.NoRegionError botocore.exceptions.ParamValidationError
botocore.exceptions.PartialCredentialsError botocore.exceptions.ProfileNotFound
botocore.exceptions.TokenRetrievalError botocore.exceptions.UnauthorizedSSOTokenError
obstore.exceptions.AlreadyExistsError obstore.exceptions.InvalidPathError obstore.exceptions.NotFoundError
obstore.exceptions.NotModifiedError obstore.exceptions.NotSupportedError obstore.exceptions.PermissionDeniedError
obstore.exceptions.PreconditionError obstore.exceptions.UnauthenticatedError
obstore.exceptions.UnknownConfigurationKeyError
azure.core.exceptions.ClientAuthenticationError azure.core.exceptions.ResourceExistsError
azure.core.exceptions.ResourceModifiedError azure.core.exceptions.ResourceNotFoundError
google.api_core.exceptions.ClientError google.auth.exceptions.GoogleAuthError
aiohttp.client_exceptions.InvalidURL aiohttp.client_exceptions.TooManyRedirects
httpx.InvalidURL httpx.TooManyRedirects httpx.UnsupportedProtocol
requests.exceptions.InvalidHeader requests.exceptions.InvalidJSONError requests.exceptions.InvalidSchema
requests.exceptions.InvalidURL requests.exceptions.MissingSchema requests.exceptions.TooManyRedirects
"""

_TRANSIENT = """
builtins.ConnectionError builtins.EOFError builtins.OSError builtins.TimeoutError
http.client.HTTPException
aiohttp.client_exceptions.ClientError
azure.core.exceptions.AzureError
botocore.exceptions.BotoCoreError botocore.exceptions.ClientError
google.api_core.exceptions.TooManyRequests google.api_core.exceptions.GoogleAPIError
google.auth.exceptions.TransportError
httpx.HTTPError httpx.StreamError
obstore.exceptions.BaseError
requests.exceptions.RequestException
urllib3.exceptions.HTTPError
"""

_OUT_OF_MEMORY = """
builtins.MemoryError
torch.OutOfMemoryError torch.cuda.OutOfMemoryError
"""

_TABLE: dict[str, FailureKind] = {
    name: kind
    for kind, names in (
        (FailureKind.PERMANENT, _PERMANENT),
        (FailureKind.TRANSIENT, _TRANSIENT),
        (FailureKind.OUT_OF_MEMORY, _OUT_OF_MEMORY),
    )
    for name in names.split()
}
