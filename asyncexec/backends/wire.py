"""Values and outcomes as bytes, for workers that do not share the driver's memory.

An outcome comes back as JSON with its value behind it, pickled: nothing that a worker says is unpickled on the driver,
except the value of a value stage, and that only when somebody looks into it.
"""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Sequence
from typing import Any

import cloudpickle

from asyncexec.backends.contract import Report, Started
from asyncexec.backends.worker import describe
from asyncexec.errors import BackendError, SerializationError
from asyncexec.events.outcome import Encoded, ErrorInfo, Many, Outcome, Status

_HEADER = struct.Struct("<I")
_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes})
_NO_VALUE = (
    "what the function returned (a {kind}) cannot be pickled: {why}. Return plain data, "
    "or run on executor='threads'"
)
_NO_INPUT = (
    "an input of this task (a {kind}) cannot be pickled, so it cannot be sent to a worker: {why}. Send what it is made "
    "from instead (a path, say, and not an open file), or run on executor='threads'"
)


def encode_value(value: Any, complaint: str = _NO_VALUE) -> Encoded:
    """Return ``value`` pickled; what is defined in ``__main__`` or in a function travels by value.

    ``complaint`` is what is said, with ``kind`` and ``why``, if that cannot be.

    Raises
    ------
    SerializationError
        If it cannot be pickled.
    """
    if type(value) is Encoded:
        return value
    try:
        if type(value) in _PLAIN:
            return Encoded(pickle.dumps(value, protocol=5))
        return Encoded(cloudpickle.dumps(value))
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise SerializationError(
            complaint.format(kind=type(value).__qualname__, why=why)
        ) from error


def encode_input(value: Any) -> Encoded | Many:
    """Return an input of a job in the form in which it travels.

    Raises
    ------
    SerializationError
        If it cannot be pickled.
    """
    if type(value) is Many:
        return Many(tuple(encode_value(v, _NO_INPUT) for v in value.values))
    return encode_value(value, _NO_INPUT)


def encode_outcomes(outcomes: Sequence[Outcome]) -> bytes:
    """Return ``outcomes`` as bytes; one whose value cannot be pickled becomes a failure that says so."""
    rows: list[list[Any]] = []
    values: list[bytes | bytearray] = []
    for outcome in outcomes:
        value: bytes | bytearray = b""
        status, error = outcome.status, outcome.error
        if outcome.value is not None:
            try:
                value = encode_value(outcome.value).data
            except SerializationError as failure:
                status, error = Status.FAILED, describe(failure)
        values.append(value)
        told = None if error is None else [error.type, error.bases, error.message, error.traceback]
        rows.append([outcome.attempt, status.value, *outcome[2:8], len(value), told])
    header = json.dumps(rows).encode()
    return b"".join([_HEADER.pack(len(header)), header, *values])


def decode_outcomes(data: bytes) -> list[Outcome]:
    """Return what :func:`encode_outcomes` made, with the values still encoded.

    Raises
    ------
    BackendError
        If ``data`` is something else.
    """
    try:
        (size,) = _HEADER.unpack_from(data)
        position = _HEADER.size + size
        outcomes: list[Outcome] = []
        for row in json.loads(data[_HEADER.size : position]):
            attempt, status, worker, started_at, seconds, peak, read, written, length, told = row
            value = Encoded(data[position : position + length]) if length else None
            position += length
            error = None if told is None else ErrorInfo(told[0], tuple(told[1]), told[2], told[3])
            outcomes.append(
                Outcome(
                    attempt,
                    Status(status),
                    worker,
                    started_at,
                    seconds,
                    peak,
                    read,
                    written,
                    value,
                    error,
                )
            )
        if position != len(data):
            raise ValueError(f"{len(data)} bytes instead of {position}")  # noqa: TRY301 - as any other
    except (struct.error, ValueError, TypeError, IndexError, KeyError) as error:
        raise BackendError(
            f"a worker answered with something that is not a list of outcomes: {error}"
        ) from error
    return outcomes


def encode_reports(reports: Sequence[Report]) -> bytes:
    """Return starts and outcomes as bytes, for :func:`decode_reports`."""
    starts = [report for report in reports if isinstance(report, Started)]
    told = json.dumps(starts).encode()
    outcomes = encode_outcomes([r for r in reports if not isinstance(r, Started)])
    return b"".join([_HEADER.pack(len(told)), told, outcomes])


def decode_reports(data: bytes) -> list[Report]:
    """Return what :func:`encode_reports` made: the outcomes, then what started.

    Raises
    ------
    BackendError
        If ``data`` is something else.
    """
    try:
        (size,) = _HEADER.unpack_from(data)
        end = _HEADER.size + size
        starts = [
            Started(int(a), str(worker)) for a, worker in json.loads(data[_HEADER.size : end])
        ]
    except (struct.error, ValueError, TypeError) as error:
        raise BackendError(
            f"a worker answered with something that is not a list of reports: {error}"
        ) from error
    return [*decode_outcomes(data[end:]), *starts]
