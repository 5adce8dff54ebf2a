"""Values, outcomes and reports as bytes, for workers that do not share the driver's memory.

A message is MessagePack with the values of value stages behind it, pickled: nothing that a worker sends is unpickled on
the driver, except the value of a value stage, and that only when somebody looks into it. Values stand behind all
else, because MessagePack holds no more than 4 GiB in one piece.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import cloudpickle
import msgspec
from msgspec.structs import astuple, replace

from asyncexec.errors import BackendError, SerializationError
from asyncexec.events.outcome import (
    Encoded,
    ErrorInfo,
    ItemOf,
    Many,
    Outcome,
    Status,
    ValueHandle,
)
from asyncexec.worker.attempt import describe
from asyncexec.worker.pickling import NO_VALUE, cannot_be_pickled
from asyncexec.worker.records import Note, Report, Started

_HEADER = struct.Struct("<I")
# Nothing of these is defined in a script or a function, so that they need no pickler in Python, as cloudpickle's is.
_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes})
_NO_INPUT = (
    "an input of this task (a {kind}) cannot be pickled, so it cannot be sent to a worker: {why}. Send what it is made "
    "from instead (a path, say, and not an open file), or run on executor='threads'"
)


class _Error(msgspec.Struct, frozen=True, array_like=True):
    """An :class:`ErrorInfo` without its exception."""

    type: str
    bases: tuple[str, ...]
    message: str
    traceback: str
    record: str = ""


class _Row(msgspec.Struct, frozen=True, array_like=True):
    """An :class:`Outcome` with the size of its value in place of the value."""

    attempt: int
    status: Status
    worker: str
    started_at: float
    seconds: float
    peak_bytes: int
    read_bytes: int
    written_bytes: int
    value_bytes: Annotated[int, msgspec.Meta(ge=0)]
    handle: tuple[str, str, int, bool] | None
    error: _Error | None
    cached: bool = False
    width: int = 0


class _Message(msgspec.Struct, frozen=True, array_like=True):
    """Outcomes, the attempts that have started, and notes."""

    outcomes: list[_Row]
    started: list[tuple[int, str]]
    notes: list[Note] = []


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Message)


def encode_value(value: Any, complaint: str = NO_VALUE) -> Encoded:
    """Return ``value`` pickled; what is defined in ``__main__`` or in a function travels by value.

    ``complaint`` is the message, with ``kind`` and ``why``, of the error if that cannot be. Raises SerializationError
    if it cannot be pickled.
    """
    if type(value) is Encoded:
        return value
    try:
        if type(value) in _PLAIN:
            return Encoded(pickle.dumps(value, protocol=5))
        return Encoded(cloudpickle.dumps(value))
    # Whatever an object raises as it is pickled: SystemExit of its own is not to end the worker.
    except BaseException as error:
        raise SerializationError(cannot_be_pickled(value, error, complaint)) from error


def encode_input(value: Any) -> Encoded | ValueHandle | ItemOf | Many:
    """Return an input of an attempt in the form in which it travels; a value that stays elsewhere as its handle.

    Raises SerializationError if it cannot be pickled.
    """
    if type(value) is Many:
        return Many(tuple(_encode_input(v) for v in value.values))
    if type(value) is ItemOf:
        return ItemOf(_encode_input(value.value), value.position)
    return _encode_input(value)


def _encode_input(value: Any) -> Encoded | ValueHandle:
    return value if type(value) is ValueHandle else encode_value(value, _NO_INPUT)


def encode_reports(reports: Iterable[Report]) -> bytes:
    """Return reports as bytes; an outcome whose value cannot be pickled becomes a failure that says so."""
    rows: list[_Row] = []
    started: list[tuple[int, str]] = []
    notes: list[Note] = []
    values: list[bytes | bytearray] = []
    for report in reports:
        if isinstance(report, Started):
            started.append((report.attempt, report.worker))
        elif isinstance(report, Note):
            notes.append(report)
        else:
            row, value = _row(report)
            rows.append(row)
            values.append(value)
    header = _encode(_Message(rows, started, notes))
    return b"".join([_HEADER.pack(len(header)), header, *values])


def decode_reports(data: bytes) -> list[Report]:
    """Return what :func:`encode_reports` made, with the values still encoded: notes, then outcomes, then what started.

    Raises BackendError if ``data`` is something else.
    """
    message, values = _split(data)
    started = [Started(attempt, worker) for attempt, worker in message.started]
    return [*message.notes, *_outcomes(message, values), *started]


def encode_outcomes(outcomes: Sequence[Outcome]) -> bytes:
    """Return outcomes as bytes, for :func:`decode_outcomes`."""
    return encode_reports(outcomes)


def decode_outcomes(data: bytes) -> list[Outcome]:
    """Return the outcomes in a message; raises BackendError if ``data`` is something else."""
    return _outcomes(*_split(data))


def _row(outcome: Outcome) -> tuple[_Row, bytes | bytearray]:
    value: bytes | bytearray = b""
    handle: ValueHandle | None = None
    status, error = outcome.status, outcome.error
    if type(outcome.value) is ValueHandle:
        handle = outcome.value
    elif outcome.value is not None:
        try:
            value = encode_value(outcome.value).data
        # Only this one fails: the outcomes of others in the message are not to be lost with it.
        except SerializationError as failure:
            status, error = Status.FAILED, describe(failure)
    told = None if error is None else _Error(*error[:4], error.record)
    rest = outcome.cached, outcome.width
    figures = outcome[2:8]
    return _Row(outcome.attempt, status, *figures, len(value), handle, told, *rest), value


def _encode(message: _Message) -> bytes:
    try:
        return _ENCODER.encode(message)
    except UnicodeEncodeError:
        # Names of files that are no text are in messages as lone surrogates, which are no UTF-8.
        outcomes = [replace(row, error=_readable(row.error)) for row in message.outcomes]
        notes = [Note(*map(_text, note)) for note in message.notes]
        return _ENCODER.encode(_Message(outcomes, message.started, notes))


def _readable(error: _Error | None) -> _Error | None:
    if error is None:
        return None
    kind, message, trace = map(_text, (error.type, error.message, error.traceback))
    return _Error(kind, error.bases, message, trace, error.record)


def _text(value: Any) -> Any:
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def _split(data: bytes) -> tuple[_Message, list[Encoded | None]]:
    """Return the message, and the value of each of its outcomes."""
    try:
        (size,) = _HEADER.unpack_from(data)
        position = _HEADER.size + size
        message = _DECODER.decode(data[_HEADER.size : position])
    except (struct.error, msgspec.MsgspecError) as error:
        raise _no_reports(error) from error
    values: list[Encoded | None] = []
    for row in message.outcomes:
        end = position + row.value_bytes
        values.append(Encoded(data[position:end]) if row.value_bytes else None)
        position = end
    # Cut off on the way, or written by another version: half of a message must not pass for all of it.
    if position != len(data):
        raise _no_reports(f"{len(data)} bytes instead of {position}")
    return message, values


def _outcomes(message: _Message, values: Sequence[Encoded | None]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for row, value in zip(message.outcomes, values, strict=True):
        *figures, _, handle, error, cached, width = astuple(row)
        info = None if error is None else _info(error)
        kept = value if handle is None else ValueHandle(*handle)
        outcomes.append(Outcome._make((*figures, kept, info, cached, width)))
    return outcomes


def _info(error: _Error) -> ErrorInfo:
    return ErrorInfo(error.type, error.bases, error.message, error.traceback, record=error.record)


def _no_reports(why: object) -> BackendError:
    return BackendError(
        f"a worker answered with something that is not a list of outcomes: {why}. Driver and workers must have the "
        f"same version of asyncexec"
    )
