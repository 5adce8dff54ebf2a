"""Errors that keep their cause where they are pickled, as a record of plain data, and where they are copied.

The parts of an error, as ``BaseException.__reduce__`` returns them, are its class, its arguments and, where it has any,
its attributes.
"""

from __future__ import annotations

import copyreg
from typing import TYPE_CHECKING, Any

from asyncexec.exception_data.reading import exception_of
from asyncexec.exception_data.recording import exception_record

if TYPE_CHECKING:
    from asyncexec.exception_data.reading import StandIn

type Parts = tuple[Any, ...]


def with_cause(error: BaseException, parts: Parts, *, stand_in: StandIn) -> tuple[Any, ...]:
    """Return what an error of these parts is pickled as; ``stand_in`` is for a cause that cannot be made again."""
    cause = error.__cause__
    return parts if cause is None else (_caused, (parts, exception_record(cause), stand_in))


def keep_own_pickling(base: type[BaseException]) -> None:
    """Have ``base`` and the classes derived from it pickled by their own methods.

    Libraries that executors import (tblib, with Dask and Lithops) register a way for all classes of exceptions, which
    pickles their causes as they are: a cause that cannot be pickled would keep the error from it.
    """
    copyreg.dispatch_table.pop(base, None)
    for derived in base.__subclasses__():
        keep_own_pickling(derived)


def copied[E: BaseException](error: E, parts: Parts) -> E:
    """Return an error of these parts, which has the very cause and context of ``error``."""
    copy: E = _remade(*parts)
    copy.__cause__, copy.__context__ = error.__cause__, error.__context__
    copy.__suppress_context__ = error.__suppress_context__
    return copy


def _caused(parts: Parts, record: str, stand_in: StandIn) -> BaseException:
    error: BaseException = _remade(*parts)
    error.__cause__ = exception_of(record, stand_in=stand_in)
    return error


def _remade(
    kind: type, arguments: tuple[Any, ...], attributes: dict[str, Any] | None = None
) -> Any:
    error = kind(*arguments)
    error.__setstate__(attributes)
    return error
