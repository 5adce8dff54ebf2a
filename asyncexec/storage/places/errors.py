"""The translation of a store's exceptions to errors that name the array, the chunk, the path and what to do."""

from __future__ import annotations

import errno
import logging
from itertools import chain
from typing import TYPE_CHECKING

from asyncexec.errors import (
    AsyncexecError,
    CorruptChunkError,
    OutOfSpaceError,
    TargetReplacedError,
)
from asyncexec.storage.places.options import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncexec.plan.box import Index
    from asyncexec.storage.places.locations import Location

logger = logging.getLogger("asyncexec.storage")

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "a file would be too large",
}


def storage_error(
    error: Exception, location: Location, what: str, *, chunk: Index | None = None, path: str = ""
) -> AsyncexecError:
    """Return ``error`` as one that names the array, the chunk and the path, without secrets, in one line.

    ``what`` is the end of the sentence (``"cannot be written"``). Errors of asyncexec are returned unchanged. The
    class says whether the same may succeed later, and so does the number of an ``OSError``, which is kept. The text of
    the store itself goes to the debug log of ``asyncexec.storage``.
    """
    if isinstance(error, AsyncexecError):
        return error
    number = error.errno if isinstance(error, OSError) else None
    where = f"{location}" if chunk is None else f"chunk {chunk} of {location}"
    where = f"{where} ({path})" if path else where
    if number in _FULL:
        return _numbered(
            OutOfSpaceError(
                f"{where} {what}: {_FULL[number]}. Nothing of it was kept. Free some space, or write elsewhere"
            ),
            number,
        )
    from asyncexec.storage.places.request_errors import failed_request  # noqa: PLC0415 - only for what fails

    logger.debug("%s %s: %s: %s", where, what, type(error).__name__, safe_message(error, location))
    return _numbered(failed_request(error, location, f"{where} {what}", what), number)


def missing_chunk(location: Location, chunk: Index, path: str = "") -> CorruptChunkError:
    """Return the error for a missing chunk of an array whose chunks have all been written."""
    where = f" ({path})" if path else ""
    return CorruptChunkError(
        f"chunk {chunk} of {location}{where} is gone: an earlier stage wrote it, and somebody removed it. "
        f"Leave the work directory alone while plans run, and run the plan again",
        array=str(location),
        chunks=(chunk,),
        path=path,
    )


def damaged_chunk(location: Location, chunk: Index, path: str, what: str) -> CorruptChunkError:
    """Return the error for a chunk of which ``what`` is wrong (the middle of a sentence)."""
    return CorruptChunkError(
        f"chunk {chunk} of {location} is corrupt: {path}: {what}. "
        f"Restore the file or object from a copy, or write the array again",
        array=str(location),
        chunks=(chunk,),
        path=path,
    )


def together(errors: Sequence[CorruptChunkError]) -> CorruptChunkError:
    """Return one error for all these chunks of one array; its message is about the first."""
    first = errors[0]
    if len(errors) == 1:
        return first
    return CorruptChunkError(
        f"{first}; {len(errors) - 1} more of the chunks that are read with it are corrupt or gone",
        array=first.array,
        chunks=tuple(chain.from_iterable(error.chunks for error in errors)),
        path=first.path,
    )


def replaced(location: Location) -> TargetReplacedError:
    """Return the error for a target that is not the run's own any more."""
    return TargetReplacedError(
        f"{location} was replaced or removed while this run was writing to it, so nothing more is written there. "
        f"Let one run at a time store at a place, or give each a place of its own"
    )


def safe_message(error: Exception, location: Location) -> str:
    """Return the message of ``error``, without secrets of ``location``."""
    return location.hide_in(str(error))


def cause(error: Exception, location: Location) -> Exception | None:
    """Return ``error`` as a cause that may be shown; None where its text may hold a secret."""
    secretive = bool(location.options) or location.url != shown(location.url)
    return None if secretive or location.store is not None else error


def _numbered[E: OSError](error: E, number: int | None) -> E:
    error.errno = number
    return error
