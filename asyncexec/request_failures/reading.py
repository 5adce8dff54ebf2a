"""The reason for which a request failed, read from the exception of whatever library made it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from asyncexec.request_failures import reasons
from asyncexec.request_failures.reasons import Reason
from asyncexec.request_failures.tables import (
    BY_CLASS,
    BY_ERRNO,
    BY_PHRASE,
    reason_of_code,
    reason_of_status,
)

_OBSTORE = "obstore.exceptions."
_ICECHUNK = "icechunk.StorageError"
# It raises built-in classes too, with its own text.
_DEBUG = "\nDebug source:\n"
_STATUS = re.compile(r"status code: (\d{3})\b|\bstatus: (\d{3})\b")
_CODE = re.compile(r"<Code>\s*([A-Za-z0-9_.]+)\s*</Code>")
# As Icechunk has it from the AWS SDK.
_CODE_OF_SDK = re.compile(r'\bcode: "([A-Za-z0-9_.]+)"|\bservice error: ([A-Z][A-Za-z0-9_.]+): ')
_DEEPEST = 8
_NO_NAME = -2  # EAI_NONAME
# A library that translates a service's answer to one of these says less than the answer does.
_GENERAL = frozenset(
    {
        "builtins.FileNotFoundError",
        "builtins.FileExistsError",
        "builtins.TimeoutError",
        "builtins.ConnectionError",
    }
)


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed request.

    Attributes
    ----------
    reason : Reason
    status : int or None
        Of the HTTP response.
    code : str
        The service's error code.
    """

    reason: Reason
    status: int | None = None
    code: str = ""


def failure_of(error: BaseException) -> Failure | None:
    """Return what an exception says of a request; None for one that is of no request.

    The exceptions that it came of are looked at too: libraries translate a service's answer to an ``OSError``, which
    says less than the answer.
    """
    shown: BaseException | None = error
    for _ in range(_DEEPEST):
        if shown is None:
            break
        general: Failure | None = None
        for one in _chain(shown):
            found, exact = _read(one)
            if found is not None and exact:
                return found
            general = general or found
        if general is not None:
            return general
        shown = None if shown.__suppress_context__ else shown.__context__
    return None


def class_names(error: BaseException) -> tuple[str, ...]:
    """Return the qualified names of an exception's class and of its bases, the most specific first."""
    return tuple(f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__[:-1])


def _chain(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    for _ in range(_DEEPEST):
        if one is None:
            return
        yield one
        if isinstance(one, BaseExceptionGroup):
            yield from one.exceptions
        one = one.__cause__


def _read(error: BaseException) -> tuple[Failure | None, bool]:
    """Return what one exception says, and whether it is as exact as a service's own answer."""
    names = class_names(error)
    said = failure_in(names, _text(error)) or _answered(_status(error), _code(error))
    if said is not None:
        return said, True
    if isinstance(error, OSError) and "ssl.SSLError" not in names:
        # Those of ssl and of looking up names are numbers of their own.
        if "socket.gaierror" in names:
            return Failure(reasons.NO_NAME if error.errno == _NO_NAME else reasons.DNS), True
        if error.errno in BY_ERRNO:
            return Failure(BY_ERRNO[error.errno]), False
    for name in names:
        if name in BY_CLASS:
            return Failure(BY_CLASS[name]), name not in _GENERAL
    return None, False


def failure_in(names: tuple[str, ...], text: str) -> Failure | None:
    """Return what the text of an exception of obstore's or Icechunk's says; None for others, and where it says nothing.

    Parameters
    ----------
    names : tuple of str
        The qualified names of its class and bases.
    text : str
    """
    if _ICECHUNK in names:
        # Lines of the place in its own code follow.
        text = text.partition("\n")[0]
    elif not (any(name.startswith(_OBSTORE) for name in names) or _DEBUG in text):
        return None
    found, coded = _STATUS.search(text), _CODE.search(text) or _CODE_OF_SDK.search(text)
    status = int(found[1] or found[2]) if found else None
    for pattern, reason in BY_PHRASE:
        # A service may say anything in the body of its answer. That of a machine's own credentials is another one.
        before = reason is reasons.NO_CREDENTIALS and status not in _PASSING
        if (status is None or before) and pattern.search(text):
            return Failure(reason, status)
    return _answered(status, next(filter(None, coded.groups()), "") if coded else "")


def _answered(status: int | None, code: str) -> Failure | None:
    reason = (reason_of_code(code) if code else None) or (
        reason_of_status(status) if status is not None else None
    )
    return None if reason is None else Failure(reason, status, code)


_PASSING = frozenset({429, 500, 502, 503, 504})


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a broken __str__ must not hide the failure
        return ""


def _status(error: BaseException) -> int | None:
    """Return the status of a response, as botocore, azure, aiohttp, requests and Google's libraries have it."""
    said: Any = getattr(error, "response", None)
    if isinstance(said, dict):
        meta = said.get("ResponseMetadata")
        said = meta.get("HTTPStatusCode") if isinstance(meta, dict) else None
        return said if isinstance(said, int) else None
    for owner in (error, said):
        for name in ("status_code", "status", "code"):
            value = getattr(owner, name, None)
            if isinstance(value, str) and value.isdigit():
                value = int(value)
            if type(value) is int and 300 <= value < 600:
                return int(value)
    return None


def _code(error: BaseException) -> str:
    """Return the service's own error code, as botocore and azure have it."""
    said: Any = getattr(error, "response", None)
    if isinstance(said, dict):
        said = said.get("Error")
        said = said.get("Code") if isinstance(said, dict) else None
    else:
        said = getattr(error, "error_code", None)
    return "" if said is None else str(getattr(said, "value", said))
