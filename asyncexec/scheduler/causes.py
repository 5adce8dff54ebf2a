"""The causes of errors: exceptions of workers, as they are where they are here, else made again of what was sent."""

from __future__ import annotations

from asyncexec.errors import RemoteError
from asyncexec.events.outcome import ErrorInfo, Outcome
from asyncexec.exception_data.reading import exception_of
from asyncexec.exception_data.recording import qualified_name


def with_own_name(outcome: Outcome) -> Outcome:
    """Return ``outcome`` with the names that the class of its exception, and the bases of that, have here.

    A class that was sent by value has another on the worker: without the names of the functions around it.
    """
    info = outcome.error
    if info is None or '"class"' not in info.record:
        return outcome
    cause = cause_of(info)
    if cause is None or type(cause).__name__ != info.type.rpartition(".")[2]:
        return outcome
    kind, *bases = map(qualified_name, type(cause).__mro__[:-1])
    return outcome._replace(error=info._replace(type=kind, bases=tuple(bases)))


def cause_of(info: ErrorInfo) -> BaseException | None:
    """Return the exception that ``info`` describes: itself where it is here, else one like it; None if there was none.

    It has the notes, the causes and the members of the one on the worker, and no traceback.
    """
    if info.exception is not None:
        return info.exception
    if not info.type:
        return None
    told = {"type": info.type, "message": info.message, "args": [info.message]}
    error = exception_of(info.record, stand_in=RemoteError.of, otherwise=told)
    if isinstance(error, RemoteError):
        error.remote_traceback = info.traceback
    return error
